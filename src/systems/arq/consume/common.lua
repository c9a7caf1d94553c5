-- Shared opening of the scripts by which the runner takes jobs. KEYS: 1 queue, 2 rate limit.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function lock_of(id) return 'arq:in-progress:' .. id end
-- How often a runner started a job without ending it in good order: those that died with it (R15).
local function begun(id) return 'qtop:arq:begun:' .. id end

-- One start less, in a counter that is nothing when it is zero.
local function one_less(key)
  if redis.call('DECR', key) <= 0 then
    redis.call('DEL', key)
  end
end

-- Locks up to `want` of the jobs named from ARGV[first] on (id, try its definition asks for). ARGV[1]: start of the
-- values of locks, ARGV[2]: number of the first, ARGV[3]: how long a lock holds in ms, ARGV[5] and ARGV[6]: rate limit
-- (0: none) and its window in ms. Answers now, ms for which the rate limit holds or -1, then for each job: id, value of
-- its lock, score, starts, starts that never ended, whether an abort was asked for, definition.
--
-- The steps are those of the library's worker, which looks at nothing but whether the lock exists.
local function take(want, first)
  local answer = { now, -1 }
  local most = tonumber(ARGV[5])
  if most > 0 then
    local left = most - (tonumber(redis.call('GET', KEYS[2])) or 0)
    if left <= 0 then
      answer[2] = math.max(1, redis.call('PTTL', KEYS[2]))
      return answer
    end
    want = math.min(want, left)
  end
  local taken = 0
  for at = first, #ARGV, 2 do
    if taken == want then
      break
    end
    local id = ARGV[at]
    local score = tonumber(redis.call('ZSCORE', KEYS[1], id) or '0')
    if score ~= 0 and score <= now then
      local value = ARGV[1] .. ':' .. string.format('%d', tonumber(ARGV[2]) + at)
      if redis.call('SET', lock_of(id), value, 'NX', 'PX', ARGV[3]) then
        local retry = 'arq:retry:' .. id
        local starts = redis.call('INCR', retry)
        local asked = tonumber(ARGV[at + 1])
        if asked > starts then
          starts = asked
          redis.call('SET', retry, asked)
        end
        redis.call('EXPIRE', retry, 88400)
        local deaths = redis.call('INCR', begun(id)) - 1
        redis.call('EXPIRE', begun(id), 88400)
        local aborted = redis.call('ZREM', 'arq:abort', id)
        local definition = redis.call('GET', 'arq:job:' .. id)
        for _, part in ipairs({ id, value, string.format('%.0f', score), starts, deaths, aborted }) do
          answer[#answer + 1] = part
        end
        answer[#answer + 1] = definition
        taken = taken + 1
      end
    end
  end
  if most > 0 and taken > 0 and redis.call('INCRBY', KEYS[2], taken) == taken then
    redis.call('PEXPIRE', KEYS[2], ARGV[6])
  end
  return answer
end
