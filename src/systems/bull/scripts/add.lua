-- Adds a job. ARGV: own id or nothing, name, data, options, delay in milliseconds, priority, debounce id or nothing,
-- how long that holds in milliseconds (0: until the job has ended), id of a job whose data is taken in place of that
-- given, or nothing. Answers 1 or -3 and the id that is there, or -1: there is no such job.
local stop = lacks('INCR', 'HSET', 'SET', unpack(PUT))
if stop then
  return stop
end
local data = ARGV[3]
if ARGV[9] ~= '' then
  if redis.call('HEXISTS', at(ARGV[9]), 'name') == 0 then
    return { -1, '' }
  end
  data = redis.call('HGET', at(ARGV[9]), 'data') or '{}'
end
local id = tostring(redis.call('INCR', at('id')))
if ARGV[1] ~= '' then
  id = ARGV[1]
  if redis.call('EXISTS', at(id)) == 1 then
    publish('duplicated@qtop', id)
    return { -3, id }
  end
end
local debounce, hold = ARGV[7], tonumber(ARGV[8])
if debounce ~= '' then
  local key = at('de:') .. debounce
  local held = redis.call('GET', key)
  if held then
    publish('debounced@qtop', held)
    return { -3, held }
  elseif hold > 0 then
    redis.call('SET', key, id, 'PX', hold)
  else
    redis.call('SET', key, id)
  end
  redis.call('HSET', at(id), 'deid', debounce)
end
local delay = tonumber(ARGV[5])
redis.call('HSET', at(id), 'name', ARGV[2], 'data', data, 'opts', ARGV[4], 'timestamp', score_text(now()),
  'delay', delay, 'priority', ARGV[6])
if delay > 0 then
  put_later(id, delay)
else
  put(id, option(at(id), 'lifo') == true)
end
return { 1, id }
