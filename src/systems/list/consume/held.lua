-- Renews the sign of life and says which of the items are still in this runner's processing list. ARGV from 10: this
-- runner, ms, start of the signs' keys, items …. Answers one integer per item.
live(ARGV[OWN], ARGV[OWN + 1], ARGV[OWN + 2])
local answer = {}
for index = OWN + 3, #ARGV do
  answer[#answer + 1] = redis.call('LPOS', KEYS[1], ARGV[index]) and 1 or 0
end
return answer
