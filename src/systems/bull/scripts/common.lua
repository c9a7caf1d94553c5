-- Shared opening of every script here, behind queue.lua. Further result: -30 the queue shows signs of BullMQ.

-- BullMQ orders and names things differently: what it owns is not touched from here.
if redis.call('EXISTS', at('marker')) == 1 or redis.call('EXISTS', at('events')) == 1
  or redis.call('HEXISTS', at('meta'), 'version') == 1 then
  local refused = {}
  for index = 1, math.max(1, #ARGV) do
    refused[index] = -30
  end
  return refused
end

local function paused()
  return redis.call('EXISTS', at('meta-paused')) == 1
end

-- Where jobs wait now.
local function target()
  return paused() and at('paused') or at('wait')
end

local function locked(id)
  return redis.call('EXISTS', at(id) .. ':lock') == 1
end

-- Telling others comes last and is worth nothing by itself: a user who may not is not stopped half-way.
local function publish(channel, text)
  redis.pcall('PUBLISH', at(channel), text)
end

-- Puts a job among the waiting: prioritized ones stand before the others, the most urgent nearest to the tail, from
-- which workers take. How many ids of the `priority` set are as urgent or more tells its place; ids left in it by other
-- programs move that place towards the head, so that the job runs later than it could, but is not lost.
local PUT = { 'ZADD', 'LINSERT', 'LPUSH', 'RPUSH' }
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

-- Puts a job among the delayed. Workers set their timers by the message; without it they notice at their next look.
local function put_later(id, delay)
  local due = now() + delay
  redis.call('HSET', at(id), 'delay', score_text(delay))
  redis.call('ZADD', at('delayed'), score_text(due * 4096 + (tonumber(id) or 0) % 4096), id)
  publish('delayed', score_text(due))
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

-- The moment at the end of the id of a repeatable's run; nil for other jobs.
local function moment_of(id)
  return string.match(id, '^repeat:.*:(%d+)$')
end

-- True for a job that a repeatable of this key made. The id holds a hash of the key, so the options are asked; versions
-- before 3.18 wrote no key there, but the key begins with the job's name.
local function is_run_of(id, key)
  local rule = option(at(id), 'repeat')
  if type(rule) == 'table' and rule.key then
    return rule.key == key
  end
  local name = redis.call('HGET', at(id), 'name')
  return name ~= false and string.sub(key, 1, #name + 1) == name .. ':'
end

-- The key of the repeatable whose chain ends without this job: the one after it is made when a worker takes it.
local function chain_of(id)
  local moment = moment_of(id)
  if not moment then
    return nil
  end
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', at('repeat'), moment, moment, 'LIMIT', 0, 1000)) do
    if is_run_of(id, key) then
      return key
    end
  end
  return nil
end
