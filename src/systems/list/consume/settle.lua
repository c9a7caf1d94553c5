-- Ends an attempt: the item leaves the processing list and goes where the outcome says, in one step. ARGV from 10: the
-- item, outcome (`done`, `retry`, `dead`, `return`, `postpone`), what to store in its place, wait in ms, attempts and
-- deaths to remember for that, end of the newest dead letter, dead letters to keep (-1: all), progress key (empty: none),
-- how many to take next, the list it was taken from. Answers nothing but 0 if the item is not this runner's any more.
local item, outcome, stored = ARGV[OWN], ARGV[OWN + 1], ARGV[OWN + 2]
local wait, newest, keep = tonumber(ARGV[OWN + 3]), ARGV[OWN + 6], tonumber(ARGV[OWN + 7])
local progress, want = ARGV[OWN + 8], tonumber(ARGV[OWN + 9])
local origin = KEYS[QUEUE - 1 + (tonumber(ARGV[OWN + 10]) or 1)] or KEYS[QUEUE]
local ended = outcome == 'done' or outcome == 'dead'
local function need(command, key)
  return forbidden({ { command, key, 'x', 'x' } })
end
local function put(at, key)
  return misfit('LLEN', key, 'list') or need(at == 'left' and 'LPUSH' or 'RPUSH', key)
end
local function count(key)
  return no_counter(key) or key ~= '' and forbidden({ { 'INCR', key } }) or nil
end

local stop = ended and count(finished)
if outcome == 'dead' then
  stop = stop or count(failed) or put(newest, KEYS[6])
elseif outcome == 'return' then
  stop = put(side, origin)
elseif outcome ~= 'done' then
  stop = misfit('ZCARD', KEYS[2], 'sorted set') or need('ZADD', KEYS[2])
end
if outcome ~= 'done' then
  stop = stop or need('LREM', KEYS[1]) or need('HSET', KEYS[3])
end
if stop then
  return stop
end
if outcome ~= 'done' and not redis.call('LPOS', KEYS[1], item) then
  return 0
end
-- It is elsewhere before it is here no more: whatever refuses now leaves it where it was.
if not ended then
  note_home(stored, origin)
  local sum = redis.sha1hex(stored)
  for index, kind in ipairs({ 'a', 'd' }) do
    if tonumber(ARGV[OWN + 3 + index]) > 0 then
      redis.call('HSET', KEYS[3], kind .. sum, ARGV[OWN + 3 + index])
    end
  end
end
if outcome == 'retry' or outcome == 'postpone' then
  delay(stored, now + wait)
elseif outcome == 'return' then
  push(origin, side, stored)
elseif outcome == 'dead' then
  push(KEYS[6], newest, stored)
end
if redis.call('LREM', KEYS[1], 1, item) == 0 then
  return 0
end
-- The outcome is stored: what else there is to do must not make it look as if it were not.
if ended or stored ~= item then
  pcall(forget, item)
end
if outcome == 'dead' and keep >= 0 then
  if newest == 'left' then
    redis.pcall('LTRIM', KEYS[6], 0, keep - 1)
  else
    redis.pcall('LTRIM', KEYS[6], -keep, -1)
  end
end
if ended and finished ~= '' then
  redis.pcall('INCR', finished)
end
if outcome == 'dead' and failed ~= '' then
  redis.pcall('INCR', failed)
end
if ended and progress ~= '' then
  redis.pcall('DEL', progress)
end
if want > 0 then
  local fine, answer = pcall(take, want)
  if fine then
    return answer
  end
end
return { now, -1, -1, '' }
