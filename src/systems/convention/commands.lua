-- Runs a recipe as a whole or not at all. ARGV: number of edits, then key, bytes as they were read and as they shall be
-- of each; `1` if the first command must find something; then for each command the number of its words, the type its key
-- must have (empty: any) and its words. KEYS: every key that is named.
-- Answers 1 done, -3 the first command found nothing, -41 a value was changed since it was read.
local at = 1

local function take()
  local value = ARGV[at]
  at = at + 1
  return value
end

local needed, edits = {}, {}
for _ = 1, tonumber(take()) do
  local edit = { take(), take(), take() }
  edits[#edits + 1] = edit
  needed[#needed + 1] = { 'SET', edit[1], 'x', 'KEEPTTL' }
end
local guarded = take() == '1'
local commands = {}
while at <= #ARGV do
  local count, kind, words = tonumber(take()), take(), {}
  for index = 1, count do
    words[index] = take()
  end
  needed[#needed + 1] = words
  commands[#commands + 1] = { kind = kind, words = words }
end

local stop = forbidden(needed)
if stop then
  return stop
end
for _, command in ipairs(commands) do
  local there = redis.call('TYPE', command.words[2]).ok
  if command.kind ~= '' and there ~= 'none' and there ~= command.kind then
    return redis.error_reply('WRONGTYPE ' .. command.words[2] .. ' is a ' .. there .. ', the recipe wants a '
      .. command.kind .. '; nothing was changed')
  end
end
for _, edit in ipairs(edits) do
  if redis.call('GET', edit[1]) ~= edit[2] then
    return -41
  end
end

for index, command in ipairs(commands) do
  local reply = redis.call(unpack(command.words))
  if index == 1 and guarded and (type(reply) ~= 'number' or reply < 1) then
    return -3
  end
end
for _, edit in ipairs(edits) do
  redis.call('SET', edit[1], edit[3], 'KEEPTTL')
end
return 1
