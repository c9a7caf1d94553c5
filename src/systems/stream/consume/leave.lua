-- Says goodbye. What still waits for another attempt stays this runner's until the next runner takes it. ARGV[3]: start of
-- the signs' keys.
redis.call('DEL', ARGV[3] .. me)
if #redis.call('XPENDING', KEYS[1], group, '-', '+', 1, me) == 0 then
  redis.call('ZREM', KEYS[5], me)
  redis.call('XGROUP', 'DELCONSUMER', KEYS[1], group, me)
end
return 1
