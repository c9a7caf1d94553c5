-- Stores what became of a job, if its lock is still ours, and takes up to ARGV[4] others. ARGV: 7 id, 8 value of its
-- lock, 9 `done`, `retry`, `return`, `postpone` or `unseen`, 10 result, 11 ms for which it is kept (0: it is not), 12 ms
-- for which a lock stays behind (0: none), 13 ms until the next attempt, 14 `1`: the attempt killed its worker; from 15
-- on: other jobs. Answers 0 if the lock is not ours (R5), else as `take`.
local id, word = ARGV[7], ARGV[9]
local lock, retry, job = lock_of(id), 'arq:retry:' .. id, 'arq:job:' .. id
if redis.call('GET', lock) ~= ARGV[8] then
  return 0
end
local wait = tonumber(ARGV[13])
if word == 'done' then
  -- The result first: where there is no room for it, nothing has been changed (R12).
  if tonumber(ARGV[11]) > 0 then
    redis.call('SET', 'arq:result:' .. id, ARGV[10], 'PX', ARGV[11])
  end
  redis.call('ZREM', 'arq:abort', id)
  redis.call('ZREM', KEYS[1], id)
  redis.call('DEL', retry, job, begun(id))
else
  if wait > 0 then
    redis.call('ZADD', KEYS[1], 'XX', string.format('%d', now + wait), id)
    local left = redis.call('PTTL', job)
    if left >= 0 and left < wait + 86400000 then
      redis.call('PEXPIRE', job, string.format('%d', wait + 86400000))
    end
  end
  if word == 'postpone' or word == 'unseen' then
    one_less(retry)
  end
  if ARGV[14] ~= '1' then
    one_less(begun(id))
  end
end
if word == 'done' and tonumber(ARGV[12]) > 0 then
  -- Keeps others from adding the job of the same moment once more.
  redis.call('SET', lock, 1, 'PX', ARGV[12])
else
  redis.call('DEL', lock)
end
local want = tonumber(ARGV[4])
return want > 0 and take(want, 15) or { now, -1 }
