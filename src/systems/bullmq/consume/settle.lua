-- Stores outcomes, each by itself, then takes a job for each stored one that wants another. ARGV: number of outcomes, for
-- each the values of `read_outcomes`, then as for `take`. Answers one line for each outcome, then what `take` answers. A
-- line is 1, or what is wrong: -1 no such job, -2 no lock, -3 not active, -4 children unfinished, -6 locked by another,
-- -9 children failed, or the words of an error that hit this one alone.
local count = tonumber(ARGV[1])
local lines, want = {}, 0
local stored = { completed = 0, failed = 0 }
local ones = read_outcomes(count)
for number, one in ipairs(ones) do
  local final = stored[one.kind] ~= nil
  local ok, line = pcall(final and finish or again, one)
  if not ok then
    keep_running(one)
    line = type(line) == 'table' and line.err or tostring(line)
  end
  lines[number] = line
  if line == 1 then
    want = want + (one.next and 1 or 0)
    if final then
      stored[one.kind] = stored[one.kind] + 1
    end
  end
end
write_gathered()

local function tidy()
  local bounds = {}
  for number, one in ipairs(ones) do
    if lines[number] == 1 and stored[one.kind] and one.first ~= 0 and (one.first > 0 or one.second >= 0) then
      local bound = one.kind .. ' ' .. one.first .. ' ' .. one.second
      if not bounds[bound] then
        bounds[bound] = true
        delete_beyond(at(one.kind), one.first, one.second)
      end
    end
  end
  for target, more in pairs(stored) do
    if more > 0 and anything_rare then
      count_minute(target, more)
    end
  end
end

local function go_on()
  local answer = { time, -1, -1 }
  if want > 0 then
    answer = take(want, count * VALUES + 2, time)
  end
  if stored.completed + stored.failed > 0 and #answer == 3 and call('LLEN', at('wait')) == 0
    and call('LLEN', at('active')) == 0 and call('ZCARD', at('prioritized')) == 0 then
    say('event', 'drained')
  end
  return answer
end

-- What is wrong with other keys of the queue must not hide what has been stored; a claim by itself tells of it.
pcall(tidy)
local ok, answer = pcall(go_on)
return { lines, unpack(ok and answer or { time, -1, -1 }) }
