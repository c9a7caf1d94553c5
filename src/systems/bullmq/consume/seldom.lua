-- What few of the jobs need that end for good.

-- The deduplication id is free again, unless it has a time of its own; what came meanwhile may run now.
local function end_deduplication(one, dedup)
  local owner = at('de:' .. dedup)
  common().parents().free_deduplication(nil, one.id, dedup)
  local later = at('dn:' .. dedup)
  local found = call('HMGET', later, 'name', 'data', 'opts', 'pk', 'pd', 'pdk', 'rjk', 'jid')
  if not found[3] then
    return
  end
  local options = cjson.decode(found[3])
  local own = options.de or {}
  local new = tostring(call('INCR', at('id')))
  new = found[8] or new
  if own.keepLastIfActive or not own.ttl then
    call('SET', owner, new)
  else
    call('SET', owner, new, 'PX', own.ttl)
  end
  local delay, priority = tonumber(options.delay) or 0, tonumber(options.priority) or 0
  call('HSET', at(new), 'name', found[1] or '', 'data', found[2] or '{}', 'opts', found[3], 'timestamp', time,
    'delay', delay, 'priority', priority, 'deid', dedup)
  for index, field in pairs({ [4] = 'parentKey', [5] = 'parent', [7] = 'rjk' }) do
    if found[index] then
      call('HSET', at(new), field, found[index])
    end
  end
  say('event', 'added', 'jobId', new, 'name', found[1] or '')
  if delay > 0 then
    call('ZADD', at('delayed'), score_text(common().delayed_score(nil, time + delay)), new)
    say('event', 'delayed', 'jobId', new, 'delay', time + delay)
    common().wake_for_delayed()
  else
    common().to_wait(nil, new, priority, options.lifo == true)
    say('event', 'waiting', 'jobId', new)
  end
  if found[6] then
    call('SADD', found[6], at(new))
  end
  call('DEL', later)
end

-- Deletes a finished job with what belongs to it. Its place in a parent's results stays, but no parent waits for it any
-- longer; a deduplication id with a time of its own outlives the job.
local function delete(old, has_parent)
  local record = at(old)
  if has_parent then
    common().release_parent(record)
  end
  call('DEL', record, record .. ':logs', record .. ':dependencies', record .. ':processed', record .. ':failed',
    record .. ':unsuccessful')
end

-- Deletes the ended jobs that are beyond the bounds: jobs to keep and seconds to keep them, -1 for no bound.
local function delete_beyond(set, count, age)
  local function delete_all(olds)
    for _, old in ipairs(olds) do
      call('ZREM', set, old)
      delete(old, call('HEXISTS', at(old), 'parent') == 1)
    end
  end
  if age >= 0 then
    delete_all(call('ZRANGEBYSCORE', set, '-inf', time - age * 1000, 'LIMIT', 0, 1000))
  end
  if count > 0 then
    -- The newest stay. In steps, so that a new bound on an old queue does not hold up the server.
    delete_all(call('ZREVRANGE', set, count, count + 999))
  end
end

-- One number a minute, for those who have these figures on.
local function count_minute(target, more)
  local key = at('metrics:' .. target)
  if call('EXISTS', key) == 0 then
    return
  end
  local before = call('HINCRBY', key, 'count', more) - more
  local found = call('HMGET', key, 'prevTS', 'prevCount')
  local last = tonumber(found[1])
  if not last then
    call('HSET', key, 'prevTS', time, 'prevCount', 0)
    return
  end
  local minutes = math.min(math.floor(time / 60000) - math.floor(last / 60000), 20160)
  if minutes > 0 then
    call('LPUSH', key .. ':data', before - (tonumber(found[2]) or 0))
    for _ = 2, minutes do
      call('LPUSH', key .. ':data', 0)
    end
    call('LTRIM', key .. ':data', 0, 20159)
    call('HSET', key, 'prevCount', before, 'prevTS', time)
  end
end

-- Keeps the trace of one more failed attempt, as many as the job's options allow.
local function keep_trace(one)
  if one.trace == '' then
    return
  end
  local ok, traces = pcall(cjson.decode, call('HGET', one.job, 'stacktrace') or '[]')
  if not ok or type(traces) ~= 'table' then
    traces = {}
  end
  traces[#traces + 1] = one.trace
  local most = tonumber(option(one.job, 'stackTraceLimit')) or 20
  while #traces > most do
    table.remove(traces, 1)
  end
  call('HSET', one.job, 'stacktrace', #traces > 0 and cjson.encode(traces) or '[]')
end

-- Tells that there is nothing left to do, if a job has ended.
local function tell_drained()
  local left = call('LLEN', at('wait')) + call('LLEN', active) + call('ZCARD', at('prioritized'))
  if left == 0 and next(ends) then
    say('event', 'drained')
  end
end
