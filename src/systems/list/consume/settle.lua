-- Ends an attempt: the item leaves the processing list and goes where the outcome says, in one step. ARGV: the item,
-- outcome (`done`, `retry`, `dead`, `return`, `postpone`), what to store in its place, wait in ms, attempts and deaths
-- to remember for that, end from which the queue is taken, unit of the delayed scores in ms, end of the newest dead
-- letter, dead letters to keep (-1: all), counters of ended and of failed items (empty: none), progress key (empty:
-- none), then how many to take next, rate limit, window. Answers nothing but 0 if the item is not this runner's any more.
local item, outcome, stored = ARGV[1], ARGV[2], ARGV[3]
local side, unit = ARGV[7], tonumber(ARGV[8])
if redis.call('LREM', KEYS[1], 1, item) == 0 then
  return 0
end
forget(item)
if outcome == 'retry' or outcome == 'postpone' then
  redis.call('ZADD', KEYS[2], string.format('%.3f', (now + tonumber(ARGV[4])) / unit), stored)
elseif outcome == 'return' then
  push(KEYS[7], side, stored)
elseif outcome == 'dead' then
  push(KEYS[6], ARGV[9], stored)
  local keep = tonumber(ARGV[10])
  if keep >= 0 then
    if ARGV[9] == 'left' then
      redis.call('LTRIM', KEYS[6], 0, keep - 1)
    else
      redis.call('LTRIM', KEYS[6], -keep, -1)
    end
  end
end
if outcome ~= 'done' and outcome ~= 'dead' then
  local sum = redis.sha1hex(stored)
  for index, kind in ipairs({ 'a', 'd' }) do
    if tonumber(ARGV[4 + index]) > 0 then
      redis.call('HSET', KEYS[3], kind .. sum, ARGV[4 + index])
    end
  end
else
  if ARGV[11] ~= '' then
    redis.call('INCR', ARGV[11])
  end
  if outcome == 'dead' and ARGV[12] ~= '' then
    redis.call('INCR', ARGV[12])
  end
  if ARGV[13] ~= '' then
    redis.call('DEL', ARGV[13])
  end
end
if tonumber(ARGV[14]) > 0 then
  return take(tonumber(ARGV[14]), side, unit, tonumber(ARGV[15]), tonumber(ARGV[16]))
end
return { now, -1, -1 }
