-- Puts a job back. ARGV: id, token, `retry` (an attempt has ended), `return` (next to run, as if it had not been taken)
-- or `postpone` (later, no attempt is counted), wait in ms, reason, trace, `1` if the attempt killed its worker, then as
-- for `take`. Answers like the script that ends a job.
local id, token, kind, delay = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local job, time = at(id), now()
local freed = unlock(id, token)
if freed ~= 1 then
  return freed
end
local lifo = option(job, 'lifo') == true
if kind == 'retry' then
  redis.call('HINCRBY', job, made_field(), 1)
  redis.call('HSET', job, 'failedReason', ARGV[5])
  keep_trace(id, ARGV[6])
  if ARGV[7] == '1' then
    redis.call('HINCRBY', job, 'stc', 1)
  end
end
if delay > 0 then
  redis.call('HSET', job, 'delay', delay)
  redis.call('ZADD', at('delayed'), score_text(delayed_score(nil, time + delay)), id)
  say('event', 'delayed', 'jobId', id, 'delay', time + delay)
  wake_for_delayed()
else
  local priority = tonumber(redis.call('HGET', job, 'priority')) or 0
  to_wait(nil, id, priority, kind == 'return' or lifo)
  say('event', 'waiting', 'jobId', id, 'prev', 'active')
end
return answer_of(8, time)
