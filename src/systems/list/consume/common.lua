-- Shared opening of the scripts by which the runner works on a plain list. KEYS: 1 processing list of this runner,
-- 2 delayed items, 3 facts by SHA-1 of an item (`a` attempts made, `d` workers that died with it, `l` list it was
-- taken from if that is not the first), 4 rate limit,
-- 5 registry of runners, 6 dead letters, 7 twins of delayed items (member
-- `number item`, by ms), 8 … the queue's lists, the most urgent first.
-- ARGV: 1 end from which the queue is taken, 2 ms in one step of the delayed scores, 3 rate limit (0: none), 4 its window
-- in ms, 5 and 6 counters of ended and of failed items (empty: none), 7 key by which the application pauses the queue
-- (empty: none), 8 `value` if that key must hold 9, else its being there counts; from 10 on what each script says of
-- itself.
local QUEUE, OWN = 8, 10
-- How long to wait before looking again whether the queue is still paused, in ms.
local PAUSED = 1000
local side, unit, most, window = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local finished, failed = ARGV[5], ARGV[6]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function forget(item)
  local sum = redis.sha1hex(item)
  redis.call('HDEL', KEYS[3], 'a' .. sum, 'd' .. sum, 'l' .. sum)
end

-- Notes the list an item was taken from, for whoever brings it back.
local function note_home(item, key)
  if key ~= KEYS[QUEUE] then
    redis.call('HSET', KEYS[3], 'l' .. redis.sha1hex(item), key)
  elseif #KEYS > QUEUE then
    redis.call('HDEL', KEYS[3], 'l' .. redis.sha1hex(item))
  end
end

-- The list it was taken from, if that is known and still one of the queue's; else the first.
local function home(item)
  local known = #KEYS > QUEUE and redis.call('HGET', KEYS[3], 'l' .. redis.sha1hex(item))
  for index = QUEUE + 1, #KEYS do
    if KEYS[index] == known then
      return known
    end
  end
  return KEYS[QUEUE]
end

local function push(key, at, item)
  redis.call(at == 'left' and 'LPUSH' or 'RPUSH', key, item)
end

local function opposite(at)
  return at == 'left' and 'right' or 'left'
end

-- Shows that this runner lives. Answers for how many ms it has done so without a gap: right after an outage the signs of
-- all are gone, and only who has been back for as long as one holds can tell the dead from those that are not back yet.
local function live(me, life, signs)
  local since = math.min(tonumber(redis.call('GET', signs .. me)) or now, now)
  redis.call('SET', signs .. me, string.format('%d', since), 'PX', life)
  redis.call('ZADD', KEYS[5], now, me)
  return now - since
end

-- An error to be returned if the key is not what is described, or nil. Asked before anything is written: Redis does not
-- roll a script back, and what has left one place must not find the next one closed.
local function misfit(command, key, kind)
  local found = redis.pcall(command, key)
  if type(found) ~= 'table' or not found.err then
    return nil
  end
  if not string.find(found.err, 'WRONGTYPE', 1, true) then
    return found
  end
  return redis.error_reply('WRONGTYPE ' .. key .. ' is no ' .. kind .. ', as it is described; nothing was changed')
end

-- The same for a counter: INCR takes whole numbers only. No count has more than 18 digits.
local function no_counter(key)
  if key == '' then
    return nil
  end
  local stop = misfit('GET', key, 'counter')
  local value = not stop and redis.call('GET', key)
  if value and not (value == '0' or #value <= 18 and string.find(value, '^%-?[1-9]%d*$')) then
    stop = redis.error_reply('WRONGTYPE ' .. key .. ' is a counter and holds no whole number; nothing was changed')
  end
  return stop
end

-- Lets an item wait until `due`. A sorted set holds each once: of identical items all but the first wait aside, each for
-- its own time, so that none of them is lost.
local function delay(item, due)
  if redis.call('ZADD', KEYS[2], 'NX', string.format('%.3f', due / unit), item) == 1 then
    return
  end
  local number = 0
  while redis.call('ZADD', KEYS[7], 'NX', due, string.format('%s%06d.%d %s', clock[1], clock[2], number, item)) == 0 do
    number = number + 1
  end
end

-- Moves what is due to the end of the queue where it is taken last.
local function move_due()
  if redis.call('EXISTS', KEYS[2], KEYS[7]) == 0 then
    return
  end
  local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('%.3f', now / unit), 'LIMIT', 0, 500)
  for _, item in ipairs(due) do
    push(home(item), opposite(side), item)
    redis.call('ZREM', KEYS[2], item)
  end
  for _, twin in ipairs(redis.call('ZRANGEBYSCORE', KEYS[7], '-inf', now, 'LIMIT', 0, 500)) do
    local item = string.match(twin, '^%S+ (.*)$')
    push(home(item), opposite(side), item)
    redis.call('ZREM', KEYS[7], twin)
  end
end

local function paused()
  if ARGV[7] == '' then
    return false
  elseif ARGV[8] == 'value' then
    return redis.call('GET', ARGV[7]) == ARGV[9]
  end
  return redis.call('EXISTS', ARGV[7]) == 1
end

-- Takes up to `want` items. Answers now, ms until the next delayed item or -1, ms for which nothing may be taken or -1,
-- why (`rate` or `paused`), then item, attempts made, deaths and list (1: the first) of each.
local function take(want)
  move_due()
  local answer = { now, -1, -1, '' }
  if paused() then
    answer[3], answer[4] = PAUSED, 'paused'
    return answer
  end
  if most > 0 then
    local left = most - (tonumber(redis.call('GET', KEYS[4])) or 0)
    if left <= 0 then
      answer[3], answer[4] = redis.call('PTTL', KEYS[4]), 'rate'
      return answer
    end
    want = math.min(want, left)
  end
  local taken = 0
  for index = QUEUE, #KEYS do
    while taken < want do
      local item
      if side == 'right' then
        item = redis.call('RPOPLPUSH', KEYS[index], KEYS[1])
      else
        item = redis.call('LMOVE', KEYS[index], KEYS[1], 'LEFT', 'LEFT')
      end
      if not item then
        break
      end
      taken = taken + 1
      note_home(item, KEYS[index])
      answer[#answer + 1] = item
      local sum = redis.sha1hex(item)
      for _, fact in ipairs(redis.call('HMGET', KEYS[3], 'a' .. sum, 'd' .. sum)) do
        answer[#answer + 1] = tonumber(fact) or 0
      end
      answer[#answer + 1] = index - QUEUE + 1
    end
  end
  if most > 0 and taken > 0 and redis.call('INCRBY', KEYS[4], taken) == taken then
    redis.call('PEXPIRE', KEYS[4], window)
  end
  if taken < want then
    for index, step in pairs({ [2] = unit, [7] = 1 }) do
      local first = redis.call('ZRANGE', KEYS[index], 0, 0, 'WITHSCORES')
      if first[2] then
        local left = math.max(1, math.ceil(tonumber(first[2]) * step - now))
        answer[2] = answer[2] < 0 and left or math.min(left, answer[2])
      end
    end
  end
  return answer
end
