-- Stores outcomes, each by itself, then takes a job for each stored one that wants another. ARGV: number of outcomes, for
-- each 9 values as in `spell_out` and whether another job is wanted, then as for `take`. Answers one line for each outcome,
-- then what `take` answers. A line is 1, or what is wrong: -1 no such job, -2 no lock, -3 not active, -4 children
-- unfinished, -6 locked by another, -9 children failed, or the words of an error that hit this one alone.
local count = tonumber(ARGV[1])
local lines, want = {}, 0
local jobs, locks, seldom = {}, {}, { at('delayed'), at('stalled'), at('metrics:completed'), at('metrics:failed') }
for number = 1, count do
  local job = at(ARGV[number * VALUES - VALUES + 2])
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
for number, job in ipairs(jobs) do
  local from = number * VALUES - VALUES + 2
  local kind = ARGV[from + 2]
  local final = kind == 'completed' or kind == 'failed'
  local ok, line
  left = nil
  if final then
    ok, line = pcall(finish, from, job, holders[number])
  else
    ok, line = pcall(rare().again, rare().spell_out(from, job, holders[number]))
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
    want = want + (ARGV[from + 8] == '1' and 1 or 0)
    if final then
      ends[kind] = (ends[kind] or 0) + 1
      bounded = bounded or ARGV[from + 5] ~= '0' and (ARGV[from + 5] ~= '-1' or ARGV[from + 6] ~= '-1')
    end
  end
end
write_gathered()

local function go_on()
  local answer
  if want > 0 then
    answer = take(want, count * VALUES + 2, time, false, not anything_delayed)
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
