-- Renews locks that are still ours. ARGV: how long they hold in ms, then id and value of each lock. Answers one integer
-- for each: 1 ours.
local answer = {}
for at = 2, #ARGV, 2 do
  local lock = 'arq:in-progress:' .. ARGV[at]
  local ours = redis.call('GET', lock) == ARGV[at + 1]
  if ours then
    redis.call('PEXPIRE', lock, ARGV[1])
  end
  answer[#answer + 1] = ours and 1 or 0
end
return answer
