-- Outcomes of which something is special, each stored by itself.

-- How many jobs have ended, by how.
local ends = { completed = done > 0 and done or nil }

-- The job that was taken from the running ones, and has not ended yet.
local left

-- What is wrong with a claim, if anything is. `seen`: whether a field of the job was found already.
local function trouble(job, token, seen)
  if not seen and call('EXISTS', job) == 0 then
    return -1
  end
  local holder = call('GET', job .. ':lock')
  if holder ~= token then
    return holder and -6 or -2
  end
  return nil
end

-- Takes the job from those that run.
local function let_go(id)
  if call('LREM', active, '-1', id) == 0 then
    return false
  end
  left = id
  return true
end
