-- Puts records back. ARGV: how to know that one is back already (`key`: its first key exists; `fresh`: none can be;
-- `perhaps`: by its places), then for each record: number of keys, then key, dump and expiry (ms since the epoch,
-- 0: none) of each, number of places, then kind, number of words and words of each.
-- Answers one integer per record: 1 back, 2 it is there as it was, 4 back while the job that waited for it has been
-- started, -20 the id was taken since, -21 the server did not take a dump, -22 the stream or its group is gone, -23 an
-- equal one is there and may be the one.
local guard = ARGV[1]
local at = 2
-- Elements looked at to find one that is perhaps back.
local LOOK = 100000
-- Newest entries of a stream among which one that was added again is looked for.
local NEWEST = 5000

local function take()
  local value = ARGV[at]
  at = at + 1
  return value
end

local function back_in_list(key, element, right, left)
  if right ~= '' and redis.call('LINSERT', key, 'BEFORE', right, element) > 0 then
    return
  end
  if left ~= '' and redis.call('LINSERT', key, 'AFTER', left, element) > 0 then
    return
  end
  if right == '' then
    redis.call('RPUSH', key, element)
  else
    redis.call('LPUSH', key, element)
  end
end

-- Whether an element is back between its neighbours (1), or an equal one is elsewhere (-23); nil if there is none.
local function is_back(key, element, right, left)
  local found = redis.call('LPOS', key, element, 'COUNT', 100, 'MAXLEN', LOOK)
  for _, index in ipairs(found) do
    local after = redis.call('LINDEX', key, index + 1) or ''
    local before = index > 0 and redis.call('LINDEX', key, index - 1) or ''
    if (right ~= '' and after == right) or (left ~= '' and before == left) then
      -- Equal neighbours say nothing: which of them came back cannot be told.
      return (right == element or left == element) and -23 or 1
    end
  end
  return found[1] and (right ~= '' or left ~= '') and -23 or found[1] and 1 or nil
end

local function lies_in(stream, id)
  return #redis.call('XRANGE', stream, id, id, 'COUNT', 1) > 0
end

-- A stream takes new entries only behind its last one. One that comes back under a new id has a second part that only
-- it has, so that it is known when it is looked for again.
local function second_part(key, id)
  return string.format('%.0f', tonumber(string.sub(redis.sha1hex(key .. ' ' .. id), 1, 8), 16))
end

local function back_in_stream(key, id, place)
  local fields = {}
  for index = 3, #place do
    fields[index - 2] = place[index]
  end
  local reply = redis.pcall('XADD', key, id, unpack(fields))
  if type(reply) ~= 'table' or not reply.err then
    return
  end
  local time, info = redis.call('TIME'), redis.call('XINFO', 'STREAM', key)
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  for index = 1, #info, 2 do
    if info[index] == 'last-generated-id' then
      now = math.max(now, tonumber(string.match(info[index + 1], '^%d+')) + 1)
    end
  end
  reply = redis.pcall('XADD', key, string.format('%.0f', now) .. '-' .. second_part(key, id), unpack(fields))
  if type(reply) == 'table' and reply.err then
    redis.call('XADD', key, '*', unpack(fields))
  end
end

-- Whether an entry that was perhaps added again is there under its new id, as far as one looks.
local newest = {}
local function is_back_in_stream(key, id)
  if not newest[key] then
    newest[key] = {}
    for _, entry in ipairs(redis.call('XREVRANGE', key, '+', '-', 'COUNT', NEWEST)) do
      newest[key][string.match(entry[1], '%d+$')] = true
    end
  end
  return newest[key][second_part(key, id)]
end

-- Gives an entry back to the consumer that had it. One that was added again under a new id will be delivered anew.
local function back_to_consumer(key, group, id, consumer, at, deliveries)
  if not lies_in(key, id) then
    return 1
  end
  local held = redis.pcall('XPENDING', key, group, id, id, 1)
  if held.err then
    return -22
  elseif #held > 0 then
    return guard == 'perhaps' and 2 or -20
  end
  redis.call('XCLAIM', key, group, consumer, 0, id, 'TIME', at, 'RETRYCOUNT', deliveries, 'FORCE', 'JUSTID')
  return 1
end

-- The job that waited for this one waits again, if it has not been started since: it may have been set free to run when
-- this one went. Its keys are those of BullMQ.
local function awaited_again(key, member, base, waiter, score, runs)
  local record, waiting = base .. ':' .. waiter, base .. ':waiting-children'
  if not redis.call('ZSCORE', waiting, waiter) then
    if score == '' or redis.call('EXISTS', record) == 0 then
      return 1
    end
    for index = 1, #runs, 2 do
      if (redis.call('HGET', record, runs[index]) or '') ~= runs[index + 1] then
        return 4
      end
    end
    -- In a list it was put where the next job is taken from, so that it is near the tail.
    if redis.call('ZREM', base .. ':prioritized', waiter) == 0 and redis.call('ZREM', base .. ':delayed', waiter) == 0
      and redis.call('LREM', base .. ':wait', -1, waiter) == 0
      and redis.call('LREM', base .. ':paused', -1, waiter) == 0 then
      return 4
    end
    redis.call('ZADD', waiting, score, waiter)
  end
  redis.call('SADD', key, member)
  return 1
end

local results = {}
while at <= #ARGV do
  local keys, places = {}, {}
  for _ = 1, tonumber(take()) do
    keys[#keys + 1] = { take(), take(), take() }
  end
  for _ = 1, tonumber(take()) do
    local kind, words = take(), {}
    for index = 1, tonumber(take()) do
      words[index] = take()
    end
    places[#places + 1] = { kind = kind, words = words }
  end
  local verdict = 1
  if guard == 'key' and keys[1] and redis.call('EXISTS', keys[1][1]) == 1 then
    -- A copy is taken before it is known whether its job will be refused: one that never went is there as it was.
    verdict = redis.call('DUMP', keys[1][1]) == keys[1][2] and 2 or -20
  else
    local done = {}
    for _, entry in ipairs(keys) do
      if redis.call('EXISTS', entry[1]) == 0 then
        local reply = redis.pcall('RESTORE', entry[1], entry[3], entry[2], 'ABSTTL')
        if type(reply) == 'table' and reply.err then
          verdict = -21
          break
        end
        done[#done + 1] = entry[1]
      end
    end
    if verdict == 1 then
      for _, place in ipairs(places) do
        local kind, words = place.kind, place.words
        local key = words[1]
        if kind == 'list' then
          local back = guard == 'perhaps' and is_back(key, words[2], words[3], words[4])
          if back then
            verdict = back
          else
            back_in_list(key, words[2], words[3], words[4])
          end
        elseif kind == 'sorted' then
          redis.call('ZADD', key, 'NX', words[3], words[2])
        elseif kind == 'member' then
          redis.call('SADD', key, words[2])
        elseif kind == 'awaited' then
          verdict = awaited_again(words[1], words[2], words[3], words[4], words[5], { unpack(words, 6) })
        elseif kind == 'field' then
          redis.call('HSETNX', key, words[2], words[3])
        elseif kind == 'entry' and not lies_in(key, words[2])
          and not (guard == 'perhaps' and is_back_in_stream(key, words[2])) then
          back_in_stream(key, words[2], words)
        elseif kind == 'delivered' then
          verdict = back_to_consumer(key, words[2], words[3], words[4], words[5], words[6])
        end
      end
    else
      for _, key in ipairs(done) do
        redis.call('DEL', key)
      end
    end
  end
  results[#results + 1] = verdict
end
return results
