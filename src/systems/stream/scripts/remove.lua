-- Deletes entries. ARGV: state they were seen in, group or empty, `1` to do it although other groups have not had them,
-- ids … An entry that was delivered is settled, too; one that another group has and has not settled never goes.
local state, group, careless = ARGV[1], ARGV[2], ARGV[3] == '1'
local from = state == 'dead' and dead or stream
local needed = { { 'XDEL', from, '0-1' } }
if state == 'pending' then
  needed[#needed + 1] = { 'XACK', stream, group, '0-1' }
end
local stop = forbidden(needed)
if stop then
  return stop
end
local all = groups()

local function wanted_by_others(id)
  for _, one in ipairs(all) do
    if value(one, 'name') ~= group and below(value(one, 'last-delivered-id'), id) then
      return true
    end
  end
  return false
end

local function pending_elsewhere(id)
  for _, one in ipairs(all) do
    local name = value(one, 'name')
    if (state ~= 'pending' or name ~= group) and held(name, id) then
      return true
    end
  end
  return false
end

local function remove(id)
  if state == 'dead' then
    return redis.call('XDEL', dead, id) == 1 and 1 or -3
  end
  if state == 'pending' then
    if not held(group, id) then
      return -3
    elseif #all > 1 and not careless or pending_elsewhere(id) then
      return -38
    end
    redis.call('XACK', stream, group, id)
    redis.call('XDEL', stream, id)
    return 1
  end
  if #redis.call('XRANGE', stream, id, id, 'COUNT', 1) == 0 then
    return -3
  elseif pending_elsewhere(id) then
    return -35
  elseif wanted_by_others(id) and not careless then
    return -38
  end
  return redis.call('XDEL', stream, id) == 1 and 1 or -3
end

local results = {}
for index = 4, #ARGV do
  results[#results + 1] = remove(ARGV[index])
end
return results
