-- Puts a job back: `retry` (an attempt has ended; its value is the reason), `return` (next to run, as if it had not been
-- taken) or `postpone` (later, no attempt is counted). `first`: wait in ms; `second`: 1 if the attempt killed its worker.
local function again(one)
  local job, delay = one.job, one.first
  local wrong = trouble(job, one.token, false)
  if wrong then
    return wrong
  end
  if not let_go(one.id) then
    return -3
  end
  if one.kind == 'retry' then
    call('HINCRBY', job, made_field, 1)
    call('HSET', job, 'failedReason', one.value)
    keep_trace(one)
    if one.second == 1 then
      call('HINCRBY', job, deaths_field, 1)
    end
  end
  if delay > 0 then
    call('HSET', job, 'delay', delay)
    call('ZADD', at('delayed'), score_text(common().delayed_score(nil, time + delay)), one.id)
    say('event', 'delayed', 'jobId', one.id, 'delay', time + delay)
    common().wake_for_delayed()
  else
    local priority = tonumber(call('HGET', job, 'priority')) or 0
    common().to_wait(nil, one.id, priority, one.kind == 'return' or option(job, 'lifo') == true)
    say('event', 'waiting', 'jobId', one.id, 'prev', 'active')
  end
  return 1
end
