-- Moves jobs that do not run out of the reach of workers. KEYS: queue, where they are held. ARGV: rank from which to
-- look, how many to look at. Their definitions would expire a day after their time: they get thirty days.
-- Answers how many were looked at and how many of them stay.
local stop = forbidden({
  { 'ZADD', KEYS[2], '1', 'x' }, { 'ZREM', KEYS[1], 'x' }, { 'PEXPIRE', 'arq:job:x', '1' },
})
if stop then
  return stop
end
local from, count = tonumber(ARGV[1]), tonumber(ARGV[2])
local entries = redis.call('ZRANGE', KEYS[1], from, from + count - 1, 'WITHSCORES')
local stay = 0
for at = 1, #entries, 2 do
  local id = entries[at]
  if redis.call('EXISTS', 'arq:in-progress:' .. id) == 1 then
    stay = stay + 1
  else
    redis.call('ZADD', KEYS[2], entries[at + 1], id)
    redis.call('ZREM', KEYS[1], id)
    local job = 'arq:job:' .. id
    local left = redis.call('PTTL', job)
    if left >= 0 and left < 2592000000 then
      redis.call('PEXPIRE', job, '2592000000')
    end
  end
end
return { #entries / 2, stay }
