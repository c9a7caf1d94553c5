-- Shows that a runner lives. KEYS: 1 runners of the application by name, 2 … where a restart of the application may be
-- noted. ARGV: runner, what to tell of it. Answers when the application was restarted last, if that is known.
local clock = redis.call('TIME')
local now = tonumber(clock[1])
for _, runner in ipairs(redis.call('HKEYS', KEYS[1])) do
  local at = tonumber(string.match(redis.call('HGET', KEYS[1], runner), '^%d+')) or 0
  if now - at > 3600 then
    redis.call('HDEL', KEYS[1], runner)
  end
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d', now) .. ' ' .. ARGV[2])
redis.call('PEXPIRE', KEYS[1], 3600000)
for index = 2, #KEYS do
  local value = redis.call('GET', KEYS[index])
  if value then
    return value
  end
end
return false
