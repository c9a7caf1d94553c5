-- Shows that this runner lives, and makes what dead runners held wait for the next that asks. ARGV from 3: ms for which a
-- sign of life holds, start of the signs' keys, ms after which an entry of a consumer of another maker counts as left
-- behind (0: never), deliveries with which such an entry is given up, key that says that they were looked for. Answers how
-- many entries.
local life, signs, idle, most, looked = tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local returned = 0
local alive = live(life, signs)

-- Takes over what one consumer has left behind. What waits for another attempt is idle too, but belongs to a runner.
local function inherit(consumer)
  for _, entry in ipairs(redis.call('XPENDING', KEYS[1], group, 'IDLE', idle, '-', '+', 100, consumer)) do
    local id, deliveries = entry[1], entry[4]
    if #redis.call('XCLAIM', KEYS[1], group, me, idle, id, 'JUSTID') > 0 then
      redis.call('ZADD', KEYS[2], now, id .. ' ' .. me)
      if deliveries >= most then
        redis.call('HSET', KEYS[3], 'p' .. id, deliveries)
      end
      returned = returned + 1
    end
  end
end

-- One runner looks for all, every half a minute.
if idle > 0 and redis.call('SET', looked, me, 'NX', 'PX', math.min(30000, math.floor(idle / 2))) then
  for _, facts in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], group)) do
    local told = {}
    for at = 1, #facts, 2 do
      told[facts[at]] = facts[at + 1]
    end
    if told.pending > 0 and not redis.call('ZSCORE', KEYS[5], told.name) then
      inherit(told.name)
    end
  end
end
if alive < life then
  return returned
end
for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', now - life, 'LIMIT', 0, 20)) do
  if redis.call('EXISTS', signs .. other) == 0 then
    local pending = redis.call('XPENDING', KEYS[1], group, '-', '+', 500, other)
    local new = 0
    for _, entry in ipairs(pending) do
      local member = entry[1] .. ' ' .. other
      if not redis.call('ZSCORE', KEYS[2], member) then
        redis.call('ZADD', KEYS[2], now, member)
        redis.call('HINCRBY', KEYS[3], 'd' .. entry[1], 1)
        new = new + 1
      end
    end
    returned = returned + new
    if #pending == 0 then
      redis.call('ZREM', KEYS[5], other)
      redis.call('XGROUP', 'DELCONSUMER', KEYS[1], group, other)
    end
  end
end
return returned
