-- Gives jobs that do not run another time. KEYS: queue. ARGV: ms from now, ids ….
-- Answers one integer per job: 1 done, 0 it runs, -1 it is not in the queue, -6 it has no definition.
local first = ARGV[2] or ''
local stop = forbidden({ { 'ZADD', KEYS[1], 'XX', '1', first }, { 'PEXPIRE', 'arq:job:' .. first, '1' } })
if stop then
  return stop
end
local time = redis.call('TIME')
local by = tonumber(ARGV[1])
local score = time[1] * 1000 + math.floor(time[2] / 1000) + by
local results = {}
for at = 2, #ARGV do
  local id = ARGV[at]
  local job = 'arq:job:' .. id
  local verdict = 1
  if redis.call('EXISTS', 'arq:in-progress:' .. id) == 1 then
    -- A job that asks to be tried again moves its time by a difference: it must find the old one.
    verdict = 0
  elseif not redis.call('ZSCORE', KEYS[1], id) then
    verdict = -1
  elseif redis.call('EXISTS', job) == 0 then
    verdict = -6
  else
    redis.call('ZADD', KEYS[1], 'XX', string.format('%d', score), id)
    local left = redis.call('PTTL', job)
    if left >= 0 and left < by + 86400000 then
      redis.call('PEXPIRE', job, string.format('%d', by + 86400000))
    end
  end
  results[#results + 1] = verdict
end
return results
