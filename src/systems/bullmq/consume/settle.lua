-- Stores outcomes, each by itself, then takes a job for each stored one that wants another. ARGV: number of outcomes; for
-- each the job, its value (result or reason), and where among the arguments the rest of its outcome begins, which many have
-- in common; then as for `take`; then those rests: token of the claim, kind of the outcome, trace, `first` and `second` as
-- the kind wants them, attempts allowed, 1 if another job is wanted. Answers one line for each outcome, now, then as
-- `take`. A line is 1, or what is wrong: -1 no such job, -2 no lock, -3 not active, -4 children unfinished, -6 locked by
-- another, -9 children failed, or the words of an error that hit this one alone.
for number = 1, count do
  if not lines[number] then
    lines[number] = special().store(number)
  end
end
-- What is wrong with other keys of the queue must not hide what has been stored; a claim by itself tells of it.
if bounded or any_rare or special_part then
  pcall(special().tidy)
end
local ok = want == 0 or pcall(take, answer, want, from, false, not any_delayed)
if ok and not answer[5] then
  pcall(special().tell_drained)
end
return answer
