-- Renews the sign of life and says which of the items are still in this runner's processing list. ARGV from 7: this
-- runner, ms, start of the signs' keys, items …. Answers one integer per item.
redis.call('SET', ARGV[OWN + 2] .. ARGV[OWN], now, 'PX', ARGV[OWN + 1])
redis.call('ZADD', KEYS[5], now, ARGV[OWN])
local answer = {}
for index = OWN + 3, #ARGV do
  answer[#answer + 1] = redis.call('LPOS', KEYS[1], ARGV[index]) and 1 or 0
end
return answer
