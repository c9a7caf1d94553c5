-- Gives back jobs whose worker is gone, as any worker of the queue does: what has no lock twice in a row, with one look
-- an interval on all workers together. ARGV: ms between two looks, how often a job may lose its worker. Answers how many
-- went back.
if not call('SET', at('stalled-check'), time, 'NX', 'PX', ARGV[1]) then
  return 0
end
local suspects = call('SMEMBERS', at('stalled'))
local returned = 0
if #suspects > 0 then
  call('DEL', at('stalled'))
end
for _, id in ipairs(suspects) do
  local job = at(id)
  if call('EXISTS', job .. ':lock') == 0 and call('LREM', at('active'), 1, id) > 0
    and call('EXISTS', job) == 1 then
    local parents = common().parents()
    local too_often = call('HINCRBY', job, deaths_field, 1) >= tonumber(ARGV[2])
    if too_often and parents.known() < 550 then
      parents.fail_stalled(id, 'job stalled more than allowable limit', time)
    else
      local scheduler = call('HGET', job, 'rjk')
      if too_often and not (scheduler and call('ZSCORE', at('repeat'), scheduler)) then
        call('HSET', job, 'defa', 'job stalled more than allowable limit')
      end
      call('RPUSH', common().waiting_list(), id)
      common().wake()
      say('event', 'waiting', 'jobId', id, 'prev', 'active')
      say('event', 'stalled', 'jobId', id)
      returned = returned + 1
    end
  end
end
local active = call('LRANGE', at('active'), 0, 4999)
if #active > 0 then
  call('SADD', at('stalled'), unpack(active))
end
return returned
