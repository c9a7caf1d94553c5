-- Renews locks. ARGV: ms for which a lock holds, then id, token and number of the start of each job. A lock that has run
-- out is taken again only if nobody has started the job since. Answers 1 or 0 for each.
local answer = {}
for index = 2, #ARGV, 3 do
  local id, token = ARGV[index], ARGV[index + 1]
  local lock = at(id) .. ':lock'
  local holder = call('GET', lock)
  local ours = holder == token
  if not holder and call('HGET', at(id), 'ats') == ARGV[index + 2] then
    for _, active in ipairs(call('LRANGE', at('active'), 0, 999)) do
      if active == id then
        ours = true
        break
      end
    end
  end
  if ours then
    call('SET', lock, token, 'PX', ARGV[1])
    call('SREM', at('stalled'), id)
  end
  answer[#answer + 1] = ours and 1 or 0
end
return answer
