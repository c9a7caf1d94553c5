-- Takes jobs. ARGV[4]: how many; from 7 on: jobs.
return take(tonumber(ARGV[4]), 7)
