-- Shared opening of the scripts by which the runner works on a Laravel queue. KEYS: 1 payloads that are ready, 2 delayed
-- ones, 3 reserved ones, 4 tokens that wake workers, 5 rate limit, 6 what this runner holds (SHA-1 of the reserved text,
-- with the job's id), 7 how often a job killed its handler (by id), 8 … keys that pause the queue.
local clock = redis.call('TIME')
local seconds = tonumber(clock[1])
local now = seconds * 1000 + math.floor(tonumber(clock[2]) / 1000)

-- First and last byte of the number behind the payload's own `attempts`; nothing if there is none. Only quotes and
-- brackets are looked at, and what stands between quotes is stepped over.
local function attempts_at(text)
  local depth, at, first, last = 0, 1, nil, nil
  while true do
    local found = string.find(text, '["{}%[%]]', at)
    if not found then
      return first, last
    end
    local sign = string.byte(text, found)
    if sign == 34 then
      local close = found
      repeat
        close = string.find(text, '["\\]', close + 1)
        if not close then
          return nil
        end
        local escape = string.byte(text, close) == 92
        if escape then
          close = close + 1
        end
      until not escape
      if depth == 1 and close - found == 9 and string.sub(text, found, close) == '"attempts"' then
        local from, behind = string.match(text, '^%s*:%s*()%d+()%s*[,}]', close + 1)
        if from then
          first, last = from, behind - 1
        end
      end
      at = close + 1
    else
      depth = depth + ((sign == 123 or sign == 91) and 1 or -1)
      at = found + 1
    end
  end
end

-- The payload with its number of attempts changed by `by`; every other byte stays.
local function counted(text, first, last, by)
  local number = tonumber(string.sub(text, first, last)) + by
  return string.sub(text, 1, first - 1) .. string.format('%d', number) .. string.sub(text, last + 1)
end

local function characters(text)
  local all = {}
  for character in string.gmatch(text, '[%z\1-\127\194-\244][\128-\191]*') do
    all[#all + 1] = character
  end
  return all
end

-- A number by which characters are in order; comparing texts would ask the server's language.
local function code(character)
  local number = 0
  for index = 1, #character do
    number = number * 256 + string.byte(character, index)
  end
  return number
end

-- How many signs of a glob stand for this one character; nothing if it is another.
local function single(glob, at, character)
  local sign = glob[at]
  if sign == '?' then
    return 1
  elseif sign == '\\' and glob[at + 1] then
    return glob[at + 1] == character and 2 or nil
  elseif sign == '[' then
    local close
    for index = at + 2, #glob do
      if glob[index] == ']' then
        close = index
        break
      end
    end
    if close then
      local from, inside = at + 1, false
      local negated = glob[from] == '^' or glob[from] == '!'
      if negated then
        from = from + 1
      end
      while from < close do
        if glob[from + 1] == '-' and from + 2 < close then
          inside = inside or (code(glob[from]) <= code(character) and code(character) <= code(glob[from + 2]))
          from = from + 3
        else
          inside = inside or glob[from] == character
          from = from + 1
        end
      end
      return inside ~= negated and close - at + 1 or nil
    end
  end
  return sign == character and 1 or nil
end

-- The globs of qtop's configuration, over the whole name.
local function matches(glob, name)
  local p, t, after, from = 1, 1, nil, nil
  while t <= #name do
    if glob[p] == '*' then
      after, from = p + 1, t
      p = p + 1
    else
      local used = glob[p] and single(glob, p, name[t])
      if used then
        p, t = p + used, t + 1
      elseif after then
        from = from + 1
        p, t = after, from
      else
        return false
      end
    end
  end
  while glob[p] == '*' do
    p = p + 1
  end
  return p > #glob
end

-- Makes what is due ready, with a token for each.
local function migrate(from)
  local due = redis.call('ZRANGEBYSCORE', from, '-inf', seconds, 'LIMIT', 0, 100)
  if #due > 0 then
    redis.call('ZREMRANGEBYRANK', from, 0, #due - 1)
    redis.call('RPUSH', KEYS[1], unpack(due))
    local tokens = {}
    for index = 1, #due do
      tokens[index] = '1'
    end
    redis.call('RPUSH', KEYS[4], unpack(tokens))
  end
end

-- Looks at payloads from `start` on and takes those whose names fit, at most `want`; others stay where they are.
-- Answers how many it passed by. `add` is called with what is taken.
local function pick(start, want, lease, globs, add)
  local passed, bytes, fits = 0, 0, {}
  while want > 0 and passed < 300 and bytes < 1000000 do
    local from = start + passed
    local piece = redis.call('LRANGE', KEYS[1], from, from + (from > 0 and 19 or 0))
    if #piece == 0 then
      break
    end
    for _, text in ipairs(piece) do
      bytes = bytes + #text
      local good, job = pcall(cjson.decode, text)
      local first, last, name
      if good and type(job) == 'table' and job.job ~= nil and job.data ~= nil then
        first, last = attempts_at(text)
        name = type(job.displayName) == 'string' and job.displayName or job.job
      end
      if first and #globs > 0 then
        if fits[name] == nil then
          fits[name] = false
          local signs = characters(tostring(name))
          for _, glob in ipairs(globs) do
            fits[name] = fits[name] or matches(glob, signs)
          end
        end
        first = fits[name] and first
      end
      local reserved = first and counted(text, first, last, 1)
      -- The same text twice would become one member: the second waits until the first has ended.
      if reserved and want > 0 and not redis.call('ZSCORE', KEYS[3], reserved) then
        if start + passed == 0 then
          redis.call('LPOP', KEYS[1])
        else
          redis.call('LREM', KEYS[1], 1, text)
        end
        redis.call('ZADD', KEYS[3], math.ceil(now / 1000) + lease, reserved)
        redis.call('LPOP', KEYS[4])
        local id = type(job.uuid) == 'string' and job.uuid or tostring(job.id)
        redis.call('HSET', KEYS[6], redis.sha1hex(reserved), id)
        want = want - 1
        add(text, first, last, id)
      else
        passed = passed + 1
      end
    end
  end
  return passed
end

-- Takes up to `want` jobs. `lease`: seconds a reservation holds; `turn`: a random number, by which another part of a long
-- list of foreign jobs is looked at each time. Answers now, ms until something becomes due or -1, ms to rest or -1, why
-- (`paused`, `rate`, `others`), then payload, place of its attempts and deaths of each.
local function take(want, lease, most, window, turn, globs)
  local answer = { now, -1, -1, '' }
  for index = 8, #KEYS do
    if redis.call('EXISTS', KEYS[index]) == 1 then
      answer[3], answer[4] = 1000, 'paused'
      return answer
    end
  end
  if most > 0 then
    local left = most - (tonumber(redis.call('GET', KEYS[5])) or 0)
    if left <= 0 then
      answer[3], answer[4] = redis.call('PTTL', KEYS[5]), 'rate'
      return answer
    end
    want = math.min(want, left)
  end
  migrate(KEYS[2])
  migrate(KEYS[3])
  local deadly, taken = redis.call('EXISTS', KEYS[7]) == 1, 0
  local function add(text, first, last, id)
    taken = taken + 1
    answer[#answer + 1] = text
    answer[#answer + 1] = first
    answer[#answer + 1] = last
    answer[#answer + 1] = deadly and tonumber(redis.call('HGET', KEYS[7], id)) or 0
  end
  local passed = pick(0, want, lease, globs, add)
  local waiting = redis.call('LLEN', KEYS[1])
  if taken < want and waiting > passed then
    local parts = math.ceil((waiting - passed) / 300)
    pick(passed + turn % parts * 300, want - taken, lease, globs, add)
  end
  if taken > 0 then
    redis.call('PEXPIRE', KEYS[6], lease * 2000 + 60000)
    if most > 0 and redis.call('INCRBY', KEYS[5], taken) == taken then
      redis.call('PEXPIRE', KEYS[5], window)
    end
  end
  if taken < want then
    if redis.call('EXISTS', KEYS[1]) == 1 then
      answer[3], answer[4] = 500, 'others'
    else
      -- No job, so no token is of use; a worker that blocks would only wake for nothing.
      redis.call('DEL', KEYS[4])
    end
    for _, from in ipairs({ KEYS[2], KEYS[3] }) do
      local first = redis.call('ZRANGE', from, 0, 0, 'WITHSCORES')
      if first[2] then
        local left = math.max(1, math.ceil(tonumber(first[2]) * 1000 - now))
        answer[2] = answer[2] < 0 and left or math.min(answer[2], left)
      end
    end
  end
  return answer
end

-- `take` with its arguments from ARGV, from `at` on.
local function take_by(at)
  local globs = {}
  for index = at + 5, #ARGV do
    globs[#globs + 1] = characters(ARGV[index])
  end
  return take(tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]),
    tonumber(ARGV[at + 4]), globs)
end
