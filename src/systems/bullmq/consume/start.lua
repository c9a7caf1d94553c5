-- Starts the jobs `ids`, which were moved to the running ones, and adds 6 values for each to the answer: id, name, data,
-- options, time of its creation and its past, empty if it has none: attempts made, workers lost, starts, reason for which
-- it is to fail. The plain way has this text for itself, all others have it as a function.
local filled, started, doomed = #answer, 0, 0
for index = 1, #ids do
  local id = ids[index]
  local job = base .. ':' .. id
  local found = redis.pcall('HMGET', job, 'name', 'data', 'opts', 'timestamp', made_field, deaths_field, 'ats', 'defa')
  if not found[1] and not found[2] then
    -- The id of a job whose record is gone: there is nothing to run.
    call('LREM', active, 1, id)
  else
    local starts = found[7] and string.format('%d', (tonumber(found[7]) or 0) + 1) or '1'
    call('SET', job .. ':lock', token, 'PX', lease)
    call('HSET', job, 'processedOn', moment, 'pb', worker, 'ats', starts)
    call('XADD', events, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
    answer[filled + 1], answer[filled + 2], answer[filled + 3] = id, found[1] or '', found[2] or ''
    answer[filled + 4], answer[filled + 5], answer[filled + 6] = found[3] or '', found[4] or '', ''
    if found[5] or found[6] or found[7] or found[8] then
      answer[filled + 6] = (found[5] or '0') .. ' ' .. (found[6] or '0') .. ' ' .. starts .. ' ' .. (found[8] or '')
      doomed = found[8] and doomed + 1 or doomed
    end
    filled, started = filled + 6, started + 1
  end
end
