-- Shared opening of the scripts by which the runner works for a consumer group. KEYS: 1 stream, 2 entries that wait for
-- another attempt (member `id consumer`), 3 facts (`a` attempts made, `d` runners that died with it, `p` deliveries if
-- these were too many, by id), 4 rate
-- limit, 5 registry of runners, 6 stream of dead entries. ARGV[1]: group, ARGV[2]: this runner, a consumer of it.
local group, me = ARGV[1], ARGV[2]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function owner(id)
  local found = redis.call('XPENDING', KEYS[1], group, id, id, 1)
  return found[1] and found[1][2]
end

-- Shows that this runner lives. Answers for how many ms it has done so without a gap: right after an outage the signs of
-- all are gone, and only who has been back for as long as one holds can tell the dead from those that are not back yet.
local function live(life, signs)
  local since = math.min(tonumber(redis.call('GET', signs .. me)) or now, now)
  redis.call('SET', signs .. me, string.format('%d', since), 'PX', life)
  redis.call('ZADD', KEYS[5], now, me)
  return now - since
end

local function forget(id)
  redis.call('HDEL', KEYS[3], 'a' .. id, 'd' .. id, 'p' .. id)
end

local function add(answer, id, fields)
  answer[#answer + 1] = id
  for _, fact in ipairs(redis.call('HMGET', KEYS[3], 'a' .. id, 'd' .. id, 'p' .. id)) do
    answer[#answer + 1] = tonumber(fact) or 0
  end
  answer[#answer + 1] = fields
end

-- Takes up to `want` entries: first what is due again, then what is new. Answers now, ms until the next that waits or
-- -1, ms for which the rate limit holds or -1, then id, attempts made, deaths, deliveries and
-- fields of each.
local function take(want, most, window)
  local answer = { now, -1, -1 }
  if most > 0 then
    local left = most - (tonumber(redis.call('GET', KEYS[4])) or 0)
    if left <= 0 then
      answer[3] = redis.call('PTTL', KEYS[4])
      return answer
    end
    want = math.min(want, left)
  end
  local taken = 0
  if want > 0 then
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, want)) do
      redis.call('ZREM', KEYS[2], member)
      local id, held = string.match(member, '^(%S+) (.*)$')
      -- Somebody else may have claimed or acknowledged it meanwhile: then it is theirs.
      if owner(id) == held then
        local entry = redis.call('XCLAIM', KEYS[1], group, me, 0, id)
        if entry[1] and entry[1][2] then
          add(answer, id, entry[1][2])
          taken = taken + 1
        else
          redis.call('XACK', KEYS[1], group, id)
          forget(id)
        end
      end
    end
  end
  if taken < want then
    local read = redis.call('XREADGROUP', 'GROUP', group, me, 'COUNT', want - taken, 'STREAMS', KEYS[1], '>')
    for _, entry in ipairs(read and read[1] and read[1][2] or {}) do
      add(answer, entry[1], entry[2])
      taken = taken + 1
    end
  end
  if most > 0 and taken > 0 and redis.call('INCRBY', KEYS[4], taken) == taken then
    redis.call('PEXPIRE', KEYS[4], window)
  end
  if taken < want then
    local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
    if first[2] then
      answer[2] = math.max(1, tonumber(first[2]) - now)
    end
  end
  return answer
end
