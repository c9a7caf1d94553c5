-- Gives delivered entries to another consumer. ARGV: group, consumer, least idle time in ms, `1` to make a consumer
-- that the group does not know, ids …
local group, consumer, least, known = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1'
local stop = forbidden({ { 'XCLAIM', stream, group, consumer, '0', '0-1' } })
if stop then
  return stop
end
if not known then
  for _, one in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
    known = known or value(one, 'name') == consumer
  end
end
local results = {}
for index = 5, #ARGV do
  local id = ARGV[index]
  local entry = held(group, id)
  local verdict = 1
  if not entry then
    verdict = -3
  elseif not known then
    verdict = -33
  elseif entry[2] == consumer then
    verdict = -32
  elseif entry[3] < least then
    verdict = -30
  elseif not fields_of(stream, id) then
    -- A claim would silently drop it from the pending list.
    verdict = -31
  else
    redis.call('XCLAIM', stream, group, consumer, least, id)
  end
  results[#results + 1] = verdict
end
return results
