-- After outcomes: deletes what is beyond the bounds of those that are stored, and counts them.
local function tidy()
  local bounds = {}
  for number, line in ipairs(lines) do
    local rest = tonumber(ARGV[3 * number + 1])
    local kind, first, second = ARGV[rest + 1], tonumber(ARGV[rest + 3]), tonumber(ARGV[rest + 4])
    if line == 1 and ends[kind] and first ~= 0 and (first > 0 or second >= 0) then
      local bound = kind .. ' ' .. first .. ' ' .. second
      if not bounds[bound] then
        bounds[bound] = true
        delete_beyond(at(kind), first, second)
      end
    end
  end
  for target, more in pairs(ends) do
    count_minute(target, more)
  end
end
