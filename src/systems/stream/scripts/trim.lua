-- Cuts old entries, so many in one call that it stays short. ARGV: entries to keep, most to cut now.
-- Nothing goes that some group has not had, or has had and not settled. Answers { cut, left above what is to be kept,
-- group that holds the rest back or empty }.
local keep, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local floor, holder = nil, ''
for _, one in ipairs(groups()) do
  local name = value(one, 'name')
  local summary = redis.call('XPENDING', stream, name)
  local first = summary[2]
  if not first then
    -- The next one it will be given: everything up to the last is settled.
    local time, number = string.match(value(one, 'last-delivered-id'), '^(%d+)-(%d+)$')
    first = time .. '-' .. string.format('%.0f', tonumber(number) + 1)
  end
  if not floor or below(first, floor) then
    floor, holder = first, name
  end
end
local above = redis.call('XLEN', stream) - keep
if above <= 0 then
  return { 0, 0, '' }
end
local limit = math.min(above, most)
local cut
if floor then
  cut = redis.call('XTRIM', stream, 'MINID', '~', floor, 'LIMIT', limit)
else
  cut = redis.call('XTRIM', stream, 'MAXLEN', '~', keep, 'LIMIT', limit)
end
return { cut, above - cut, cut == 0 and holder or '' }
