-- Gives waiting jobs a new priority. ARGV: priority (0 runs first, then 1), ids …
-- In another state only the recorded priority changes, which counts when the job waits again.
local stop = lacks('ZREM', 'LREM', 'HSET', 'LPUSH', 'RPUSH', 'ZADD', 'INCR')
if stop then
  return stop
end
local priority = tonumber(ARGV[1])
local results = {}
for index = 2, #ARGV do
  local id = ARGV[index]
  local job = at(id)
  if redis.call('EXISTS', job) == 0 then
    results[#results + 1] = -1
  else
    local waits = redis.call('ZREM', at('prioritized'), id) == 1 or redis.call('LREM', waiting_list(nil), -1, id) == 1
    redis.call('HSET', job, 'priority', priority)
    if waits then
      to_wait(nil, id, priority, option(job, 'lifo') == true)
    end
    results[#results + 1] = 1
  end
end
return results
