-- Shows that this runner lives, and makes what dead runners held wait for the next that asks. ARGV from 3: ms for which a
-- sign of life holds, start of the signs' keys. Consumers of other makers are left alone. Answers how many entries.
local life, signs = tonumber(ARGV[3]), ARGV[4]
local returned = 0
if live(life, signs) < life then
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
