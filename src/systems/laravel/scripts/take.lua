-- Takes exact payloads out of one key and, if there are more keys, puts them (or what replaces them) into the list and
-- wakes a worker. KEYS: from [, list, notify]. ARGV: kind of `from` (`list`, `zset`, or `lost`: a zset whose member goes
-- only if its time is over), end of the list that gets them (`left` runs next), then payload and replacement of each.
-- Answers one integer each: 1 done, -3 it is not there any more, -4 a worker still holds it.
local needed = { ARGV[1] == 'list' and { 'LREM', KEYS[1], '1', 'x' } or { 'ZREM', KEYS[1], 'x' } }
if KEYS[2] then
  needed[2] = { ARGV[2] == 'left' and 'LPUSH' or 'RPUSH', KEYS[2], 'x' }
  needed[3] = { 'RPUSH', KEYS[3], '1' }
end
local stop = forbidden(needed)
if stop then
  return stop
end
local now = tonumber(redis.call('TIME')[1])
local results = {}
for index = 3, #ARGV, 2 do
  local payload, replacement = ARGV[index], ARGV[index + 1]
  local verdict
  if ARGV[1] == 'list' then
    verdict = redis.call('LREM', KEYS[1], 1, payload) == 1 and 1 or -3
  else
    local score = redis.call('ZSCORE', KEYS[1], payload)
    if not score then
      verdict = -3
    elseif ARGV[1] == 'lost' and tonumber(score) > now then
      verdict = -4
    else
      redis.call('ZREM', KEYS[1], payload)
      verdict = 1
    end
  end
  if verdict == 1 and KEYS[2] then
    redis.call(ARGV[2] == 'left' and 'LPUSH' or 'RPUSH', KEYS[2], replacement)
    redis.call('RPUSH', KEYS[3], '1')
  end
  results[#results + 1] = verdict
end
return results
