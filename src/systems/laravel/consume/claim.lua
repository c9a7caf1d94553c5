-- Takes jobs. ARGV: how many, seconds a reservation holds, rate limit (0: none) and its window in ms, a random number,
-- globs over the names that may be taken (none: all).
return take_by(1)
