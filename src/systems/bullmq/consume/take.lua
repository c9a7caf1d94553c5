-- 4.x leaves calls to look again among the jobs.
local MARK = '0:'

-- Moves up to `want` waiting jobs to the running ones; answers their ids in the order in which they are to run.
local function pop(want)
  local ids = {}
  if want == 1 then
    local id = call('RPOPLPUSH', at('wait'), at('active'))
    if id and string.sub(id, 1, 2) ~= MARK then
      ids[1] = id
      return ids
    elseif id then
      call('LREM', at('active'), 1, id)
    end
  end
  while #ids < want do
    local last = call('LRANGE', at('wait'), #ids - want, -1)
    if #last == 0 then
      break
    end
    call('LTRIM', at('wait'), 0, -#last - 1)
    for index = #last, 1, -1 do
      if string.sub(last[index], 1, 2) ~= MARK then
        ids[#ids + 1] = last[index]
      end
    end
  end
  if #ids < want then
    local first = call('ZPOPMIN', at('prioritized'), want - #ids)
    for index = 1, #first, 2 do
      ids[#ids + 1] = first[index]
    end
    if #first == 0 then
      call('DEL', at('pc'))
    end
  end
  if #ids > 0 then
    call('LPUSH', at('active'), unpack(ids))
  end
  return ids
end

-- Takes up to `want` jobs. ARGV from `from`: what their locks hold, ms for which they hold, name of the worker, rate limit
-- (0: none) and its window in ms. `woken`: by a call that others wait for, too; else with the outcome of a job. `all_due`:
-- there is no delayed job that could be due. Answers now, ms until it is worth asking again or -1, ms for which a rate limit
-- holds or -1, then 6 values for each job: id, name, data, options, time of its creation and its past, empty if it has none:
-- attempts made, workers lost, starts, reason for which it is to fail.
local function take(want, from, time, woken, all_due)
  local token, lock, worker = ARGV[from], ARGV[from + 1], ARGV[from + 2]
  local most, window = tonumber(ARGV[from + 3]), tonumber(ARGV[from + 4])
  local queue, moment = queue_settings(), score_text(time)
  local answer, filled = { time, -1, -1 }, 3
  if not all_due then
    common().promote_due(time)
  end
  if queue.max then
    most, window = queue.max, queue.duration or window
  end
  local left = math.huge
  if most > 0 then
    left = most - (tonumber(call('GET', at('limiter'))) or 0)
    if left <= 0 then
      local ends = call('PTTL', at('limiter'))
      if ends > 0 then
        answer[3] = ends
        return answer
      end
      call('DEL', at('limiter'))
      left = most
    end
  end
  if queue.paused then
    want = 0
  elseif queue.concurrency then
    want = math.min(want, queue.concurrency - call('LLEN', at('active')))
  end
  local taken = 0
  while taken < want and left > 0 do
    local ids = pop(math.min(want - taken, left))
    if #ids == 0 then
      break
    end
    for _, id in ipairs(ids) do
      local job = base .. ':' .. id
      local found = call('HMGET', job, 'name', 'data', 'opts', 'timestamp', queue.made, queue.deaths, 'defa', 'ats')
      if not found[1] and not found[2] then
        -- The id of a job whose record is gone: there is nothing to run.
        call('LREM', at('active'), 1, id)
      else
        if most > 0 and not found[7] then
          left = left - 1
          if call('INCR', at('limiter')) == 1 then
            call('PEXPIRE', at('limiter'), window)
          end
        end
        local started = '1'
        if found[8] then
          started = string.format('%d', (tonumber(found[8]) or 0) + 1)
        end
        call('SET', job .. ':lock', token, 'PX', lock)
        call('HSET', job, 'processedOn', moment, 'pb', worker, 'ats', started)
        say('event', 'active', 'jobId', id, 'prev', 'waiting')
        taken = taken + 1
        answer[filled + 1], answer[filled + 2], answer[filled + 3] = id, found[1] or '', found[2] or ''
        answer[filled + 4], answer[filled + 5] = found[3] or '', found[4] or ''
        if found[5] or found[6] or found[7] or found[8] then
          answer[filled + 6] = (found[5] or '0') .. ' ' .. (found[6] or '0') .. ' ' .. started .. ' ' .. (found[7] or '')
        else
          answer[filled + 6] = ''
        end
        filled = filled + 6
      end
    end
  end
  -- Whoever is woken uses the call up, so that it is made again for the next. Under a limit to the whole queue others may
  -- have been woken for nothing before.
  if taken > 0 and (woken or queue.concurrency)
    and (call('LLEN', at('wait')) > 0 or call('ZCARD', at('prioritized')) > 0) then
    call('ZADD', at('marker'), 0, '0')
  end
  if taken < want then
    local first = call('ZRANGE', at('delayed'), 0, 0, 'WITHSCORES')
    if first[2] then
      answer[2] = math.max(1, math.floor(tonumber(first[2]) / 4096) - time)
    end
  end
  if queue.major == 4 and (answer[2] < 0 or answer[2] > 1000) then
    -- Producers of 4.x wake nobody who waits for a marker.
    answer[2] = 1000
  end
  return answer
end
