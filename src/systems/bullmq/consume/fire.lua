-- Adds a job for a schedule's moment unless that one or a later has fired. KEYS[2]: moments by schedule. ARGV: schedule,
-- moment in ms, name, data, `1` if the moment has passed already: then it counts only for a schedule that has fired.
local last = call('HGET', KEYS[2], ARGV[1])
if last and tonumber(last) >= tonumber(ARGV[2]) then
  return 0
end
call('HSET', KEYS[2], ARGV[1], ARGV[2])
if ARGV[5] == '1' and not last then
  return 0
end
local id = tostring(call('INCR', at('id')))
call('HSET', at(id), 'name', ARGV[3], 'data', ARGV[4], 'opts', '{"attempts":0}', 'timestamp', now(), 'delay', 0,
  'priority', 0)
say('event', 'added', 'jobId', id, 'name', ARGV[3])
common().to_wait(nil, id, 0, false)
say('event', 'waiting', 'jobId', id)
return 1
