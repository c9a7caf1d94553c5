-- Shows that this runner lives, and gives back what dead runners held. ARGV: this runner, ms for which its sign of life
-- holds, start of the signs' keys, start and end of the processing lists' keys, end from which the queue is taken.
-- A runner is dead when its sign has expired by the server's clock. Answers how many items went back.
redis.call('SET', ARGV[3] .. ARGV[1], now, 'PX', ARGV[2])
redis.call('ZADD', KEYS[5], now, ARGV[1])
local returned = 0
for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', now - tonumber(ARGV[2]), 'LIMIT', 0, 20)) do
  if redis.call('EXISTS', ARGV[3] .. other) == 0 then
    local list = ARGV[4] .. other .. ARGV[5]
    -- The newest first, so that the oldest is the next to be taken.
    while returned < 500 do
      local item = redis.call('LMOVE', list, KEYS[7], 'LEFT', ARGV[6] == 'left' and 'LEFT' or 'RIGHT')
      if not item then
        redis.call('ZREM', KEYS[5], other)
        break
      end
      redis.call('HINCRBY', KEYS[3], 'd' .. redis.sha1hex(item), 1)
      returned = returned + 1
    end
  end
end
return returned
