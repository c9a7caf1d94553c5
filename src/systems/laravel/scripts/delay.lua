-- Gives delayed payloads another time. KEYS: delayed. ARGV: seconds from now, payloads …
-- Answers one integer each: 1 done, -3 it is not there any more; it is never brought back.
local stop = forbidden({ { 'ZADD', KEYS[1], 'XX', '1', 'x' } })
if stop then
  return stop
end
local due = tonumber(redis.call('TIME')[1]) + tonumber(ARGV[1])
local results = {}
for index = 2, #ARGV do
  local there = redis.call('ZSCORE', KEYS[1], ARGV[index])
  if there then
    redis.call('ZADD', KEYS[1], 'XX', due, ARGV[index])
  end
  results[#results + 1] = there and 1 or -3
end
return results
