-- Puts records back. ARGV, for each record: `1` if its first key must not exist, number of keys, then key, dump and
-- expiry (ms since the epoch, 0: none) of each, number of places, then kind, key and three details of each.
-- Answers one integer per record: 1 back, -20 the id was taken since, -21 the server did not take a dump.
local at = 1

local function take()
  local value = ARGV[at]
  at = at + 1
  return value
end

local function back_in_list(key, element, right, left)
  if right ~= '' and redis.call('LINSERT', key, 'BEFORE', right, element) > 0 then
    return
  end
  if left ~= '' and redis.call('LINSERT', key, 'AFTER', left, element) > 0 then
    return
  end
  if right == '' then
    redis.call('RPUSH', key, element)
  else
    redis.call('LPUSH', key, element)
  end
end

local results = {}
while at <= #ARGV do
  local guarded = take() == '1'
  local keys, places = {}, {}
  for _ = 1, tonumber(take()) do
    keys[#keys + 1] = { take(), take(), take() }
  end
  for _ = 1, tonumber(take()) do
    places[#places + 1] = { take(), take(), take(), take(), take() }
  end
  local verdict = 1
  if guarded and keys[1] and redis.call('EXISTS', keys[1][1]) == 1 then
    verdict = -20
  else
    local done = {}
    for _, entry in ipairs(keys) do
      if redis.call('EXISTS', entry[1]) == 0 then
        local reply = redis.pcall('RESTORE', entry[1], entry[3], entry[2], 'ABSTTL')
        if type(reply) == 'table' and reply.err then
          verdict = -21
          break
        end
        done[#done + 1] = entry[1]
      end
    end
    if verdict == 1 then
      for _, place in ipairs(places) do
        local kind, key = place[1], place[2]
        if kind == 'list' then
          back_in_list(key, place[3], place[4], place[5])
        elseif kind == 'sorted' then
          redis.call('ZADD', key, 'NX', place[4], place[3])
        elseif kind == 'member' then
          redis.call('SADD', key, place[3])
        elseif kind == 'field' then
          redis.call('HSETNX', key, place[3], place[4])
        end
      end
    else
      for _, key in ipairs(done) do
        redis.call('DEL', key)
      end
    end
  end
  results[#results + 1] = verdict
end
return results
