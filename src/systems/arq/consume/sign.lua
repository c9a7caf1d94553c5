-- Writes the sign of life of a queue's workers as the library does, unless one of its own workers has written it. KEYS:
-- 1 health check, 2 queue. ARGV: 1 mark of this runner, 2 text up to the length of the queue, 3 ms for which it holds (0:
-- take it away).
local old = redis.call('GET', KEYS[1])
if old and not string.find(old, ARGV[1], 1, true) then
  return 0
end
if ARGV[3] == '0' then
  return redis.call('DEL', KEYS[1])
end
redis.call('SET', KEYS[1], ARGV[2] .. redis.call('ZCARD', KEYS[2]) .. ARGV[1], 'PX', ARGV[3])
return 1
