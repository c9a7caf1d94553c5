-- Adds a job. ARGV: own id or nothing, name, data, options, delay in milliseconds, priority, debounce id or nothing,
-- how long that holds in milliseconds (0: until the job has ended). Answers 1 or -3 and the id that is there.
local stop = lacks('INCR', 'HSET', 'SET', unpack(PUT))
if stop then
  return stop
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
redis.call('HSET', at(id), 'name', ARGV[2], 'data', ARGV[3], 'opts', ARGV[4], 'timestamp', score_text(now()),
  'delay', delay, 'priority', ARGV[6])
if delay > 0 then
  put_later(id, delay)
else
  put(id, option(at(id), 'lifo') == true)
end
return { 1, id }
