-- The jobs whose outcomes one request brings. A plain one is read where it stands among the arguments: at a high rate the
-- tables and functions that a script makes cost more than its commands, so what is rare is made when it is needed. What
-- many jobs need is asked and written by one command for all.
local time = now()
local moment = score_text(time)
-- Whether any of the jobs has children or the queue keeps figures, whether it has delayed jobs, and whether a job is
-- suspected to have stalled: mostly there is none of it.
local anything_rare, anything_delayed, anything_suspect = false, false, false
local active = at('active')
local freed_locks, freed_ids, ended = {}, {}, {}
-- The job that was taken from the running ones last.
local left

local rare_part, make_rare

-- What few jobs need.
local function rare()
  rare_part = rare_part or make_rare()
  return rare_part
end

-- What is wrong with a claim, if anything is. `seen`: whether a field of the job was found already.
local function trouble(job, token, holder, seen)
  if not seen and call('EXISTS', job) == 0 then
    return -1
  end
  if holder ~= token then
    return holder and -6 or -2
  end
  return nil
end

-- Takes the job from those that run; its lock goes with the others.
local function let_go(id, lock)
  if call('LREM', active, '-1', id) == 0 then
    return false
  end
  left = id
  freed_locks[#freed_locks + 1] = lock
  freed_ids[#freed_ids + 1] = id
  return true
end

-- Writes what was gathered.
local function write_gathered()
  if freed_ids[1] then
    call('DEL', unpack(freed_locks))
    if anything_suspect then
      call('SREM', at('stalled'), unpack(freed_ids))
    end
    freed_locks, freed_ids = {}, {}
  end
  for target, members in pairs(ended) do
    if members[1] then
      call('ZADD', at(target), unpack(members))
    end
    ended[target] = {}
  end
end
