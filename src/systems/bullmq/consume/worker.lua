-- What a worker does, on top of the common part. The queue's settings are read once a script.
local settings

local function queue_settings()
  if not settings then
    local found = redis.call('HMGET', at('meta'), 'paused', 'concurrency', 'max', 'duration', 'version', 'opts.maxLenEvents')
    settings = {
      paused = found[1] ~= false,
      concurrency = tonumber(found[2]),
      max = tonumber(found[3]),
      duration = tonumber(found[4]),
      major = found[5] and tonumber(string.match(found[5], '^bullmq[^:]*:(%d+)')),
      events = tonumber(found[6]) or 10000,
    }
  end
  return settings
end

local function say(...)
  redis.call('XADD', at('events'), 'MAXLEN', '~', queue_settings().events, '*', ...)
end

local function made_field()
  return queue_settings().major == 4 and 'attemptsMade' or 'atm'
end

-- Makes due jobs runnable.
local function promote_due(time)
  local due = redis.call('ZRANGEBYSCORE', at('delayed'), 0, score_text((time + 1) * 4096 - 1), 'LIMIT', 0, 1000)
  if #due == 0 then
    return
  end
  local waiting = waiting_list()
  for _, id in ipairs(due) do
    redis.call('ZREM', at('delayed'), id)
    local priority = tonumber(redis.call('HGET', at(id), 'priority')) or 0
    if priority > 0 then
      redis.call('ZADD', at('prioritized'), priority_score(nil, priority), id)
    else
      redis.call('LPUSH', waiting, id)
    end
    redis.call('HSET', at(id), 'delay', 0)
    say('event', 'waiting', 'jobId', id, 'prev', 'delayed')
  end
end

local function pop()
  while true do
    local id = redis.call('RPOPLPUSH', at('wait'), at('active'))
    if not id then
      local first = redis.call('ZPOPMIN', at('prioritized'))
      if first[1] then
        redis.call('LPUSH', at('active'), first[1])
        return first[1]
      end
      redis.call('DEL', at('pc'))
      return nil
    end
    if string.sub(id, 1, 2) ~= '0:' then
      return id
    end
    -- A call to look again, as 4.x leaves it among the jobs.
    redis.call('LREM', at('active'), 1, id)
  end
end

-- Takes jobs. ARGV from `from`: how many, start of the lock tokens, number of the first, ms for which a lock holds, name
-- of the worker, rate limit (0: none) and its window in ms. Answers now, ms until it is worth asking again or -1, ms for
-- which a rate limit holds or -1, then 9 values for each job.
local function take(from, time)
  local want, token, number = tonumber(ARGV[from]), ARGV[from + 1], tonumber(ARGV[from + 2])
  local lock, worker = ARGV[from + 3], ARGV[from + 4]
  local most, window = tonumber(ARGV[from + 5]), tonumber(ARGV[from + 6])
  local queue = queue_settings()
  local answer = { time, -1, -1 }
  promote_due(time)
  if queue.max then
    most, window = queue.max, queue.duration or window
  end
  local left = math.huge
  if most > 0 then
    left = most - (tonumber(redis.call('GET', at('limiter'))) or 0)
    if left <= 0 then
      local ends = redis.call('PTTL', at('limiter'))
      if ends > 0 then
        answer[3] = ends
        return answer
      end
      redis.call('DEL', at('limiter'))
      left = most
    end
  end
  if queue.paused then
    want = 0
  elseif queue.concurrency then
    want = math.min(want, queue.concurrency - redis.call('LLEN', at('active')))
  end
  local taken = 0
  while taken < want and left > 0 do
    local id = pop()
    if not id then
      break
    end
    local job = at(id)
    local found = redis.call('HMGET', job, 'name', 'data', 'opts', 'timestamp', made_field(), 'stc', 'defa', 'rjk', 'delay')
    if not found[1] and not found[2] then
      -- The id of a job whose record is gone: there is nothing to run.
      redis.call('LREM', at('active'), 1, id)
    else
      if most > 0 and not found[7] then
        left = left - 1
        if redis.call('INCR', at('limiter')) == 1 then
          redis.call('PEXPIRE', at('limiter'), window)
        end
      end
      redis.call('SET', job .. ':lock', token .. ':' .. (number + taken), 'PX', lock)
      redis.call('HSET', job, 'processedOn', time, 'pb', worker)
      local started = redis.call('HINCRBY', job, 'ats', 1)
      say('event', 'active', 'jobId', id, 'prev', 'waiting')
      taken = taken + 1
      answer[#answer + 1] = id
      for index = 1, 8 do
        answer[#answer + 1] = found[index] or ''
      end
      answer[#answer + 1] = started
    end
  end
  if taken > 0 and (redis.call('LLEN', at('wait')) > 0 or redis.call('ZCARD', at('prioritized')) > 0) then
    redis.call('ZADD', at('marker'), 0, '0')
  end
  if taken < want then
    local first = redis.call('ZRANGE', at('delayed'), 0, 0, 'WITHSCORES')
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

-- Takes the lock away if it is ours: 1, or what is wrong.
local function unlock(id, token)
  local job = at(id)
  if redis.call('EXISTS', job) == 0 then
    return -1
  end
  local holder = redis.call('GET', job .. ':lock')
  if holder ~= token then
    return holder and -6 or -2
  end
  if redis.call('LREM', at('active'), -1, id) == 0 then
    return -3
  end
  redis.call('DEL', job .. ':lock')
  redis.call('SREM', at('stalled'), id)
  return 1
end

-- Keeps the trace of one more failed attempt, as many as the job's options allow.
local function keep_trace(id, trace)
  if trace == '' then
    return
  end
  local ok, traces = pcall(cjson.decode, redis.call('HGET', at(id), 'stacktrace') or '[]')
  if not ok or type(traces) ~= 'table' then
    traces = {}
  end
  traces[#traces + 1] = trace
  local most = tonumber(option(at(id), 'stackTraceLimit')) or 20
  while #traces > most do
    table.remove(traces, 1)
  end
  redis.call('HSET', at(id), 'stacktrace', #traces > 0 and cjson.encode(traces) or '[]')
end

local function answer_of(from, time)
  if tonumber(ARGV[from]) > 0 then
    return take(from, time)
  end
  return { time, -1, -1 }
end
