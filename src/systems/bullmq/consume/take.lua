-- 4.x leaves calls to look again among the jobs.
local MARK = '0:'

-- Moves up to `want` waiting jobs to the running ones; answers their ids in the order in which they are to run.
local function pop(want)
  local ids = {}
  if want == 1 then
    local id = call('RPOPLPUSH', at('wait'), active)
    if id and string.sub(id, 1, 2) ~= MARK then
      ids[1] = id
      return ids
    elseif id then
      call('LREM', active, 1, id)
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
    call('LPUSH', active, unpack(ids))
  end
  return ids
end

-- Takes up to `want` jobs. ARGV from `from`: what their locks hold, ms for which they hold, name of the worker, rate limit
-- (0: none) and its window in ms. `woken`: by a call that others wait for, too; else with the outcome of a job. `all_due`:
-- there is no delayed job that could be due. The answer ends with ms until it is worth asking again or -1, and ms for which
-- a rate limit holds or -1; the jobs are added to it.
local function take(answer, want, from, woken, all_due)
  local token, lease, worker = ARGV[from], ARGV[from + 1], ARGV[from + 2]
  local patience, hold = #answer - 1, #answer
  if not all_due then
    local next_due = call('ZRANGE', at('delayed'), 0, 0, 'WITHSCORES')
    if next_due[2] and tonumber(next_due[2]) < (time + 1) * 4096 then
      common().promote_due(time)
    end
  end
  local most, window, left = tonumber(settings[3]), settings[4] or ARGV[from + 4], want
  if not most then
    most, window = tonumber(ARGV[from + 3]), ARGV[from + 4]
  end
  if most > 0 then
    left = most - (tonumber(call('GET', at('limiter'))) or 0)
    if left <= 0 then
      local ends = call('PTTL', at('limiter'))
      if ends > 0 then
        answer[hold] = ends
        return
      end
      call('DEL', at('limiter'))
      left = most
    end
  end
  local at_once = tonumber(settings[2])
  if settings[1] then
    want = 0
  elseif at_once then
    want = math.min(want, at_once - call('LLEN', active))
  end
  local taken = 0
  while taken < want and left > 0 do
    local ids = pop(math.min(want - taken, left))
    if #ids == 0 then
      break
    end
    local started, doomed = start(answer, ids, token, lease, worker)
    taken = taken + started
    local counted = started - doomed
    if most > 0 and counted > 0 then
      left = left - counted
      if call('INCRBY', at('limiter'), counted) == counted then
        call('PEXPIRE', at('limiter'), window)
      end
    end
  end
  -- Whoever is woken uses the call up, so that it is made again for the next. Under a limit to the whole queue others may
  -- have been woken for nothing before.
  if taken > 0 and (woken or at_once) and (call('LLEN', at('wait')) > 0 or call('ZCARD', at('prioritized')) > 0) then
    call('ZADD', at('marker'), 0, '0')
  end
  if taken < want then
    local next_due = call('ZRANGE', at('delayed'), 0, 0, 'WITHSCORES')
    if next_due[2] then
      answer[patience] = math.max(1, math.floor(tonumber(next_due[2]) / 4096) - time)
    end
  end
  if major_version == 4 and (answer[patience] < 0 or answer[patience] > 1000) then
    -- Producers of 4.x wake nobody who waits for a marker.
    answer[patience] = 1000
  end
end
