-- Sets or clears global limits. ARGV: concurrency (empty: leave, `0`: none), max, duration in ms (likewise).
local stop = lacks('HSET', 'HDEL', 'ZADD')
if stop then
  return stop
end
local names = { 'concurrency', 'max', 'duration' }
for index, name in ipairs(names) do
  local value = ARGV[index]
  if value == '0' then
    redis.call('HDEL', at('meta'), name)
  elseif value ~= '' then
    redis.call('HSET', at('meta'), name, value)
  end
end
-- A higher limit lets sleeping workers go on.
if redis.call('EXISTS', at('wait')) == 1 or redis.call('EXISTS', at('prioritized')) == 1 then
  wake(nil)
end
return 1
