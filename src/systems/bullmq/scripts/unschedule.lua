-- Removes schedulers and their pending iteration. ARGV: scheduler ids …
local stop = lacks('ZREM', 'DEL', 'XADD')
if stop then
  return stop
end
local results = {}
for index = 1, #ARGV do
  local scheduler = ARGV[index]
  local due = redis.call('ZSCORE', at('repeat'), scheduler)
  if not due then
    results[#results + 1] = -1
  else
    local id = 'repeat:' .. scheduler .. ':' .. score_text(tonumber(due))
    local record = at(id)
    if redis.call('ZREM', at('delayed'), id) == 1 then
      redis.call('DEL', record, record .. ':logs', record .. ':dependencies', record .. ':processed',
        record .. ':failed', record .. ':unsuccessful')
      emit(nil, 'event', 'removed', 'jobId', id, 'prev', 'delayed')
    end
    redis.call('ZREM', at('repeat'), scheduler)
    redis.call('DEL', at('repeat:' .. scheduler))
    results[#results + 1] = 1
  end
end
return results
