-- Shows that this runner lives, and gives back what dead runners held. ARGV from 10: this runner, ms for which its sign of
-- life holds, start of the signs' keys, start and end of the processing lists' keys.
-- A runner is dead when its sign has expired by the server's clock, while this one's held. Answers how many items went
-- back.
local me, life, signs = ARGV[OWN], tonumber(ARGV[OWN + 1]), ARGV[OWN + 2]
local returned = 0
if live(me, life, signs) < life then
  return returned
end
for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', now - life, 'LIMIT', 0, 20)) do
  if redis.call('EXISTS', signs .. other) == 0 then
    local list = ARGV[OWN + 3] .. other .. ARGV[OWN + 4]
    -- The newest first, so that the oldest is the next to be taken.
    while returned < 500 do
      local item = redis.call('LINDEX', list, 0)
      if not item then
        redis.call('ZREM', KEYS[5], other)
        break
      end
      redis.call('LMOVE', list, home(item), 'LEFT', side == 'left' and 'LEFT' or 'RIGHT')
      redis.call('HINCRBY', KEYS[3], 'd' .. redis.sha1hex(item), 1)
      returned = returned + 1
    end
  end
end
return returned
