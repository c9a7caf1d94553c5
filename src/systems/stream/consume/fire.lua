-- Adds an entry for a schedule's moment unless that one or a later has fired. KEYS[1]: moments by schedule, KEYS[2]: the
-- stream. ARGV: schedule, moment in ms, `1` if the moment has passed already: then it counts only for a schedule that has
-- fired before; then names and values of the entry.
local last = redis.call('HGET', KEYS[1], ARGV[1])
if last and tonumber(last) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if ARGV[3] == '1' and not last then
  return 0
end
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 4))
return 1
