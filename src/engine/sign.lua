-- Puts one sign of life in the place of the runner's earlier ones. KEYS: 1 signs of all runners, by ms. ARGV: 1 how each
-- sign of this runner begins, 2 the new one (empty: it has ended), 3 ms after which a sign is forgotten.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
for _, sign in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, 99)) do
  if string.sub(sign, 1, #ARGV[1]) == ARGV[1] then
    redis.call('ZREM', KEYS[1], sign)
  end
end
if ARGV[2] ~= '' then
  redis.call('ZADD', KEYS[1], now, ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3])
return 1
