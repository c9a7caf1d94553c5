-- Adds a job. KEYS: definition, result, queue. ARGV: id, definition, delay in ms.
-- Answers 1, or 2 if the id is taken by a job or by a result that is still kept.
local stop = forbidden({ { 'SET', KEYS[1], 'x' }, { 'ZADD', KEYS[3], '1', 'x' } })
if stop then
  return stop
end
if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then
  return 2
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local delay = tonumber(ARGV[3])
redis.call('SET', KEYS[1], ARGV[2], 'PX', string.format('%d', delay + 86400000))
redis.call('ZADD', KEYS[3], string.format('%d', now + delay), ARGV[1])
return 1
