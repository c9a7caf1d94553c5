-- Adds payloads: to the list with a token that wakes a worker, or to the delayed set, which needs none.
-- KEYS: list, delayed, notify. ARGV: seconds from now (0: ready), payloads … Answers how many were added.
local wait = tonumber(ARGV[1])
local needed = { { 'RPUSH', KEYS[1], 'x' }, { 'RPUSH', KEYS[3], '1' } }
local stop = forbidden(wait > 0 and { { 'ZADD', KEYS[2], '1', 'x' } } or needed)
if stop then
  return stop
end
local due = tonumber(redis.call('TIME')[1]) + wait
for index = 2, #ARGV do
  if wait > 0 then
    redis.call('ZADD', KEYS[2], due, ARGV[index])
  else
    redis.call('RPUSH', KEYS[1], ARGV[index])
    redis.call('RPUSH', KEYS[3], '1')
  end
end
return #ARGV - 1
