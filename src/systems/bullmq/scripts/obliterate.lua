-- Deletes what is left of an emptied queue: the queue's own keys, when no job is in any state any more.
-- ARGV[1]: `1` also if it is not paused. Answers 1, or -14 if it is not paused, or -15 if there are still jobs.
local stop = lacks('DEL')
if stop then
  return stop
end
if ARGV[1] ~= '1' and not paused(nil) then
  return -14
end
for _, list in ipairs({ 'wait', 'paused', 'active' }) do
  if redis.call('LLEN', at(list)) > 0 then
    return -15
  end
end
for _, set in ipairs({ 'completed', 'failed', 'delayed', 'prioritized', 'waiting-children' }) do
  if redis.call('ZCARD', at(set)) > 0 then
    return -15
  end
end
-- What only Bull or only BullMQ has is missing at the other.
redis.call('DEL', at('events'), at('id'), at('pc'), at('marker'), at('stalled'), at('stalled-check'), at('repeat'),
  at('limiter'), at('limiter:limited'), at('limiter:index'), at('priority'), at('metrics:completed'),
  at('metrics:completed:data'), at('metrics:failed'), at('metrics:failed:data'), at('meta'), at('meta-paused'))
return 1
