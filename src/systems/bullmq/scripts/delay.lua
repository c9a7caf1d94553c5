-- Gives delayed jobs a new time. ARGV: delay in ms from now, ids …
local stop = lacks('ZREM', 'HSET', 'ZADD', 'XADD')
if stop then
  return stop
end
local delay = tonumber(ARGV[1])
local results = {}
for index = 2, #ARGV do
  local id = ARGV[index]
  local job = at(id)
  if redis.call('EXISTS', job) == 0 then
    results[#results + 1] = -1
  elseif redis.call('ZREM', at('delayed'), id) == 0 then
    results[#results + 1] = -3
  else
    local due = now() + delay
    redis.call('HSET', job, 'delay', score_text(delay))
    redis.call('ZADD', at('delayed'), score_text(delayed_score(nil, due)), id)
    emit(nil, 'event', 'delayed', 'jobId', id, 'delay', score_text(due))
    wake_for_delayed(nil)
    results[#results + 1] = 1
  end
end
return results
