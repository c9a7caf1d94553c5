-- Deletes jobs with all that belongs to them. ARGV: expected state (`*`: any), `1` to delete their children too, ids …
-- A job that somebody works on is left alone; so is one whose child somebody works on when children go too.
local stop = lacks('ZREM', 'LREM', 'DEL', 'RPUSH', 'ZADD', 'XADD')
if stop then
  return stop
end
local expected, with_children = ARGV[1], ARGV[2] == '1'

local SETS = { 'completed', 'failed', 'delayed', 'prioritized', 'waiting-children' }
local LISTS = { 'wait', 'paused', 'active' }
-- Children are read in one go; a family larger than this is refused rather than holding up the server.
local FAMILY = 500

local function children_of(record)
  local found = redis.call('SMEMBERS', record .. ':dependencies')
  for _, suffix in ipairs({ ':processed', ':failed' }) do
    for _, child in ipairs(redis.call('HKEYS', record .. suffix)) do
      found[#found + 1] = child
    end
  end
  for _, child in ipairs(redis.call('ZRANGE', record .. ':unsuccessful', 0, FAMILY)) do
    found[#found + 1] = child
  end
  return found
end

local function family_size(record)
  return redis.call('SCARD', record .. ':dependencies') + redis.call('HLEN', record .. ':processed')
    + redis.call('HLEN', record .. ':failed') + redis.call('ZCARD', record .. ':unsuccessful')
end

-- A child is known by its full key; its queue's key is what stands before the id, and the record says which id.
local function split(record)
  local queue, id = string.match(record, '^(.+:[^:]+):([^:]+)$')
  local scheduled, rest = string.match(record, '^(.-:[^:]+):(repeat:.+)$')
  if scheduled then
    return scheduled, rest
  end
  return queue, id
end

local function removable(queue, id, depth)
  local record = at(id, queue)
  if redis.call('EXISTS', record .. ':lock') == 1 then
    return depth == 0 and 0 or -12
  end
  if with_children then
    if depth > 20 or family_size(record) > FAMILY then
      return -12
    end
    for _, child in ipairs(children_of(record)) do
      local child_queue, child_id = split(child)
      if child_queue then
        local verdict = removable(child_queue, child_id, depth + 1)
        if verdict ~= 1 then
          return verdict
        end
      end
    end
  end
  return 1
end

local function take_out(queue, id, only)
  for _, set in ipairs(SETS) do
    if (only == '*' or only == set) and redis.call('ZREM', at(set, queue), id) == 1 then
      return set
    end
  end
  for _, list in ipairs(LISTS) do
    local called = list == 'active' and 'active' or 'waiting'
    if (only == '*' or only == called) and redis.call('LREM', at(list, queue), -1, id) > 0 then
      return list
    end
  end
  return nil
end

local delete

delete = function(queue, id, only, is_child)
  local record = at(id, queue)
  local state = take_out(queue, id, only)
  if not state and only ~= '*' then
    return -3
  end
  if not is_child then
    release_parent(record)
  end
  if with_children then
    for _, child in ipairs(children_of(record)) do
      local child_queue, child_id = split(child)
      if child_queue then
        delete(child_queue, child_id, '*', true)
      end
    end
  end
  local dedup = redis.call('HGET', record, 'deid')
  if dedup and redis.call('GET', at('de:' .. dedup, queue)) == id then
    redis.call('DEL', at('de:' .. dedup, queue), at('dn:' .. dedup, queue))
  end
  local gone = redis.call('DEL', record, record .. ':logs', record .. ':dependencies', record .. ':processed',
    record .. ':failed', record .. ':unsuccessful')
  if gone > 0 or state then
    emit(queue, 'event', 'removed', 'jobId', id, 'prev', state or 'unknown')
    return 1
  end
  return -1
end

local results = {}
for index = 3, #ARGV do
  local id = ARGV[index]
  local verdict
  if is_schedulers_next(nil, id) then
    verdict = -8
  else
    verdict = removable(nil, id, 0)
  end
  if verdict == 1 then
    verdict = delete(base, id, expected, false)
  end
  results[#results + 1] = verdict
end
return results
