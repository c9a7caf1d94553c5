-- Puts held jobs back. KEYS: queue, where they are held. ARGV: how many at most.
-- A job without a definition would be failed by a worker, and one with a result has run: those go.
-- Answers how many were looked at.
local stop = forbidden({
  { 'ZADD', KEYS[1], 'NX', '1', 'x' }, { 'PEXPIRE', 'arq:job:x', '1' }, { 'ZREM', KEYS[2], 'x' },
})
if stop then
  return stop
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local entries = redis.call('ZRANGE', KEYS[2], 0, tonumber(ARGV[1]) - 1, 'WITHSCORES')
for at = 1, #entries, 2 do
  local id, score = entries[at], entries[at + 1]
  local job = 'arq:job:' .. id
  if redis.call('EXISTS', job) == 1 and redis.call('EXISTS', 'arq:result:' .. id) == 0 then
    redis.call('ZADD', KEYS[1], 'NX', score, id)
    local left = math.max(tonumber(score) - now, 0) + 86400000
    redis.call('PEXPIRE', job, string.format('%d', left))
  end
  redis.call('ZREM', KEYS[2], id)
end
return #entries / 2
