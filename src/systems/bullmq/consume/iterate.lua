-- Makes the next job of a scheduler, when its present one is taken. ARGV: scheduler, id of the present job, ms of the
-- next, options of the next job as JSON. Nothing happens if the scheduler is gone, has moved on, or is over.
local scheduler, present, due, options = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local record, time = at('repeat:' .. scheduler), now()
local last = call('ZSCORE', at('repeat'), scheduler)
if not last or present ~= 'repeat:' .. scheduler .. ':' .. score_text(tonumber(last)) then
  return 0
end
local found = call('HMGET', record, 'name', 'data', 'limit', 'endDate', 'ic')
local made, limit, ends = tonumber(found[5]) or 0, tonumber(found[3]), tonumber(found[4])
if not found[1] or (limit and made >= limit) or (ends and due > ends) then
  return 0
end
local id = 'repeat:' .. scheduler .. ':' .. score_text(due)
local job = at(id)
if call('EXISTS', job) == 1 then
  say('event', 'duplicated', 'jobId', id)
  return 0
end
call('ZADD', at('repeat'), score_text(due), scheduler)
call('HINCRBY', record, 'ic', 1)
call('INCR', at('id'))
local delay = math.max(0, due - time)
local ok, parsed = pcall(cjson.decode, options)
local priority = ok and type(parsed) == 'table' and tonumber(parsed.priority) or 0
call('HSET', job, 'name', found[1], 'data', found[2] or '{}', 'opts', options, 'timestamp', time, 'delay',
  score_text(delay), 'priority', priority, 'rjk', scheduler)
say('event', 'added', 'jobId', id, 'name', found[1])
if delay > 0 then
  call('ZADD', at('delayed'), score_text(common().delayed_score(nil, time + delay)), id)
  say('event', 'delayed', 'jobId', id, 'delay', score_text(time + delay))
  common().wake_for_delayed()
else
  common().to_wait(nil, id, priority, false)
  say('event', 'waiting', 'jobId', id)
end
return 1
