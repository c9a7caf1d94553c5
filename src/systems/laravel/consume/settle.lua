-- Ends an attempt: the reservation goes, and the job goes where the outcome says, in one step. ARGV: the reserved text,
-- outcome (`done`, `dead`, `retry`, `return`, `postpone`), what to store, wait in ms, the job's id, `1` if it killed its
-- handler, key that counts its exceptions (empty: none) and how many it may have, unix second after which it is not tried
-- again (empty: none), `1` if another job is wanted, then the arguments of `take`. Answers 0 if it is not reserved any
-- more, -1 or -2 if it may not be tried again because of exceptions or time; then nothing else was done.
local text, outcome = ARGV[1], ARGV[2]
if not redis.call('ZSCORE', KEYS[3], text) then
  return 0
end
if outcome == 'retry' then
  if ARGV[9] ~= '' and tonumber(ARGV[9]) <= seconds then
    return -2
  end
  if ARGV[7] ~= '' then
    local count = redis.call('INCR', ARGV[7])
    if count == 1 then
      redis.call('PEXPIRE', ARGV[7], 86400000)
    end
    if count >= tonumber(ARGV[8]) then
      return -1
    end
  end
end
redis.call('ZREM', KEYS[3], text)
redis.call('HDEL', KEYS[6], redis.sha1hex(text))
if outcome == 'retry' or outcome == 'postpone' then
  local wait = tonumber(ARGV[4])
  redis.call('ZADD', KEYS[2], wait > 0 and math.ceil((now + wait) / 1000) or seconds, ARGV[3])
elseif outcome == 'return' then
  redis.call('LPUSH', KEYS[1], ARGV[3])
  redis.call('RPUSH', KEYS[4], '1')
elseif outcome == 'dead' and ARGV[7] ~= '' then
  redis.call('DEL', ARGV[7])
end
if outcome == 'retry' and ARGV[6] == '1' then
  redis.call('HINCRBY', KEYS[7], ARGV[5], 1)
  redis.call('PEXPIRE', KEYS[7], 86400000)
elseif outcome == 'done' or outcome == 'dead' then
  redis.call('HDEL', KEYS[7], ARGV[5])
end
if ARGV[10] == '1' then
  return take_by(11)
end
return { now, -1, -1, '' }
