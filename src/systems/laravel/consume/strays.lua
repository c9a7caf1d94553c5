-- Puts back what this runner holds without knowing, as if it had not been taken. ARGV: SHA-1 of the reserved texts it
-- knows of. Answers how many came back.
local known = {}
for _, sum in ipairs(ARGV) do
  known[sum] = true
end
local strays = {}
for _, sum in ipairs(redis.call('HKEYS', KEYS[6])) do
  if not known[sum] then
    strays[sum] = true
    redis.call('HDEL', KEYS[6], sum)
  end
end
local found = {}
if next(strays) then
  for _, text in ipairs(redis.call('ZREVRANGE', KEYS[3], 0, 1999)) do
    if strays[redis.sha1hex(text)] then
      found[#found + 1] = text
    end
  end
end
for _, text in ipairs(found) do
  local first, last = attempts_at(text)
  redis.call('ZREM', KEYS[3], text)
  redis.call('LPUSH', KEYS[1], counted(text, first, last, -1))
  redis.call('RPUSH', KEYS[4], '1')
end
return #found
