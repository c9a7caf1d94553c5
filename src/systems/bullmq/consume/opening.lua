-- What every script of a worker begins with, behind queue.lua. At a high rate the tables and functions that a script makes
-- cost more than its commands: what a plain job needs is written out, all else is made when something needs it.
local call, active, events = redis.call, at('active'), at('events')
-- In ms, as a number and as text.
local clock = call('TIME')
local moment = clock[1] .. string.sub('00000' .. clock[2], -6, -4)
local time = tonumber(moment)

-- The queue's settings as they are stored: paused, concurrency, max, duration, version, and how many events to keep. Then
-- what the version makes of it: its major number, the field in which a job's attempts are counted, and the one in which it
-- is counted how often it stalled.
local settings = call('HMGET', at('meta'), 'paused', 'concurrency', 'max', 'duration', 'version', 'opts.maxLenEvents')
local major_version, minor_version = string.match(settings[5] or '', '^bullmq[^:]*:(%d+)%.?(%d*)')
major_version, minor_version = tonumber(major_version), tonumber(minor_version) or 0
local made_field, deaths_field = 'atm', 'stc'
if major_version == 4 then
  made_field, deaths_field = 'attemptsMade', 'stalledCounter'
elseif major_version == 5 and minor_version < 49 then
  deaths_field = 'stalledCounter'
end
-- The first event of a script shortens the stream.
local most_events, shortened = settings[6] or '10000', false
