-- Makes due jobs runnable.
local function promote_due(time)
  local due = call('ZRANGEBYSCORE', at('delayed'), 0, score_text((time + 1) * 4096 - 1), 'LIMIT', 0, 1000)
  if #due == 0 then
    return
  end
  local waiting = waiting_list()
  for _, id in ipairs(due) do
    call('ZREM', at('delayed'), id)
    local priority = tonumber(call('HGET', at(id), 'priority')) or 0
    if priority > 0 then
      call('ZADD', at('prioritized'), priority_score(nil, priority), id)
    else
      call('LPUSH', waiting, id)
    end
    call('HSET', at(id), 'delay', 0)
    say('event', 'waiting', 'jobId', id, 'prev', 'delayed')
  end
end
