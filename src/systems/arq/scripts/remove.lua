-- Deletes jobs that do not run. KEYS: queue, what is held back of it. ARGV: ids ….
-- Answers one integer per job: 1 done, 0 it runs, -1 it is not there.
local first = ARGV[1] or ''
local stop = forbidden({
  { 'ZREM', KEYS[1], first }, { 'ZREM', KEYS[2], first },
  { 'DEL', 'arq:job:' .. first, 'arq:retry:' .. first }, { 'ZREM', 'arq:abort', first },
})
if stop then
  return stop
end
local results = {}
for at = 1, #ARGV do
  local id = ARGV[at]
  local verdict = 1
  if redis.call('EXISTS', 'arq:in-progress:' .. id) == 1 then
    -- Without its entry it would run on all the same, and if it asks to be tried again, come back without a definition.
    verdict = 0
  elseif redis.call('ZREM', KEYS[1], id) + redis.call('ZREM', KEYS[2], id) == 0 then
    verdict = -1
  else
    redis.call('DEL', 'arq:job:' .. id, 'arq:retry:' .. id)
    redis.call('ZREM', 'arq:abort', id)
  end
  results[#results + 1] = verdict
end
return results
