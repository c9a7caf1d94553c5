-- Makes the next job of a schedule, when its present one is taken. ARGV: the schedule's member of `repeat`, what the ids of
-- its jobs have in common, id of the present job, ms for which the next stands, ms at which that runs, its options as JSON,
-- `1` if it is a repeatable: one without a record of its own, whose jobs hand everything on. Nothing happens if the schedule
-- is gone or, where that can be told, has moved on.
local member, series, present, options = ARGV[1], ARGV[2], ARGV[3], ARGV[6]
local due, runs_at, repeatable = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[7] == '1'
local record = at('repeat:' .. series)
local last = tonumber(call('ZSCORE', at('repeat'), member) or nil)
if not last or not (repeatable or present == 'repeat:' .. series .. ':' .. score_text(last)) then
  return 0
end
local own = call('HMGET', at(present), 'name', 'data')
local told = repeatable and {} or call('HMGET', record, 'name', 'data')
local name, data = told[1] or own[1], told[2]
if not name then
  return 0
end
local id = 'repeat:' .. series .. ':' .. score_text(due)
local job = at(id)
if repeatable and due > last then
  call('ZADD', at('repeat'), score_text(due), member)
end
if call('EXISTS', job) == 1 then
  say('event', 'duplicated', 'jobId', id)
  return 0
end
if not repeatable then
  call('ZADD', at('repeat'), score_text(due), member)
  call('HINCRBY', record, 'ic', 1)
end
-- Up to 5.x the record may lack the data: then it is that of the present job.
if not data and (repeatable or major_version ~= 6) then
  data = own[2]
  if data and data ~= '{}' and not repeatable then
    call('HSET', record, 'data', data)
  end
end
call('INCR', at('id'))
local delay = math.max(0, runs_at - time)
local ok, parsed = pcall(cjson.decode, options)
if not ok or type(parsed) ~= 'table' then
  parsed = {}
end
local priority = tonumber(parsed.priority) or 0
call('HSET', job, 'name', name, 'data', data or '{}', 'opts', options, 'timestamp', time, 'delay', score_text(delay),
  'priority', priority, 'rjk', member)
if type(parsed.de) == 'table' and parsed.de.id then
  call('HSET', job, 'deid', parsed.de.id)
end
if not repeatable and major_version == 5 then
  call('HSET', at(present), 'nrjid', id)
end
say('event', 'added', 'jobId', id, 'name', name)
if delay > 0 then
  call('ZADD', at('delayed'), score_text(common().delayed_score(nil, time + delay)), id)
  say('event', 'delayed', 'jobId', id, 'delay', score_text(time + delay))
  common().wake_for_delayed()
else
  common().to_wait(nil, id, priority, priority == 0 and parsed.lifo == true)
  say('event', 'waiting', 'jobId', id)
end
return 1
