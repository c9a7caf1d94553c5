-- Ends a job for good. Its value is the result or the reason; `first`: jobs to keep, `second`: seconds to keep them, both -1
-- for no bound.
local function finish(one)
  local id, job, kind, value = one.id, one.job, one.kind, one.value
  local found = call('HMGET', job, made_field, 'deid', 'parent', 'timestamp')
  local wrong = trouble(job, one.token, found[1] or found[4])
  if wrong then
    return wrong
  end
  if kind == 'completed' then
    if call('SCARD', job .. ':dependencies') > 0 then
      return -4
    end
    if call('ZCARD', job .. ':unsuccessful') > 0 then
      return -9
    end
  end
  -- An error before anything is written, if the set in which jobs end is none.
  call('ZCARD', at(kind))
  if not let_go(id) then
    return -3
  end
  keep_trace(one)
  if found[2] then
    end_deduplication(one, found[2])
  end
  if found[3] then
    common().parents().tell_parent(one, found[3], time)
  end
  local made = string.format('%d', (tonumber(found[1]) or 0) + 1)
  local field = kind == 'completed' and 'returnvalue' or 'failedReason'
  say('event', kind, 'jobId', id, field, value, 'prev', 'active')
  if kind == 'failed' and tonumber(made) >= one.allowed then
    say('event', 'retries-exhausted', 'jobId', id, 'attemptsMade', made)
  end
  if one.first == 0 then
    delete(id, found[3])
    return 1
  end
  call('HSET', job, made_field, made, field, value, 'finishedOn', moment)
  if kind == 'failed' then
    call('HDEL', job, 'defa')
  end
  call('ZADD', at(kind), moment, id)
  return 1
end
