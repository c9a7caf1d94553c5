-- Gives back what lies in this runner's processing list without its knowing: taken by a request whose reply was lost.
-- ARGV: end from which the queue is taken, items it knows of …. Answers how many went back.
local known = {}
for index = 2, #ARGV do
  known[ARGV[index]] = (known[ARGV[index]] or 0) + 1
end
local returned = 0
for _, item in ipairs(redis.call('LRANGE', KEYS[1], 0, 499)) do
  if (known[item] or 0) > 0 then
    known[item] = known[item] - 1
  elseif redis.call('LREM', KEYS[1], 1, item) == 1 then
    push(KEYS[7], ARGV[1], item)
    returned = returned + 1
  end
end
return returned
