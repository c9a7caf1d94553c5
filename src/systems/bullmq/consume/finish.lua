-- Ends a job for good and may take the next. ARGV: id, token, `completed` or `failed`, return value or reason, trace of
-- the last attempt, jobs to keep (-1: all), seconds to keep them (-1: for ever), attempts allowed, then as for `take`.
-- Answers -1 no such job, -2 no lock, -3 not active, -4 children unfinished, -6 locked by another, -9 children failed.
local id, token, target, value = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local job, time = at(id), now()

local function release(queue, parent, delay_counts)
  local record = at(parent, queue)
  if redis.call('EXISTS', record) == 0 or redis.call('ZREM', at('waiting-children', queue), parent) == 0 then
    return false
  end
  local found = redis.call('HMGET', record, 'priority', 'delay')
  local delay = tonumber(found[2]) or 0
  if delay > 0 and delay_counts then
    redis.call('ZADD', at('delayed', queue), score_text(delayed_score(queue, time + delay)), parent)
    emit(queue, 'event', 'delayed', 'jobId', parent, 'delay', time + delay)
    wake_for_delayed(queue)
  else
    to_wait(queue, parent, tonumber(found[1]) or 0, true)
    emit(queue, 'event', 'waiting', 'jobId', parent, 'prev', 'waiting-children')
  end
  return true
end

local function release_if_last(queue, parent)
  if redis.call('SCARD', at(parent, queue) .. ':dependencies') == 0 then
    release(queue, parent, true)
  end
end

-- The parent fails with this child: at once if it waits, else when somebody runs it.
local function fail_parent(queue, parent)
  local record = at(parent, queue)
  if redis.call('EXISTS', record) == 0 or redis.call('ZSCORE', at('failed', queue), parent) then
    return
  end
  redis.call('HSET', record, 'defa', 'child ' .. job .. ' failed')
  if redis.call('ZREM', at('delayed', queue), parent) == 1 then
    redis.call('HSET', record, 'delay', 0)
    to_wait(queue, parent, tonumber(redis.call('HGET', record, 'priority')) or 0, true)
    emit(queue, 'event', 'waiting', 'jobId', parent, 'prev', 'delayed')
  else
    release(queue, parent, false)
  end
end

local function tell_parent()
  local stored = redis.call('HGET', job, 'parent')
  local queue, parent = parent_of(job)
  if not queue then
    return
  end
  local record = at(parent, queue)
  local policy = cjson.decode(stored)
  local known = target == 'completed' or policy.fpof or policy.cpof or policy.idof or policy.rdof
  -- Without a policy the parent goes on waiting for a retry of the failed child.
  if not known or redis.call('SREM', record .. ':dependencies', job) == 0 then
    return
  end
  if target == 'completed' then
    redis.call('HSET', record .. ':processed', job, value)
    release_if_last(queue, parent)
  elseif policy.fpof then
    redis.call('ZADD', record .. ':unsuccessful', time, job)
    fail_parent(queue, parent)
  elseif policy.cpof then
    redis.call('HSET', record .. ':failed', job, value)
    release(queue, parent, true)
  else
    if policy.idof then
      redis.call('HSET', record .. ':failed', job, value)
    end
    release_if_last(queue, parent)
  end
end

-- The deduplication id is free again, unless it has a time of its own; what came meanwhile may run now.
local function end_deduplication()
  local dedup = redis.call('HGET', job, 'deid')
  if not dedup then
    return
  end
  local owner = at('de:' .. dedup)
  local ends = redis.call('PTTL', owner)
  if ends == 0 or (ends == -1 and redis.call('GET', owner) == id) then
    redis.call('DEL', owner)
  end
  local later = at('dn:' .. dedup)
  local found = redis.call('HMGET', later, 'name', 'data', 'opts', 'pk', 'pd', 'pdk', 'rjk', 'jid')
  if not found[3] then
    return
  end
  local options = cjson.decode(found[3])
  local own = options.de or {}
  local new = tostring(redis.call('INCR', at('id')))
  new = found[8] or new
  if own.keepLastIfActive or not own.ttl then
    redis.call('SET', owner, new)
  else
    redis.call('SET', owner, new, 'PX', own.ttl)
  end
  local delay, priority = tonumber(options.delay) or 0, tonumber(options.priority) or 0
  redis.call('HSET', at(new), 'name', found[1] or '', 'data', found[2] or '{}', 'opts', found[3], 'timestamp', time,
    'delay', delay, 'priority', priority, 'deid', dedup)
  for index, field in pairs({ [4] = 'parentKey', [5] = 'parent', [7] = 'rjk' }) do
    if found[index] then
      redis.call('HSET', at(new), field, found[index])
    end
  end
  say('event', 'added', 'jobId', new, 'name', found[1] or '')
  if delay > 0 then
    redis.call('ZADD', at('delayed'), score_text(delayed_score(nil, time + delay)), new)
    say('event', 'delayed', 'jobId', new, 'delay', time + delay)
    wake_for_delayed()
  else
    to_wait(nil, new, priority, options.lifo == true)
    say('event', 'waiting', 'jobId', new)
  end
  if found[6] then
    redis.call('SADD', found[6], at(new))
  end
  redis.call('DEL', later)
