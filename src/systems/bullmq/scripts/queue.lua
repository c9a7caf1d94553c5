-- Opening of every script for BullMQ and for Bull. KEYS[1] is the queue's base key, `<prefix>:<queue>`; all other keys of
-- the queue are derived from it, so on a cluster they share its hash tag.
--
-- Results are one integer per id: 1 done, 0 locked by a worker, -1 no such job, -3 not in the expected state,
-- -8 belongs to a scheduler or repeatable.

local base = KEYS[1]

local function at(suffix, queue)
  return (queue or base) .. ':' .. suffix
end

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function score_text(score)
  return string.format('%.0f', score)
end

local function option(job_key, name)
  local stored = redis.call('HGET', job_key, 'opts')
  local ok, options = pcall(cjson.decode, stored or '')
  if ok and type(options) == 'table' then
    return options[name]
  end
  return nil
end

-- What the scripts write, as forbidden.lua wants it.
local SAMPLES = {
  DEL = { at('0') },
  HDEL = { at('0'), 'x' },
  HSET = { at('0'), 'x', 'x' },
  INCR = { at('pc') },
  LPUSH = { at('wait'), 'x' },
  LINSERT = { at('wait'), 'BEFORE', 'x', 'x' },
  LREM = { at('wait'), '-1', 'x' },
  RENAME = { at('wait'), at('paused') },
  RPOPLPUSH = { at('wait'), at('paused') },
  RPUSH = { at('wait'), 'x' },
  SET = { at('meta-paused'), '1' },
  SREM = { at('limiter:limited'), 'x' },
  XADD = { at('events'), '*', 'event', 'x' },
  ZADD = { at('delayed'), '0', 'x' },
  ZREM = { at('failed'), 'x' },
}

-- An error to be returned if the user may not do what the script is going to do, else nil.
local function lacks(...)
  local commands = {}
  for _, name in ipairs({ ... }) do
    commands[#commands + 1] = { name, unpack(SAMPLES[name]) }
  end
  return forbidden(commands)
end
