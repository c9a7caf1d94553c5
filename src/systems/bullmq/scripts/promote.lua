-- Makes delayed jobs run now. ARGV: ids …
local stop = lacks('ZREM', 'LPUSH', 'ZADD', 'HSET', 'XADD', 'INCR')
if stop then
  return stop
end
local results = {}
for index = 1, #ARGV do
  local id = ARGV[index]
  local job = at(id)
  if redis.call('ZREM', at('delayed'), id) == 0 then
    results[#results + 1] = redis.call('EXISTS', job) == 0 and -1 or -3
  else
    -- A 4.x wake-up entry for the time that no longer matters would hide the job from a worker that waits for it.
    local head = redis.call('LINDEX', waiting_list(nil), 0)
    if head and string.sub(head, 1, 2) == '0:' then
      redis.call('LPOP', waiting_list(nil))
    end
    local priority = tonumber(redis.call('HGET', job, 'priority')) or 0
    to_wait(nil, id, priority, false)
    emit(nil, 'event', 'waiting', 'jobId', id, 'prev', 'delayed')
    if redis.call('EXISTS', job) == 1 then
      redis.call('HSET', job, 'delay', 0)
    end
    results[#results + 1] = 1
  end
end
return results
