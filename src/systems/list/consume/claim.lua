-- Takes items. ARGV: how many, end from which they are taken, unit of the delayed scores in ms, rate limit (0: none)
-- and its window in ms.
return take(tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]))
