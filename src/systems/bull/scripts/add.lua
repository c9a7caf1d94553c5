-- Adds a job. ARGV: own id or nothing, name, data, options, delay in milliseconds, priority. Answers 1 or -3 and its id.
if is_foreign() then
  return { -30, '' }
end
local id = tostring(redis.call('INCR', at('id')))
if ARGV[1] ~= '' then
  id = ARGV[1]
  if redis.call('EXISTS', at(id)) == 1 then
    publish('duplicated@qtop', id)
    return { -3, id }
  end
end
local moment, delay = now(), tonumber(ARGV[5])
redis.call('HSET', at(id), 'name', ARGV[2], 'data', ARGV[3], 'opts', ARGV[4], 'timestamp', string.format('%.0f', moment),
  'delay', delay, 'priority', ARGV[6])
if delay > 0 then
  local due = moment + delay
  redis.call('ZADD', at('delayed'), string.format('%.0f', due * 4096 + (tonumber(id) or 0) % 4096), id)
  -- Workers set their timers by it; without it they notice at their next look only.
  publish('delayed', string.format('%.0f', due))
else
  put(id, option(id, 'lifo') == true)
end
return { 1, id }
