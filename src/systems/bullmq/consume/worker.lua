-- What a worker does. At a high rate the tables and functions that a script makes cost more than its commands: the common
-- part is made when something needs it, and a plain job needs none of it.
local call = redis.call
local common_part, make_common

local function common()
  common_part = common_part or make_common()
  return common_part
end

-- The queue's settings, read once a script.
local settings

local function queue_settings()
  if not settings then
    local found = call('HMGET', at('meta'), 'paused', 'concurrency', 'max', 'duration', 'version', 'opts.maxLenEvents')
    local major, minor = string.match(found[5] or '', '^bullmq[^:]*:(%d+)%.?(%d*)')
    major, minor = tonumber(major), tonumber(minor) or 0
    settings = {
      paused = found[1] ~= false,
      concurrency = tonumber(found[2]),
      max = tonumber(found[3]),
      duration = tonumber(found[4]),
      major = major,
      made = major == 4 and 'attemptsMade' or 'atm',
      -- Where it is counted how often a job stalled.
      deaths = (major == 4 or major == 5 and minor < 49) and 'stalledCounter' or 'stc',
      most_events = found[6] or '10000',
    }
  end
  return settings
end

local events, shortened = at('events'), false

-- Tells of an event. The first of a script shortens the stream.
local function say(...)
  if shortened then
    call('XADD', events, '*', ...)
  else
    shortened = true
    call('XADD', events, 'MAXLEN', '~', queue_settings().most_events, '*', ...)
  end
end
