-- Takes exact items out of one key and, if they move, puts each into another. KEYS: from; to (the same as from where
-- they only go); the heartbeat of the worker that had them, if it must be gone.
-- ARGV: kind of `from` (`list` or `zset`), end from which a list is searched (`left` or `right`), end of `to` that gets
-- them (empty: they only go), then six words for each item: its bytes, the bytes that are put into `to`, what its record
-- is (`none`, `json` or `hash`), the record's key, and either the record's text as it was read and as it shall be, or
-- the names of the hash fields with attempts and error (empty: none).
-- Answers one integer per item: 1 done, -3 it is not there any more, -40 its worker lives, -41 its record was changed,
-- -42 its record is gone.
-- Of twins exactly one goes.
local kind, from_end, to_end = ARGV[1], ARGV[2], ARGV[3]
local moves = to_end ~= ''
local needed = { kind == 'zset' and { 'ZREM', KEYS[1], 'x' } or { 'LREM', KEYS[1], '1', 'x' } }
if moves then
  needed[#needed + 1] = { to_end == 'left' and 'LPUSH' or 'RPUSH', KEYS[2], 'x' }
end
if ARGV[6] == 'json' then
  needed[#needed + 1] = { 'SET', ARGV[7], 'x', 'KEEPTTL' }
elseif ARGV[6] == 'hash' then
  needed[#needed + 1] = { 'HSET', ARGV[7], 'x', '0' }
  needed[#needed + 1] = { 'HDEL', ARGV[7], 'x' }
end
local stop = forbidden(needed)
if stop then
  return stop
end

local function fits()
  if not moves then
    return true
  end
  local there = redis.call('TYPE', KEYS[2]).ok
  return there == 'none' or there == 'list'
end

local function change(at)
  local old, new, record, key, a, b = unpack(ARGV, at, at + 5)
  if record == 'json' and redis.call('GET', key) ~= a then
    return -41
  elseif record == 'hash' and redis.call('EXISTS', key) == 0 then
    return -42
  end
  local taken
  if kind == 'zset' then
    taken = redis.call('ZREM', KEYS[1], old)
  else
    taken = redis.call('LREM', KEYS[1], from_end == 'left' and 1 or -1, old)
  end
  if taken == 0 then
    return -3
  end
  if moves then
    redis.call(to_end == 'left' and 'LPUSH' or 'RPUSH', KEYS[2], new)
  end
  if record == 'json' then
    redis.call('SET', key, b, 'KEEPTTL')
  elseif record == 'hash' then
    if a ~= '' then
      redis.call('HSET', key, a, '0')
    end
    if b ~= '' then
      redis.call('HDEL', key, b)
    end
  end
  return 1
end

if not fits() then
  return redis.error_reply('WRONGTYPE ' .. KEYS[2] .. ' holds no list; nothing was changed')
end
local lives = KEYS[3] and redis.call('EXISTS', KEYS[3]) == 1
local results = {}
for at = 4, #ARGV, 6 do
  results[#results + 1] = lives and -40 or change(at)
end
return results
