-- Opening of every script for BullMQ and for Bull. KEYS[1] is the queue's base key, `<prefix>:<queue>`; all other keys of
-- the queue are derived from it, so on a cluster they share its hash tag.
--
-- Results are one integer per id: 1 done, 0 locked by a worker, -1 no such job, -3 not in the expected state,
-- -8 belongs to a scheduler or repeatable.

local base = KEYS[1]

local function at(suffix, queue)
  return (queue or base) .. ':' .. suffix
end

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function score_text(score)
  return string.format('%.0f', score)
end

local function option(job_key, name)
  local stored = redis.call('HGET', job_key, 'opts')
  local ok, options = pcall(cjson.decode, stored or '')
  if ok and type(options) == 'table' then
    return options[name]
  end
  return nil
end
