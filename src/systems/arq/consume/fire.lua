-- Adds a job for a schedule's moment unless that one or a later has fired. KEYS: 1 moments by schedule, 2 queue,
-- 3 definition, 4 result. ARGV: 1 schedule, 2 moment in ms, 3 id, 4 definition, 5 `1` if the moment has passed already:
-- then it counts only for a schedule that has fired before.
local last = redis.call('HGET', KEYS[1], ARGV[1])
if last and tonumber(last) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if (ARGV[5] == '1' and not last) or redis.call('EXISTS', KEYS[3], KEYS[4]) > 0 then
  return 0
end
local clock = redis.call('TIME')
redis.call('SET', KEYS[3], ARGV[4], 'PX', 86400000)
redis.call('ZADD', KEYS[2], string.format('%d', clock[1] * 1000 + math.floor(clock[2] / 1000)), ARGV[3])
return 1
