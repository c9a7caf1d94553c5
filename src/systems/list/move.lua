-- Takes exact items out of one key and, if there is a second key, puts each into that. KEYS: from, and to if they move.
-- ARGV: kind of `from` (`list` or `zset`), end from which a list is searched (`left` or `right`), end of `to` that gets
-- them, items …. Answers one integer per item: 1 done, -3 it is not there any more. Of twins exactly one goes.
local results = {}
for index = 4, #ARGV do
  local item = ARGV[index]
  local taken
  if ARGV[1] == 'zset' then
    taken = redis.call('ZREM', KEYS[1], item)
  else
    taken = redis.call('LREM', KEYS[1], ARGV[2] == 'left' and 1 or -1, item)
  end
  if taken == 1 and KEYS[2] then
    redis.call(ARGV[3] == 'left' and 'LPUSH' or 'RPUSH', KEYS[2], item)
  end
  results[#results + 1] = taken == 1 and 1 or -3
end
return results
