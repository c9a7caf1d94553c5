-- What a worker needs now and then.
local common_part, make_common

local function common()
  common_part = common_part or make_common()
  return common_part
end

-- Tells of an event.
local function say(...)
  if shortened then
    call('XADD', events, '*', ...)
  else
    call('XADD', events, 'MAXLEN', '~', most_events, '*', ...)
    shortened = true
  end
end
