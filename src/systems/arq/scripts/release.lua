-- Takes the locks of jobs whose worker is gone. KEYS: queue, health check. ARGV: `1` to do it although a worker shows a
-- sign of life, ids …. Answers one integer per job: 1 done, -3 it is not locked, -1 it is not in the queue, -7 a worker
-- lives.
local first = ARGV[2] or ''
local stop = forbidden({ { 'DEL', 'arq:in-progress:' .. first } })
if stop then
  return stop
end
local alive = ARGV[1] ~= '1' and redis.call('EXISTS', KEYS[2]) == 1
local results = {}
for at = 2, #ARGV do
  local id = ARGV[at]
  local verdict
  if alive then
    verdict = -7
  elseif not redis.call('ZSCORE', KEYS[1], id) then
    verdict = -1
  else
    verdict = redis.call('DEL', 'arq:in-progress:' .. id) == 1 and 1 or -3
  end
  results[#results + 1] = verdict
end
return results
