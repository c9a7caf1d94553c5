-- Removes repeatables, each with the job it has made for its next run. ARGV: their keys …
local stop = lacks('ZREM', 'DEL', 'SREM', 'HDEL')
if stop then
  return stop
end
local results = {}
for index = 1, #ARGV do
  local key = ARGV[index]
  local moment = redis.call('ZSCORE', at('repeat'), key)
  if not moment then
    results[#results + 1] = -1
  else
    -- Its score holds the same moment, unless a rate limit has put it off; one that waits already runs, and is the last.
    local low = tonumber(moment) * 4096
    local due = redis.call('ZRANGEBYSCORE', at('delayed'), score_text(low), score_text(low + 4095), 'LIMIT', 0, 1000)
    for _, id in ipairs(due) do
      if moment_of(id) == score_text(tonumber(moment)) and is_run_of(id, key) then
        redis.call('ZREM', at('delayed'), id)
        unpark(id)
        redis.call('DEL', at(id), at(id) .. ':logs')
      end
    end
    redis.call('ZREM', at('repeat'), key)
    results[#results + 1] = 1
  end
end
return results
