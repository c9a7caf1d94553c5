-- Tells sleeping workers to look again, for what waits and for what is delayed.
if redis.call('EXISTS', at('wait')) == 1 or redis.call('EXISTS', at('prioritized')) == 1 then
  wake(nil)
end
wake_for_delayed(nil)
return 1
