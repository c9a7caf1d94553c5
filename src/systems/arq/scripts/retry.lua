-- Makes definitions of results and queues them again under their old ids. KEYS: queue. ARGV, for each job: id, SHA-1 of
-- the result it was made from, definition. Answers one integer per job: 1 done, 0 it runs, -1 its result is gone, -3 its
-- result is another one by now, -5 it is in the queue already.
local first = ARGV[1] or ''
local stop = forbidden({
  { 'SET', 'arq:job:' .. first, 'x' }, { 'DEL', 'arq:result:' .. first, 'arq:retry:' .. first },
  { 'ZREM', 'arq:abort', first }, { 'ZADD', KEYS[1], '1', first },
})
if stop then
  return stop
end
local time = redis.call('TIME')
local now = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000))
local results = {}
for at = 1, #ARGV, 3 do
  local id = ARGV[at]
  local stored = redis.call('GET', 'arq:result:' .. id)
  local verdict = 1
  if not stored then
    verdict = -1
  elseif redis.sha1hex(stored) ~= ARGV[at + 1] then
    verdict = -3
  elseif redis.call('EXISTS', 'arq:in-progress:' .. id) == 1 then
    verdict = 0
  elseif redis.call('ZSCORE', KEYS[1], id) then
    verdict = -5
  else
    redis.call('SET', 'arq:job:' .. id, ARGV[at + 2], 'PX', '86400000')
    redis.call('DEL', 'arq:result:' .. id, 'arq:retry:' .. id)
    redis.call('ZREM', 'arq:abort', id)
    redis.call('ZADD', KEYS[1], now, id)
  end
  results[#results + 1] = verdict
end
return results
