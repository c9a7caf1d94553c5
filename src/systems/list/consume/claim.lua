-- Takes items. ARGV[10]: how many. Nothing is taken as long as an outcome could not be stored.
local stop = misfit('LLEN', KEYS[6], 'list') or misfit('ZCARD', KEYS[2], 'sorted set')
if ARGV[8] == 'value' then
  stop = stop or misfit('GET', ARGV[7], 'text')
end
for index = QUEUE, #KEYS do
  stop = stop or misfit('LLEN', KEYS[index], 'list')
end
return stop or no_counter(finished) or no_counter(failed) or take(tonumber(ARGV[OWN]))
