-- Adds one job. ARGV: custom id or empty, name, data, opts (JSON), delay in ms, priority, dedup id or empty,
-- dedup time to live in ms or 0, end of the key of a record whose data is taken in place of that given, or empty.
-- Answers { code, id }: 1 added, 2 an id or dedup id held it back and owns it, -1 there is no such record.
local stop = lacks('INCR', 'HSET', 'LPUSH', 'ZADD', 'XADD')
if stop then
  return stop
end
local custom, name, data, opts = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local delay, priority, dedup, ttl = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])
if ARGV[9] ~= '' then
  local record = at(ARGV[9])
  if redis.call('HEXISTS', record, 'name') == 0 then
    return { -1, '' }
  end
  data = redis.call('HGET', record, 'data') or '{}'
end
local counter = redis.call('INCR', at('id'))
local id = custom ~= '' and custom or tostring(counter)
local record = at(id)
if custom ~= '' and redis.call('EXISTS', record) == 1 then
  emit(nil, 'event', 'duplicated', 'jobId', id)
  return { 2, id }
end
if dedup ~= '' then
  local owner_key = at('de:' .. dedup)
  local set = ttl > 0 and redis.call('SET', owner_key, id, 'PX', ttl, 'NX') or ttl == 0 and redis.call('SET', owner_key, id, 'NX')
  if not set then
    local owner = redis.call('GET', owner_key)
    emit(nil, 'event', 'deduplicated', 'jobId', owner, 'deduplicationId', dedup, 'deduplicatedJobId', id)
    return { 2, owner }
  end
  redis.call('HSET', record, 'deid', dedup)
end
local time = now()
redis.call('HSET', record, 'name', name, 'data', data, 'opts', opts, 'timestamp', score_text(time), 'delay',
  score_text(delay), 'priority', priority)
emit(nil, 'event', 'added', 'jobId', id, 'name', name)
if delay > 0 then
  redis.call('ZADD', at('delayed'), score_text(delayed_score(nil, time + delay)), id)
  emit(nil, 'event', 'delayed', 'jobId', id, 'delay', score_text(time + delay))
  wake_for_delayed(nil)
else
  to_wait(nil, id, priority, false)
  emit(nil, 'event', 'waiting', 'jobId', id)
end
return { 1, id }
