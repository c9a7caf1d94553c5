-- Gives delayed jobs a new time. ARGV: delay in milliseconds from now, ids …
local stop = lacks('HSET', 'ZADD', 'SREM', 'HDEL')
if stop then
  return stop
end
local results = {}
for index = 2, #ARGV do
  local id = ARGV[index]
  if redis.call('EXISTS', at(id)) == 0 then
    results[#results + 1] = -1
  elseif not redis.call('ZSCORE', at('delayed'), id) then
    results[#results + 1] = -3
  elseif chain_of(id) then
    results[#results + 1] = -9
  else
    unpark(id)
    put_later(id, tonumber(ARGV[1]))
    results[#results + 1] = 1
  end
end
return results
