-- Whether the user may do what a change is going to do; behind queue.lua and forbidden.lua.

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
