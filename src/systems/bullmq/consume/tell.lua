-- Stores progress and log lines of a job that is still ours. ARGV: id, token, progress as JSON (empty: none), lines ….
local id, job = ARGV[1], at(ARGV[1])
if call('GET', job .. ':lock') ~= ARGV[2] then
  return 0
end
if ARGV[3] ~= '' then
  call('HSET', job, 'progress', ARGV[3])
  say('event', 'progress', 'jobId', id, 'data', ARGV[3])
end
if #ARGV > 3 then
  for index = 4, #ARGV do
    call('RPUSH', job .. ':logs', ARGV[index])
  end
  local most = tonumber(option(job, 'kl'))
  if most and most > 0 then
    call('LTRIM', job .. ':logs', -most, -1)
  end
end
return 1
