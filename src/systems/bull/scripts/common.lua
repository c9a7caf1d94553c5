-- Shared opening of every script here. KEYS[1] is the queue's base key, `<prefix>:<queue>`; all other keys are made
-- from it.
--
-- Results are one integer per id: 1 done, 0 locked by a worker, -1 no such job, -3 not in the expected state,
-- -8 the next run of a repeatable, -30 the queue shows signs of BullMQ.

local base = KEYS[1]

local function at(suffix)
  return base .. ':' .. suffix
end

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- BullMQ orders and names things differently: what it owns is not touched from here.
local function is_foreign()
  return redis.call('EXISTS', at('marker')) == 1 or redis.call('EXISTS', at('events')) == 1
    or redis.call('HEXISTS', at('meta'), 'version') == 1
end

local function is_paused()
  return redis.call('EXISTS', at('meta-paused')) == 1
end

-- Where jobs wait now.
local function target()
  return is_paused() and at('paused') or at('wait')
end

local function locked(id)
  return redis.call('EXISTS', at(id) .. ':lock') == 1
end

local function publish(channel, text)
  redis.call('PUBLISH', at(channel), text)
end

-- Puts a job among the waiting: prioritized ones stand before the others, the most urgent nearest to the tail, from
-- which workers take. How many ids of the `priority` set are as urgent or more tells its place; ids left in it by other
-- programs move that place towards the head, so that the job runs later than it could, but is not lost.
local function put(id, lifo)
  local list = target()
  local priority = tonumber(redis.call('HGET', at(id), 'priority')) or 0
  if priority > 0 then
    redis.call('ZADD', at('priority'), priority, id)
    local ahead = redis.call('ZCOUNT', at('priority'), 0, priority)
    local pivot = redis.call('LINDEX', list, redis.call('LLEN', list) - (ahead - 1))
    if pivot then
      redis.call('LINSERT', list, 'BEFORE', pivot, id)
    else
      redis.call('RPUSH', list, id)
    end
  elseif lifo then
    redis.call('RPUSH', list, id)
  else
    redis.call('LPUSH', list, id)
  end
  publish('waiting@qtop', id)
end

local function option(id, name)
  local stored = redis.call('HGET', at(id), 'opts')
  local ok, options = pcall(cjson.decode, stored or '{}')
  return ok and type(options) == 'table' and options[name] or nil
end

-- A job that a rate limit parked is no longer counted as parked.
local function unpark(id)
  local index = at('limiter:index')
  local set = redis.call('HGET', index, id)
  if set then
    redis.call('SREM', set, id)
    redis.call('HDEL', index, id)
  end
end

-- True for the job a repeatable has made for its next run: taking it away would end the repeatable silently.
local function is_next_run(id)
  return string.sub(id, 1, 7) == 'repeat:' and redis.call('ZSCORE', at('delayed'), id) ~= false
end
