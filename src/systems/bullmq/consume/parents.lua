-- What the end of a job means for its parent; behind common.lua, and made when something needs it.
local parents_part

local function parents()
  if parents_part then
    return parents_part
  end
  local call = redis.call

  -- What the workers of a queue know, as the version of the library that brought it: from 5.49 on a failed child leaves its
  -- parent's dependencies, from 5.50 on a worker fails a job that brings a deferred failure. Who only makes flows leaves no
  -- version in the parents' queue: then that of this one counts. Where neither tells it may be an older one: what is done
  -- for these is right for all.
  local function known(queue)
    local version = major(queue)
    if not version then
      queue, version = nil, major(nil)
    end
    if version == 5 then
      local minor = string.match(call('HGET', at('meta', queue), 'version') or '', '^bullmq:5%.(%d+)')
      return 500 + math.min(tonumber(minor) or 49, 99)
    end
    return version and version * 100 or 549
  end

  -- The deduplication id of an ended job is free again, unless it has a time of its own.
  local function free_deduplication(queue, id, dedup)
    local owner = at('de:' .. dedup, queue)
    local ends = call('PTTL', owner)
    if ends == 0 or (ends == -1 and call('GET', owner) == id) then
      call('DEL', owner)
    end
  end

  local tell_parent

  local function release(queue, parent, delay_counts, time)
    local record = at(parent, queue)
    if call('EXISTS', record) == 0 or call('ZREM', at('waiting-children', queue), parent) == 0 then
      return
    end
    local found = call('HMGET', record, 'priority', 'delay')
    local delay = tonumber(found[2]) or 0
    if delay > 0 and delay_counts then
      call('ZADD', at('delayed', queue), score_text(delayed_score(queue, time + delay)), parent)
      emit(queue, 'event', 'delayed', 'jobId', parent, 'delay', time + delay)
      wake_for_delayed(queue)
    else
      to_wait(queue, parent, tonumber(found[1]) or 0, true)
      emit(queue, 'event', 'waiting', 'jobId', parent, 'prev', 'waiting-children')
    end
  end

  local function release_if_last(queue, parent, time)
    if call('SCARD', at(parent, queue) .. ':dependencies') == 0 then
      release(queue, parent, true, time)
    end
  end

  -- Ends a job that nobody runs as failed, and tells its own parent.
  local function fail_now(queue, id, reason, prev, time)
    local record = at(id, queue)
    call('ZADD', at('failed', queue), time, id)
    call('HSET', record, 'failedReason', reason, 'finishedOn', time)
    emit(queue, 'event', 'failed', 'jobId', id, 'failedReason', reason, 'prev', prev)
    local found = call('HMGET', record, 'deid', 'parent')
    if found[1] then
      free_deduplication(queue, id, found[1])
    end
    if found[2] then
      tell_parent({ kind = 'failed', job = record, value = reason }, found[2], time)
    end
  end

  -- For workers that know no deferred failure; false if the parent stands where none can take it from.
  local function fail_at_once(queue, parent, reason, time)
    for _, set in ipairs({ 'waiting-children', 'delayed', 'prioritized' }) do
      if call('ZREM', at(set, queue), parent) == 1 then
        fail_now(queue, parent, reason, set, time)
        return true
      elseif known(queue) < 549 then
        return false
      end
    end
    return false
  end

  -- The parent fails with this child: at once if it waits, else when somebody runs it.
  local function fail_parent(queue, parent, child, time)
    local record = at(parent, queue)
    if call('EXISTS', record) == 0 or call('ZSCORE', at('failed', queue), parent) then
      return
    end
    local reason = 'child ' .. child .. ' failed'
    if known(queue) < 550 and fail_at_once(queue, parent, reason, time) then
      return
    end
    call('HSET', record, 'defa', reason)
    if call('ZREM', at('delayed', queue), parent) == 1 then
      call('HSET', record, 'delay', 0)
      to_wait(queue, parent, tonumber(call('HGET', record, 'priority')) or 0, true)
      emit(queue, 'event', 'waiting', 'jobId', parent, 'prev', 'delayed')
    else
      release(queue, parent, false, time)
    end
  end

  -- Tells the parent of a job how it ended. `one`: `job` (its key), `kind` and `value`; `stored`: the parent as the job
  -- has it.
  tell_parent = function(one, stored, time)
    local queue, parent = parent_of(one.job)
    if not queue then
      return
    end
    local record = at(parent, queue)
    local policy = cjson.decode(stored)
    if one.kind ~= 'completed' and policy.fpof and known(queue) < 549 then
      -- There the failed child stays among those the parent has waited for.
      if call('EXISTS', record) == 1 then
        fail_at_once(queue, parent, 'child ' .. one.job .. ' failed', time)
      end
      return
    end
    local said = one.kind == 'completed' or policy.fpof or policy.cpof or policy.idof or policy.rdof
    -- Without a policy the parent goes on waiting for a retry of the failed child.
    if not said or call('SREM', record .. ':dependencies', one.job) == 0 then
      return
    end
    if one.kind == 'completed' then
      call('HSET', record .. ':processed', one.job, one.value)
      release_if_last(queue, parent, time)
    elseif policy.fpof then
      call('ZADD', record .. ':unsuccessful', time, one.job)
      fail_parent(queue, parent, one.job, time)
    elseif policy.cpof then
      call('HSET', record .. ':failed', one.job, one.value)
      release(queue, parent, true, time)
    else
      if policy.idof then
        call('HSET', record .. ':failed', one.job, one.value)
      end
      release_if_last(queue, parent, time)
    end
  end

  -- Fails a job of this queue that lost its worker too often, for workers that know no deferred failure.
  local function fail_stalled(id, reason, time)
    fail_now(nil, id, reason, 'active', time)
    local record = at(id)
    if option(record, 'removeOnFail') == true then
      call('ZREM', at('failed'), id)
      release_parent(record)
      call('DEL', record, record .. ':logs', record .. ':dependencies', record .. ':processed', record .. ':failed',
        record .. ':unsuccessful')
    end
  end

  parents_part = {
    fail_stalled = fail_stalled, free_deduplication = free_deduplication, known = known, tell_parent = tell_parent,
  }
  return parents_part
end
