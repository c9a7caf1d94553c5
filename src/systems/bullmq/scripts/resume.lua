-- Resumes the queue. Merges what stands in `paused` into `wait` whatever library put it there; a RENAME over an
-- existing `wait` would lose it. ARGV[1]: jobs to move in this call. Answers the number of jobs still to move;
-- the pause ends with the call that answers 0.
local stop = lacks('HDEL', 'RENAME', 'RPUSH', 'ZADD', 'XADD')
if stop then
  return stop
end
local left = tonumber(ARGV[1])
if redis.call('EXISTS', at('paused')) == 1 then
  if redis.call('EXISTS', at('wait')) == 0 then
    redis.call('RENAME', at('paused'), at('wait'))
  else
    while left > 0 do
      local id = redis.call('LPOP', at('paused'))
      if not id then
        break
      end
      redis.call('RPUSH', at('wait'), id)
      left = left - 1
    end
  end
end
local rest = redis.call('LLEN', at('paused'))
if rest > 0 then
  return rest
end
redis.call('HDEL', at('meta'), 'paused')
if redis.call('EXISTS', at('wait')) == 1 or redis.call('EXISTS', at('prioritized')) == 1 then
  wake(nil)
else
  wake_for_delayed(nil)
end
emit(nil, 'event', 'resumed')
return 0
