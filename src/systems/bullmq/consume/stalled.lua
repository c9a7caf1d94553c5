-- Gives back jobs whose worker is gone, as any worker of the queue does: what has no lock twice in a row, with one look
-- an interval on all workers together. ARGV: ms between two looks, how often a job may lose its worker. Answers how many
-- went back.
local time = now()
if not redis.call('SET', at('stalled-check'), time, 'NX', 'PX', ARGV[1]) then
  return 0
end
local suspects = redis.call('SMEMBERS', at('stalled'))
local returned = 0
if #suspects > 0 then
  redis.call('DEL', at('stalled'))
end
for _, id in ipairs(suspects) do
  local job = at(id)
  if redis.call('EXISTS', job .. ':lock') == 0 and redis.call('LREM', at('active'), 1, id) > 0
    and redis.call('EXISTS', job) == 1 then
    local times = redis.call('HINCRBY', job, 'stc', 1)
    local scheduler = redis.call('HGET', job, 'rjk')
    if times >= tonumber(ARGV[2]) and not (scheduler and redis.call('ZSCORE', at('repeat'), scheduler)) then
      redis.call('HSET', job, 'defa', 'job stalled more than allowable limit')
    end
    redis.call('RPUSH', waiting_list(), id)
    wake()
    say('event', 'waiting', 'jobId', id, 'prev', 'active')
    say('event', 'stalled', 'jobId', id)
    returned = returned + 1
  end
end
local active = redis.call('LRANGE', at('active'), 0, 4999)
if #active > 0 then
  redis.call('SADD', at('stalled'), unpack(active))
end
return returned
