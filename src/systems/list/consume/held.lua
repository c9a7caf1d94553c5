-- Renews the sign of life and says which of the items are still in this runner's processing list. ARGV: this runner, ms,
-- start of the signs' keys, items …. Answers one integer per item.
redis.call('SET', ARGV[3] .. ARGV[1], now, 'PX', ARGV[2])
redis.call('ZADD', KEYS[5], now, ARGV[1])
local answer = {}
for index = 4, #ARGV do
  answer[#answer + 1] = redis.call('LPOS', KEYS[1], ARGV[index]) and 1 or 0
end
return answer
