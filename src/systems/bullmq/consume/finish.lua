-- Ends a job for good. Its value is the result or the reason; `first`: jobs to keep, `second`: seconds to keep them, both -1
-- for no bound.
local function finish(id, job, lock, holder, value, rest)
  local kind = ARGV[rest + 1]
  local made_field = queue_settings().made
  local found = call('HMGET', job, made_field, 'deid', 'parent', 'timestamp')
  local wrong = trouble(job, ARGV[rest], holder, found[1] or found[4])
  if wrong then
    return wrong
  end
  if kind == 'completed' and anything_rare then
    if call('SCARD', job .. ':dependencies') > 0 then
      return -4
    end
    if call('ZCARD', job .. ':unsuccessful') > 0 then
      return -9
    end
  end
  local members = ended[kind]
  if not members then
    -- An error before anything is written, if the set in which jobs end is none.
    call('ZCARD', at(kind))
    members = {}
    ended[kind] = members
  end
  if found[2] or found[3] then
    -- Others read what was only gathered until now.
    write_gathered()
    members = ended[kind]
  end
  if not let_go(id, lock) then
    return -3
  end
  if ARGV[rest + 2] ~= '' then
    rare().keep_trace(rare().spell_out(id, job, value, rest))
  end
  if found[2] then
    rare().end_deduplication(rare().spell_out(id, job, value, rest), found[2])
  end
  if found[3] then
    common().parents().tell_parent({ job = job, kind = kind, value = value }, found[3], time)
  end
  local made = '1'
  if found[1] and found[1] ~= '0' then
    made = string.format('%d', (tonumber(found[1]) or 0) + 1)
  end
  local field = kind == 'completed' and 'returnvalue' or 'failedReason'
  say('event', kind, 'jobId', id, field, value, 'prev', 'active')
  if kind == 'failed' and tonumber(made) >= tonumber(ARGV[rest + 5]) then
    say('event', 'retries-exhausted', 'jobId', id, 'attemptsMade', made)
  end
  if ARGV[rest + 3] == '0' then
    rare().delete(id, found[3])
    return 1
  end
  call('HSET', job, made_field, made, field, value, 'finishedOn', moment)
  if kind == 'failed' then
    call('HDEL', job, 'defa')
  end
  members[#members + 1] = moment
  members[#members + 1] = id
  return 1
end
