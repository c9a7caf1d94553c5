-- Makes delayed jobs run now. ARGV: ids …
local foreign = is_foreign()
local results = {}
for index = 1, #ARGV do
  local id = ARGV[index]
  if foreign then
    results[#results + 1] = -30
  elseif redis.call('EXISTS', at(id)) == 0 then
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
