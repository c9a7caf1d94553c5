-- Adds entries once more at the end of the stream, in the same call in which they leave the pending list or the
-- given-up ones. ARGV: `pending` or `dead`, group or empty, `1` to do it although other groups get them too, ids …
-- The old entry goes where no other group can still want it.
local state, group, careless = ARGV[1], ARGV[2], ARGV[3] == '1'
local from = state == 'dead' and dead or stream
local needed = { { 'XADD', stream, '*', 'k', 'v' }, { 'XDEL', from, '0-1' } }
if state == 'pending' then
  needed[#needed + 1] = { 'XACK', stream, group, '0-1' }
end
local stop = forbidden(needed)
if stop then
  return stop
end
local alone = #groups() < 2

-- What was written behind the fields when the entry was given up (see kill.lua) is not part of it.
local function without_notes(fields)
  local count = #fields
  local noted = count >= 8 and fields[count - 7] == 'dead.origin' and fields[count - 5] == 'dead.group'
    and fields[count - 3] == 'dead.deliveries' and fields[count - 1] == 'dead.reason'
  if not noted or count == 8 then
    return fields
  end
  local own = {}
  for index = 1, count - 8 do
    own[index] = fields[index]
  end
  return own
end

local results = {}
for index = 4, #ARGV do
  local id = ARGV[index]
  local waits = state == 'dead' or held(group, id)
  local fields = waits and fields_of(from, id)
  local answer
  if not waits or state == 'dead' and not fields then
    answer = -3
  elseif not fields then
    answer = -31
  elseif not alone and not careless then
    answer = -36
  elseif #fields > WORDS then
    answer = -37
  elseif state == 'dead' then
    answer = redis.call('XADD', stream, '*', unpack(without_notes(fields)))
    redis.call('XDEL', dead, id)
  else
    answer = redis.call('XADD', stream, '*', unpack(fields))
    redis.call('XACK', stream, group, id)
    if alone then
      redis.call('XDEL', stream, id)
    end
  end
  results[#results + 1] = answer
end
return results
