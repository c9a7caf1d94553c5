-- Deletes what is left of an emptied queue: the queue's own keys, when no job is in any state any more.
-- ARGV[1]: `1` also if it is not paused. Answers 1, or -14 if it is not paused, or -15 if there are still jobs.
if ARGV[1] ~= '1' and redis.call('HEXISTS', at('meta'), 'paused') == 0 then
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
redis.call('DEL', at('events'), at('id'), at('pc'), at('marker'), at('stalled'), at('stalled-check'), at('repeat'),
  at('limiter'), at('metrics:completed'), at('metrics:completed:data'), at('metrics:failed'),
  at('metrics:failed:data'), at('meta'))
return 1
