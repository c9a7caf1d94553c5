-- Takes entries. ARGV from 3: how many, rate limit (0: none) and its window in ms.
return take(tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]))
