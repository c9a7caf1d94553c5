-- Asks workers to abort running jobs. ARGV: ids ….
-- Workers take requests of the future away unread, so that the time is the server's, a second ago.
-- Answers one integer per job: 1 asked, -3 it does not run.
local first = ARGV[1] or ''
local stop = forbidden({ { 'ZADD', 'arq:abort', '1', first } })
if stop then
  return stop
end
local time = redis.call('TIME')
local then_ms = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000) - 1000)
local results = {}
for at = 1, #ARGV do
  local id = ARGV[at]
  if redis.call('EXISTS', 'arq:in-progress:' .. id) == 1 then
    redis.call('ZADD', 'arq:abort', then_ms, id)
    results[at] = 1
  else
    results[at] = -3
  end
end
return results
