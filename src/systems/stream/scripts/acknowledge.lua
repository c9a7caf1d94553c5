-- Settles delivered entries. ARGV: group, ids …
local results = {}
for index = 2, #ARGV do
  results[#results + 1] = redis.call('XACK', stream, ARGV[1], ARGV[index]) == 1 and 1 or -3
end
return results
