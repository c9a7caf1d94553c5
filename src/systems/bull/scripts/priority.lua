-- Gives waiting jobs another priority and place. ARGV: priority, ids …
local stop = lacks('LREM', 'ZREM', 'HSET', unpack(PUT))
if stop then
  return stop
end
local results = {}
for index = 2, #ARGV do
  local id = ARGV[index]
  if redis.call('EXISTS', at(id)) == 0 then
    results[#results + 1] = -1
  elseif redis.call('LREM', target(), 1, id) == 0 then
    results[#results + 1] = -3
  else
    redis.call('ZREM', at('priority'), id)
    redis.call('HSET', at(id), 'priority', tonumber(ARGV[1]))
    put(id, false)
    results[#results + 1] = 1
  end
end
return results
