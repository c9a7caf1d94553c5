-- Pauses the queue in the way of the library that owns it. Answers 1, or 0 if it was paused already.
local stop = lacks('HSET', 'DEL', 'RENAME', 'XADD')
if stop then
  return stop
end
if paused(nil) then
  return 0
end
if renames_on_pause(nil) and redis.call('EXISTS', at('wait')) == 1 then
  if redis.call('EXISTS', at('paused')) == 0 then
    redis.call('RENAME', at('wait'), at('paused'))
  elseif redis.call('LLEN', at('wait')) <= 5000 then
    -- Leftovers of an earlier pause: the older jobs stay at the end that runs first. Above the limit the jobs stay
    -- in `wait`, which no version touches while the flag is set, rather than holding up the server.
    while redis.call('RPOPLPUSH', at('wait'), at('paused')) do
    end
  end
end
redis.call('HSET', at('meta'), 'paused', 1)
redis.call('DEL', at('marker'))
emit(nil, 'event', 'paused')
return 1
