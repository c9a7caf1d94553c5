-- The jobs whose outcomes one request brings, each as a table: `id`, `job` and `lock` (keys), `token`, `holder` of its lock, `kind`
-- of the outcome, `value`, `trace`, `first` and `second` as the kind wants them, attempts `allowed`, `next` if another job
-- is wanted. What many of them need is asked and written by one command for all.
local VALUES = 9
local time = now()
local moment = score_text(time)
-- Whether any of the jobs has children or the queue keeps figures: asked once, since most have neither.
local anything_rare = false
local freed = { locks = {}, ids = {} }
local ended = { completed = {}, failed = {} }
local sound = {}

local function read_outcomes(count)
  local ones, locks, rare = {}, {}, {}
  for number = 1, count do
    local from = number * VALUES - VALUES + 2
    local job = at(ARGV[from])
    local lock = job .. ':lock'
    ones[number] = {
      id = ARGV[from], job = job, lock = lock, token = ARGV[from + 1], kind = ARGV[from + 2], value = ARGV[from + 3],
      trace = ARGV[from + 4], first = tonumber(ARGV[from + 5]), second = tonumber(ARGV[from + 6]),
      allowed = tonumber(ARGV[from + 7]), next = ARGV[from + 8] == '1',
    }
    locks[number] = lock
    rare[2 * number - 1] = job .. ':dependencies'
    rare[2 * number] = job .. ':unsuccessful'
  end
  rare[#rare + 1] = at('metrics:completed')
  rare[#rare + 1] = at('metrics:failed')
  local holders = call('MGET', unpack(locks))
  for number, one in ipairs(ones) do
    one.holder = holders[number]
  end
  anything_rare = call('EXISTS', unpack(rare)) > 0
  return ones
end

-- What is wrong with a claim, if anything is. `seen`: whether a field of the job was found already.
local function trouble(one, seen)
  if not seen and call('EXISTS', one.job) == 0 then
    return -1
  end
  if one.holder ~= one.token then
    return one.holder and -6 or -2
  end
  return nil
end

-- Raises an error, before anything is written, if the set in which jobs end is none.
local function look_at(target)
  if not sound[target] then
    call('ZCARD', at(target))
    sound[target] = true
  end
end

-- Takes the job from those that run; its lock goes with the others.
local function let_go(one)
  if call('LREM', at('active'), -1, one.id) == 0 then
    return false
  end
  one.left = true
  freed.locks[#freed.locks + 1] = one.lock
  freed.ids[#freed.ids + 1] = one.id
  return true
end

-- After an error: the job stays among those that run, with its lock, so that the outcome can be stored later.
local function keep_running(one)
  if one.left then
    call('LPUSH', at('active'), one.id)
    freed.locks[#freed.locks], freed.ids[#freed.ids] = nil, nil
  end
end

-- Writes what was gathered.
local function write_gathered()
  if #freed.locks > 0 then
    call('DEL', unpack(freed.locks))
    call('SREM', at('stalled'), unpack(freed.ids))
    freed.locks, freed.ids = {}, {}
  end
  for target, members in pairs(ended) do
    if #members > 0 then
      call('ZADD', at(target), unpack(members))
      ended[target] = {}
    end
  end
end

-- Keeps the trace of one more failed attempt, as many as the job's options allow.
local function keep_trace(one)
  if one.trace == '' then
    return
  end
  local ok, traces = pcall(cjson.decode, call('HGET', one.job, 'stacktrace') or '[]')
  if not ok or type(traces) ~= 'table' then
    traces = {}
  end
  traces[#traces + 1] = one.trace
  local most = tonumber(option(one.job, 'stackTraceLimit')) or 20
  while #traces > most do
    table.remove(traces, 1)
  end
  call('HSET', one.job, 'stacktrace', #traces > 0 and cjson.encode(traces) or '[]')
end
