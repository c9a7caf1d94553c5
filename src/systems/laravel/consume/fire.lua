-- Pushes a job for a schedule's moment unless that one or a later has fired. KEYS: 1 moments by schedule, 2 payloads that
-- are ready, 3 tokens. ARGV: schedule, moment in ms, payload, `1` if the moment has passed already: then it counts only
-- for a schedule that has fired before.
local last = redis.call('HGET', KEYS[1], ARGV[1])
if last and tonumber(last) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if ARGV[4] == '1' and not last then
  return 0
end
redis.call('RPUSH', KEYS[2], ARGV[3])
redis.call('RPUSH', KEYS[3], '1')
return 1
