-- Gives back jobs that were locked by requests whose answers were lost. ARGV: 1 start of the values of our locks, 2 ids ….
-- Answers how many.
local returned = 0
for at = 2, #ARGV do
  local id = ARGV[at]
  local value = redis.call('GET', lock_of(id))
  if value and string.sub(value, 1, #ARGV[1]) == ARGV[1] then
    redis.call('DEL', lock_of(id))
    one_less('arq:retry:' .. id)
    one_less(begun(id))
    returned = returned + 1
  end
end
return returned
