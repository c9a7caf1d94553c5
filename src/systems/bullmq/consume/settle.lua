-- Stores outcomes, each by itself, then takes a job for each stored one that wants another. ARGV: number of outcomes; for
-- each the job, its value (result or reason), and where among the arguments the rest of its outcome begins, which many have
-- in common; then as for `take`; then those rests: token of the claim, kind of the outcome, trace, `first` and `second` as
-- the kind wants them, attempts allowed, 1 if another job is wanted. Answers one line for each outcome, then what `take`
-- answers. A line is 1, or what is wrong: -1 no such job, -2 no lock, -3 not active, -4 children unfinished, -6 locked by
-- another, -9 children failed, or the words of an error that hit this one alone.
local count = tonumber(ARGV[1])
local lines, want = {}, 0
local jobs, locks, seldom = {}, {}, { at('delayed'), at('stalled'), at('metrics:completed'), at('metrics:failed') }
for number = 1, count do
  local job = base .. ':' .. ARGV[3 * number - 1]
  jobs[number] = job
  locks[number] = job .. ':lock'
  seldom[2 * number + 3] = job .. ':dependencies'
  seldom[2 * number + 4] = job .. ':unsuccessful'
end
local holders = call('MGET', unpack(locks))
if call('EXISTS', unpack(seldom)) > 0 then
  anything_delayed = call('EXISTS', seldom[1]) == 1
  anything_suspect = call('EXISTS', seldom[2]) == 1
  anything_rare = call('EXISTS', unpack(seldom, 3)) > 0
end
local ends, bounded = {}, false
for number = 1, count do
  local id, value, rest = ARGV[3 * number - 1], ARGV[3 * number], tonumber(ARGV[3 * number + 1])
  local kind = ARGV[rest + 1]
  local final = kind == 'completed' or kind == 'failed'
  local ok, line
  left = nil
  if final then
    ok, line = pcall(finish, id, jobs[number], locks[number], holders[number], value, rest)
  else
    ok, line = pcall(rare().again, rare().spell_out(id, jobs[number], value, rest), locks[number], holders[number])
  end
  if not ok then
    if left then
      -- It stays among those that run, with its lock, so that the outcome can be stored later.
      call('LPUSH', active, left)
      freed_locks[#freed_locks], freed_ids[#freed_ids] = nil, nil
    end
    line = type(line) == 'table' and line.err or tostring(line)
  end
  lines[number] = line
  if line == 1 then
    want = want + (ARGV[rest + 6] == '1' and 1 or 0)
    if final then
      ends[kind] = (ends[kind] or 0) + 1
      bounded = bounded or ARGV[rest + 3] ~= '0' and (ARGV[rest + 3] ~= '-1' or ARGV[rest + 4] ~= '-1')
    end
  end
end
write_gathered()

local function go_on()
  local answer
  if want > 0 then
    answer = take(want, 3 * count + 2, time, false, not anything_delayed)
  else
    answer = { time, -1, -1 }
  end
  if not answer[4] and (ends.completed or ends.failed) and call('LLEN', at('wait')) == 0
    and call('LLEN', active) == 0 and call('ZCARD', at('prioritized')) == 0 then
    say('event', 'drained')
  end
  return answer
end

-- What is wrong with other keys of the queue must not hide what has been stored; a claim by itself tells of it.
if bounded or anything_rare then
  pcall(rare().tidy, lines, ends)
end
local ok, answer = pcall(go_on)
return { lines, unpack(ok and answer or { time, -1, -1 }) }
