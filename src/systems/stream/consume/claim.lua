-- Takes entries. ARGV from 3: how many, rate limit (0: none) and its window in ms. Nothing is taken as long as what is
-- given up could not be stored.
local found = redis.pcall('XLEN', KEYS[6])
if type(found) == 'table' and found.err and string.find(found.err, 'WRONGTYPE', 1, true) then
  return redis.error_reply('WRONGTYPE ' .. KEYS[6] .. ' is no stream, and dead entries go there; nothing was changed')
end
return take(tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]))
