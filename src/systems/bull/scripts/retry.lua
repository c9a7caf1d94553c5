-- Queues ended jobs again. ARGV: state (`failed` or `completed`), `1` to forget attempts made, ids …
local stop = lacks('ZREM', 'HDEL', 'HSET', unpack(PUT))
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
  elseif locked(id) then
    results[#results + 1] = 0
  -- Membership comes before any field is taken away: the record of a job in another state must stay as it is.
  elseif redis.call('ZREM', at(state), id) == 0 then
    results[#results + 1] = -3
  else
    redis.call('HDEL', job, 'finishedOn', 'processedOn', 'failedReason', 'returnvalue')
    redis.call('HSET', job, 'retriedOn', now())
    if reset then
      redis.call('HDEL', job, 'attemptsMade')
    end
    put(id, option(job, 'lifo') == true)
    results[#results + 1] = 1
  end
end
return results