end

-- Deletes finished jobs with what belongs to them; their place in a parent's results stays.
local function delete(old)
  local record = at(old)
  local dedup = redis.call('HGET', record, 'deid')
  if dedup and redis.call('GET', at('de:' .. dedup)) == old then
    redis.call('DEL', at('de:' .. dedup))
  end
  redis.call('DEL', record, record .. ':logs', record .. ':dependencies', record .. ':processed', record .. ':failed',
    record .. ':unsuccessful')
end

local function keep(count, age)
  if count == 0 then
    delete(id)
    return
  end
  local set = at(target)
  redis.call('ZADD', set, time, id)
  redis.call('HSET', job, target == 'completed' and 'returnvalue' or 'failedReason', value, 'finishedOn', time)
  if target == 'failed' then
    redis.call('HDEL', job, 'defa')
  end
  if age >= 0 then
    for _, old in ipairs(redis.call('ZRANGEBYSCORE', set, '-inf', time - age * 1000, 'LIMIT', 0, 1000)) do
      redis.call('ZREM', set, old)
      delete(old)
    end
  end
  if count > 0 then
    -- The newest stay. In steps, so that a new bound on an old queue does not hold up the server.
    for _, old in ipairs(redis.call('ZREVRANGE', set, count, count + 999)) do
      redis.call('ZREM', set, old)
      delete(old)
    end
  end
end

-- One number a minute, for those who have these figures on.
local function count_minute()
  local key = at('metrics:' .. target)
  if redis.call('EXISTS', key) == 0 then
    return
  end
  local before = redis.call('HINCRBY', key, 'count', 1) - 1
  local found = redis.call('HMGET', key, 'prevTS', 'prevCount')
  local last = tonumber(found[1])
  if not last then
    redis.call('HSET', key, 'prevTS', time, 'prevCount', 0)
    return
  end
  local minutes = math.min(math.floor(time / 60000) - math.floor(last / 60000), 20160)
  if minutes > 0 then
    redis.call('LPUSH', key .. ':data', before - (tonumber(found[2]) or 0))
    for _ = 2, minutes do
      redis.call('LPUSH', key .. ':data', 0)
    end
    redis.call('LTRIM', key .. ':data', 0, 20159)
    redis.call('HSET', key, 'prevCount', before, 'prevTS', time)
  end
end

if redis.call('EXISTS', job) == 1 and target == 'completed' then
  if redis.call('GET', job .. ':lock') == token then
    if redis.call('SCARD', job .. ':dependencies') > 0 then
      return -4
    end
    if redis.call('ZCARD', job .. ':unsuccessful') > 0 then
      return -9
    end
  end
end
local freed = unlock(id, token)
if freed ~= 1 then
  return freed
end
keep_trace(id, ARGV[5])
end_deduplication()
tell_parent()
local made = redis.call('HINCRBY', job, made_field(), 1)
say('event', target, 'jobId', id, target == 'completed' and 'returnvalue' or 'failedReason', value, 'prev', 'active')
if target == 'failed' and made >= tonumber(ARGV[8]) then
  say('event', 'retries-exhausted', 'jobId', id, 'attemptsMade', made)
end
keep(tonumber(ARGV[6]), tonumber(ARGV[7]))
count_minute()
local answer = answer_of(9, time)
if #answer == 3 and redis.call('LLEN', at('wait')) == 0 and redis.call('LLEN', at('active')) == 0
  and redis.call('ZCARD', at('prioritized')) == 0 then
  say('event', 'drained')
end
return answer
