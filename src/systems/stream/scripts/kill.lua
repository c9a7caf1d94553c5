-- Gives delivered entries up: each is copied to the stream of given-up entries with where it came from, and settled.
-- ARGV: group, reason, ids …
local group, reason = ARGV[1], ARGV[2]
local stop = forbidden({ { 'XADD', dead, '*', 'k', 'v' }, { 'XACK', stream, group, '0-1' } })
if stop then
  return stop
end
local kind = redis.call('TYPE', dead).ok
local fits = kind == 'none' or kind == 'stream'
local results = {}
for index = 3, #ARGV do
  local id = ARGV[index]
  local entry = held(group, id)
  local fields = entry and fields_of(stream, id)
  local verdict = 1
  if not entry then
    verdict = -3
  elseif not fields then
    verdict = -31
  elseif not fits then
    verdict = -34
  elseif #fields > WORDS then
    verdict = -37
  else
    for _, word in ipairs({ 'dead.origin', id, 'dead.group', group, 'dead.deliveries', entry[4], 'dead.reason', reason }) do
      fields[#fields + 1] = word
    end
    redis.call('XADD', dead, '*', unpack(fields))
    redis.call('XACK', stream, group, id)
  end
  results[#results + 1] = verdict
end
return results
