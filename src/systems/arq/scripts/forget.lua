-- Deletes results. ARGV: ids …. Answers one integer per job: 1 done, -1 it has no result.
local first = ARGV[1] or ''
local stop = forbidden({ { 'DEL', 'arq:result:' .. first } })
if stop then
  return stop
end
local results = {}
for at = 1, #ARGV do
  results[at] = redis.call('DEL', 'arq:result:' .. ARGV[at]) == 1 and 1 or -1
end
return results
