-- Ends an attempt. ARGV from 3: id, outcome (`done`, `retry`, `dead`, `return`, `postpone`), wait in ms, attempts and
-- deaths to remember, reason, dead entries to keep (-1: all), then as for taking. Answers 0 if the entry is not this
-- runner's any more.
local id, outcome = ARGV[3], ARGV[4]
if owner(id) ~= me then
  return 0
end
if outcome == 'done' or outcome == 'dead' then
  if outcome == 'dead' then
    local entry = redis.call('XRANGE', KEYS[1], id, id)
    local fields = entry[1] and entry[1][2] or {}
    local words = {}
    for _, word in ipairs(fields) do
      words[#words + 1] = word
    end
    for _, word in ipairs({ 'qtop:origin', id, 'qtop:group', group, 'qtop:attempts', ARGV[6], 'qtop:error', ARGV[8] }) do
      words[#words + 1] = word
    end
    local keep = tonumber(ARGV[9])
    if keep >= 0 then
      redis.call('XADD', KEYS[6], 'MAXLEN', '~', keep, '*', unpack(words))
    else
      redis.call('XADD', KEYS[6], '*', unpack(words))
    end
  end
  redis.call('XACK', KEYS[1], group, id)
  forget(id)
else
  redis.call('ZADD', KEYS[2], now + tonumber(ARGV[5]), id .. ' ' .. me)
  for index, kind in ipairs({ 'a', 'd' }) do
    if tonumber(ARGV[5 + index]) > 0 then
      redis.call('HSET', KEYS[3], kind .. id, ARGV[5 + index])
    end
  end
end
-- The outcome is stored: what the next request meets must not make it look as if it were not.
if tonumber(ARGV[10]) > 0 then
  local fine, answer = pcall(take, tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12]))
  if fine then
    return answer
  end
end
return { now, -1, -1 }
