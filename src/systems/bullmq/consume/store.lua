-- Stores one outcome by its number, and answers its line.
local function store(number)
  local rest = tonumber(ARGV[3 * number + 1])
  local one = {
    id = ARGV[3 * number - 1], job = at(ARGV[3 * number - 1]), value = ARGV[3 * number], token = ARGV[rest],
    kind = ARGV[rest + 1], trace = ARGV[rest + 2], first = tonumber(ARGV[rest + 3]), second = tonumber(ARGV[rest + 4]),
    allowed = tonumber(ARGV[rest + 5]),
  }
  left = nil
  local final = one.kind == 'completed' or one.kind == 'failed'
  local ok, line = pcall(final and finish or again, one)
  if not ok then
    if left then
      -- It stays among those that run, with its lock, so that the outcome can be stored later.
      call('LPUSH', active, left)
    end
    return type(line) == 'table' and line.err or tostring(line)
  end
  if line == 1 then
    call('DEL', locks[number])
    if any_suspect then
      call('SREM', at('stalled'), one.id)
    end
    if final then
      ends[one.kind] = (ends[one.kind] or 0) + 1
      bounded = bounded or one.first > 0 or one.second >= 0
    end
    if ARGV[rest + 6] == '1' then
      want = want + 1
    end
  end
  return line
end
