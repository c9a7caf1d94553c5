-- Makes wait what this runner holds without its knowing. ARGV from 3: ids it knows of …. Answers how many.
local known = {}
for index = 3, #ARGV do
  known[ARGV[index]] = true
end
local returned = 0
for _, entry in ipairs(redis.call('XPENDING', KEYS[1], group, '-', '+', 500, me)) do
  local member = entry[1] .. ' ' .. me
  if not known[entry[1]] and not redis.call('ZSCORE', KEYS[2], member) then
    redis.call('ZADD', KEYS[2], now, member)
    returned = returned + 1
  end
end
return returned
