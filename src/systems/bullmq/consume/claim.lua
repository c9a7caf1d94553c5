-- Takes jobs; ARGV as for `take`.
return take(1, now())
