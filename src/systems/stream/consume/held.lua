-- Renews: entries of this runner count as fresh again, so that nobody who claims old ones takes them. ARGV from 3: ids ….
-- Answers one integer for each: 1 still this runner's.
local answer = {}
for index = 3, #ARGV do
  local ours = owner(ARGV[index]) == me
  if ours then
    redis.call('XCLAIM', KEYS[1], group, me, 0, ARGV[index], 'JUSTID')
  end
  answer[#answer + 1] = ours and 1 or 0
end
return answer
