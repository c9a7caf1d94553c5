-- Shared opening of every script here, behind queue.lua. Further results: -4 children unfinished, -12 a child is locked.

-- Major version of the library that last opened the queue; nil where the queue does not tell.
local function major(queue)
  local told = redis.call('HMGET', at('meta', queue), 'version', 'library')
  local library, number = string.match(told[1] or told[2] or '', '^(.*):(%d+)[^:]*$')
  number = tonumber(number)
  if library == 'bullmq' then
    return number
  end
  -- Libraries in other languages: name, first and last known major version, major version with the same protocol.
  for _, other in ipairs({
    { 'bullmq-official', 0, 1, 6 },
    { 'bullmq:python', 3, 3, 6 },
    { 'bullmq:python', 1, 2, 5 },
    { 'bullmq-python', 3, 3, 6 },
    { 'bullmq-python', 1, 2, 5 },
  }) do
    if library == other[1] and number >= other[2] and number <= other[3] then
      return other[4]
    end
  end
  return nil
end

local function paused(queue)
  return redis.call('HEXISTS', at('meta', queue), 'paused') == 1
end

-- True where waiting jobs of a paused queue stand in `paused` instead of `wait` (4.x and 5.x).
local function renames_on_pause(queue)
  local version = major(queue)
  if version then
    return version < 6
  end
  return redis.call('EXISTS', at('paused', queue)) == 1 and redis.call('EXISTS', at('wait', queue)) == 0
end

local function waiting_list(queue)
  if paused(queue) and renames_on_pause(queue) then
    return at('paused', queue)
  end
  return at('wait', queue)
end

-- Paused, or as many jobs active as the global limit allows: then nobody is to be woken.
local function blocked(queue)
  if paused(queue) then
    return true
  end
  local limit = tonumber(redis.call('HGET', at('meta', queue), 'concurrency'))
  return limit ~= nil and redis.call('LLEN', at('active', queue)) >= limit
end

local function emit(queue, ...)
  local length = tonumber(redis.call('HGET', at('meta', queue), 'opts.maxLenEvents')) or 10000
  redis.call('XADD', at('events', queue), 'MAXLEN', '~', length, '*', ...)
end

-- Idle workers of 5.x and later sleep on `marker`. Workers of 4.x sleep on `wait` itself and take an entry that
-- begins with `0:` as a call to look again.
local function wake(queue)
  if blocked(queue) then
    return
  end
  if major(queue) == 4 then
    local list = waiting_list(queue)
    if redis.call('LLEN', list) == 0 then
      redis.call('LPUSH', list, '0:0')
    end
  else
    redis.call('ZADD', at('marker', queue), 0, '0')
  end
end

-- Tells sleeping workers when the first delayed job is due.
local function wake_for_delayed(queue)
  local first = redis.call('ZRANGE', at('delayed', queue), 0, 0, 'WITHSCORES')
  if not first[2] then
    return
  end
  local due = math.floor(tonumber(first[2]) / 4096)
  if major(queue) == 4 then
    local list = waiting_list(queue)
    if redis.call('LLEN', list) == 0 then
      redis.call('LPUSH', list, '0:' .. string.format('%.0f', due))
    end
  else
    redis.call('ZADD', at('marker', queue), due, '1')
  end
end

-- Score that puts a job behind those of its priority, or in front of them.
local function priority_score(queue, priority, first)
  if first then
    return priority * 0x100000000
  end
  return priority * 0x100000000 + redis.call('INCR', at('pc', queue)) % 0x100000000
end

-- Makes a job runnable. `next_up`: run it before the others of its priority.
local function to_wait(queue, id, priority, next_up)
  if priority and priority > 0 then
    redis.call('ZADD', at('prioritized', queue), priority_score(queue, priority, next_up), id)
  elseif next_up then
    redis.call('RPUSH', waiting_list(queue), id)
  else
    redis.call('LPUSH', waiting_list(queue), id)
  end
  wake(queue)
end

-- Score that keeps the order of arrival among jobs due in the same millisecond.
local function delayed_score(queue, due)
  local low = due * 4096
  local last = redis.call('ZREVRANGEBYSCORE', at('delayed', queue), string.format('%.0f', low + 4095),
    string.format('%.0f', low), 'WITHSCORES', 'LIMIT', 0, 1)
  if last[2] and tonumber(last[2]) < low + 4095 then
    return tonumber(last[2]) + 1
  end
  return last[2] and low + 4095 or low
end

-- Splits a full job key `<prefix>:<queue>:<id>` given the parent's recorded queue key and id.
local function parent_of(job_key)
  local stored = redis.call('HGET', job_key, 'parent')
  if not stored then
    return nil
  end
  local ok, parent = pcall(cjson.decode, stored)
  if not ok or type(parent) ~= 'table' or not parent.id or not parent.queueKey then
    return nil
  end
  return parent.queueKey, tostring(parent.id)
end

-- The parent of a job that goes away waits for it no more; if it was the last, the parent runs.
local function release_parent(record)
  local queue, parent = parent_of(record)
  if not queue then
    return
  end
  local parent_record = at(parent, queue)
  if redis.call('SREM', parent_record .. ':dependencies', record) == 0 then
    return
  end
  if redis.call('SCARD', parent_record .. ':dependencies') == 0
    and redis.call('ZREM', at('waiting-children', queue), parent) == 1 then
    local priority = tonumber(redis.call('HGET', parent_record, 'priority')) or 0
    to_wait(queue, parent, priority, true)
    emit(queue, 'event', 'waiting', 'jobId', parent, 'prev', 'waiting-children')
  end
end

-- True if the job is the pending iteration of a scheduler, which only the scheduler may take away.
local function is_schedulers_next(queue, id)
  local scheduler = redis.call('HGET', at(id, queue), 'rjk')
  if not scheduler then
    return false
  end
  local due = redis.call('ZSCORE', at('repeat', queue), scheduler)
  return due ~= false and due ~= nil and id == 'repeat:' .. scheduler .. ':' .. score_text(tonumber(due))
end
