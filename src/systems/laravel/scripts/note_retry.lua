-- Writes in a failed job's hash by which job it was retried, unless somebody else did meanwhile. KEYS: the hash. ARGV: what
-- stood there, what is to stand there (empty: nothing). Answers 1 done, -1 the job is not failed any more, -3 another note
-- is there.
local stop = forbidden({ { 'HSET', KEYS[1], 'retried_by', 'x' }, { 'HDEL', KEYS[1], 'retried_by' } })
if stop then
  return stop
end
if redis.call('HGET', KEYS[1], 'status') ~= 'failed' then
  return -1
end
if (redis.call('HGET', KEYS[1], 'retried_by') or '') ~= ARGV[1] then
  return -3
end
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], 'retried_by')
else
  redis.call('HSET', KEYS[1], 'retried_by', ARGV[2])
end
return 1
