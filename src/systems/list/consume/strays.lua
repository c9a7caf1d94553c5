-- Gives back what lies in this runner's processing list without its knowing: taken by a request whose reply was lost.
-- ARGV from 10: items it knows of …. Answers how many went back.
local stop = forbidden({ { 'LREM', KEYS[1], '1', 'x' } })
for index = QUEUE, #KEYS do
  stop = stop or misfit('LLEN', KEYS[index], 'list')
    or forbidden({ { side == 'left' and 'LPUSH' or 'RPUSH', KEYS[index], 'x' } })
end
if stop then
  return stop
end
local known = {}
for index = OWN, #ARGV do
  known[ARGV[index]] = (known[ARGV[index]] or 0) + 1
end
local returned = 0
for _, item in ipairs(redis.call('LRANGE', KEYS[1], 0, 499)) do
  if (known[item] or 0) > 0 then
    known[item] = known[item] - 1
  else
    push(home(item), side, item)
    returned = returned + redis.call('LREM', KEYS[1], 1, item)
  end
end
return returned
