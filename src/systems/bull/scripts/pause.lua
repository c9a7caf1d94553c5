-- Pauses or resumes the queue. ARGV: `1` to pause, most jobs that are moved one by one. Answers 1, 0 if there are more to
-- be moved, -3 if it is so already.
local stop = lacks('SET', 'DEL', 'HSET', 'HDEL', 'RENAME', 'RPOPLPUSH')
if stop then
  return stop
end
local wanted, most = ARGV[1] == '1', tonumber(ARGV[2])
local from, to = at('wait'), at('paused')
if not wanted then
  from, to = to, from
end
local was = paused()
-- Jobs on the wrong side of a flag that is right already were stranded by another program.
if was == wanted and redis.call('EXISTS', from) == 0 then
  return -3
end
-- RENAME would overwrite what an older client left there.
if redis.call('EXISTS', from) == 1 then
  if redis.call('EXISTS', to) == 0 then
    redis.call('RENAME', from, to)
  else
    for _ = 1, most do
      if not redis.call('RPOPLPUSH', from, to) then
        break
      end
    end
  end
end
if wanted then
  redis.call('SET', at('meta-paused'), 1)
  redis.call('HSET', at('meta'), 'paused', 1)
else
  redis.call('DEL', at('meta-paused'))
  redis.call('HDEL', at('meta'), 'paused')
end
if redis.call('EXISTS', from) == 1 then
  return 0
end
publish(wanted and 'paused' or 'resumed', '')
return 1
