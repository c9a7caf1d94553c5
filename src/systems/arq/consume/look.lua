-- Looks at jobs that are due and not locked, and changes nothing. KEYS[1]: queue. ARGV: rank from which to look, how many
-- to look at, how many to tell, bytes of their definitions, score from which to look. Answers now, how many were looked at, ms until the next that
-- is not due yet (-1: none is waiting, or it was not reached), then for each: id, bytes of its definition, the first of
-- these.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local most, want = tonumber(ARGV[2]), tonumber(ARGV[3])
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[5], now, 'WITHSCORES', 'LIMIT', ARGV[1], most)
local answer = { now, 0, -1 }
for at = 1, #ids, 2 do
  if want == 0 then
    break
  end
  answer[2] = answer[2] + 1
  local id = ids[at]
  -- The library never takes a job with the score 0.
  if tonumber(ids[at + 1]) ~= 0 and redis.call('EXISTS', 'arq:in-progress:' .. id) == 0 then
    local job = 'arq:job:' .. id
    answer[#answer + 1] = id
    answer[#answer + 1] = redis.call('STRLEN', job)
    answer[#answer + 1] = redis.call('GETRANGE', job, 0, tonumber(ARGV[4]) - 1)
    want = want - 1
  end
end
if #ids < 2 * most then
  local later = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if later[2] then
    answer[3] = math.max(1, tonumber(later[2]) - now)
  end
end
return answer
