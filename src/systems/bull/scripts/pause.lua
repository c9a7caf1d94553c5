-- Pauses or resumes the queue. ARGV: `1` to pause. Answers -3 if it is so already.
local wanted = ARGV[1] == '1'
if is_foreign() then
  return -30
end
if is_paused() == wanted then
  return -3
end
local from, to = at('wait'), at('paused')
if not wanted then
  from, to = to, from
end
-- RENAME would overwrite what an older client left there.
if redis.call('EXISTS', from) == 1 then
  if redis.call('EXISTS', to) == 0 then
    redis.call('RENAME', from, to)
  else
    while redis.call('RPOPLPUSH', from, to) do end
  end
end
if wanted then
  redis.call('SET', at('meta-paused'), 1)
  redis.call('HSET', at('meta'), 'paused', 1)
  publish('paused', '')
else
  redis.call('DEL', at('meta-paused'))
  redis.call('HDEL', at('meta'), 'paused')
  publish('resumed', '')
end
return 1
