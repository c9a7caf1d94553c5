-- Shared opening of every script here. KEYS[1] is the stream; KEYS[2], where it is needed, the stream of entries that
-- were given up.
--
-- Results are one answer per id: 1 or the id of a new entry for done; -3 not in the expected state, -30 delivered too
-- lately, -31 its body is gone, -32 held by that consumer already, -33 no such consumer, -34 the place of given-up
-- entries is no stream, -35 pending in some group, -36 other groups would get it again, -37 too many fields, -38 other
-- groups need it.

local stream, dead = KEYS[1], KEYS[2]

-- Most words that one call can be given from a table.
local WORDS = 7000

-- A delivered entry as { id, consumer, idle in ms, deliveries }, or nil.
local function held(group, id)
  return redis.call('XPENDING', stream, group, id, id, 1)[1]
end

local function fields_of(key, id)
  local found = redis.call('XRANGE', key, id, id, 'COUNT', 1)[1]
  return found and found[2]
end

-- Value of a field in the flat maps of XINFO.
local function value(map, name)
  for index = 1, #map, 2 do
    if map[index] == name then
      return map[index + 1]
    end
  end
  return nil
end

local function groups()
  local ok, found = pcall(redis.call, 'XINFO', 'GROUPS', stream)
  return ok and found or {}
end

-- Whether entry id `a` is below `b`.
local function below(a, b)
  local a_time, a_number = string.match(a, '^(%d+)-(%d+)$')
  local b_time, b_number = string.match(b, '^(%d+)-(%d+)$')
  a_time, a_number = tonumber(a_time), tonumber(a_number)
  b_time, b_number = tonumber(b_time), tonumber(b_number)
  return a_time < b_time or a_time == b_time and a_number < b_number
end
