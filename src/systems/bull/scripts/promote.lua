-- Makes delayed jobs run now. ARGV: ids …
local stop = lacks('HSET', 'ZREM', 'SREM', 'HDEL', unpack(PUT))
if stop then
  return stop
end
local results = {}
for index = 1, #ARGV do
  local id = ARGV[index]
  if redis.call('EXISTS', at(id)) == 0 then
    results[#results + 1] = -1
  elseif redis.call('ZREM', at('delayed'), id) == 0 then
    results[#results + 1] = -3
  else
    unpark(id)
    put(id, false)
    redis.call('HSET', at(id), 'delay', 0)
    results[#results + 1] = 1
  end
end
return results
