-- Queues finished jobs again. ARGV: state (`failed` or `completed`), `1` to forget attempts made, ids …
local stop = lacks('ZREM', 'HDEL', 'LPUSH', 'RPUSH', 'ZADD', 'XADD', 'INCR')
if stop then
  return stop
end
local state, reset = ARGV[1], ARGV[2] == '1'
local results = {}
for index = 3, #ARGV do
  local id = ARGV[index]
  local job = at(id)
  if redis.call('EXISTS', job) == 0 then
    results[#results + 1] = -1
  elseif redis.call('ZREM', at(state), id) == 0 then
    results[#results + 1] = -3
  else
    redis.call('HDEL', job, 'finishedOn', 'processedOn', state == 'failed' and 'failedReason' or 'returnvalue')
    if reset then
      redis.call('HDEL', job, 'atm', 'ats', 'attemptsMade')
    end
    local queue, parent = parent_of(job)
    if queue then
      local record = at(parent, queue)
      if redis.call('EXISTS', record) == 1 then
        local was = redis.call('ZREM', record .. ':unsuccessful', job) + redis.call('HDEL', record .. ':failed', job)
          + redis.call('HDEL', record .. ':processed', job)
        if was > 0 then
          redis.call('SADD', record .. ':dependencies', job)
        end
      end
    end
    local priority = tonumber(redis.call('HGET', job, 'priority')) or 0
    to_wait(nil, id, priority, option(job, 'lifo') == true)
    emit(nil, 'event', 'waiting', 'jobId', id, 'prev', state)
    results[#results + 1] = 1
  end
end
return results
