-- Deletes jobs of one state. ARGV: state, ids …
local stop = lacks('LREM', 'ZREM', 'SREM', 'HDEL', 'DEL')
if stop then
  return stop
end
local state = ARGV[1]
local ended = state == 'completed' or state == 'failed'
local function take(id)
  if state == 'waiting' then
    return redis.call('LREM', at('wait'), 0, id) + redis.call('LREM', at('paused'), 0, id)
  elseif state == 'active' then
    return redis.call('LREM', at('active'), 0, id)
  end
  return redis.call('ZREM', at(state), id)
end
local results = {}
for index = 2, #ARGV do
  local id = ARGV[index]
  if locked(id) then
    results[#results + 1] = 0
  elseif not ended and chain_of(id) then
    results[#results + 1] = -8
  elseif take(id) == 0 then
    results[#results + 1] = redis.call('EXISTS', at(id)) == 0 and -1 or -3
  else
    local debounce = redis.call('HGET', at(id), 'deid')
    if debounce and redis.call('GET', at('de:') .. debounce) == id then
      redis.call('DEL', at('de:') .. debounce)
    end
    redis.call('ZREM', at('priority'), id)
    unpark(id)
    redis.call('DEL', at(id), at(id) .. ':logs')
    results[#results + 1] = 1
  end
end
return results
