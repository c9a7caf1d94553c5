-- What most requests bring: jobs have succeeded of which nothing is special. They are stored together, read where they
-- stand among the arguments. What is special gets no line here, and what follows stores it.
local count = tonumber(ARGV[1])
local completed = at('completed')
local lines, done, want, bounded = {}, 0, 0, false
-- Whether there are delayed jobs, whether a job is suspected to have stalled, and whether any of these waits for children
-- or the queue keeps figures: mostly there is none of it.
local any_delayed, any_suspect, any_rare = false, false, false

local locks, signs = {}, { at('delayed'), at('stalled'), at('metrics:completed') }
for number = 1, count do
  local job = base .. ':' .. ARGV[3 * number - 1]
  locks[number], signs[number + 3] = job .. ':lock', job .. ':dependencies'
end
if call('EXISTS', unpack(signs)) > 0 then
  any_delayed, any_suspect = call('EXISTS', signs[1]) == 1, call('EXISTS', signs[2]) == 1
  any_rare = call('EXISTS', unpack(signs, 3)) > 0
end

-- The plain ones: each id behind the moment, as a sorted set takes them; and attempts where some were made before.
local plain, made = {}, nil
if not any_rare then
  local holders = call('MGET', unpack(locks))
  for number = 1, count do
    local id, rest = ARGV[3 * number - 1], tonumber(ARGV[3 * number + 1])
    local kept = ARGV[rest + 1] == 'completed' and ARGV[rest + 2] == '' and ARGV[rest + 3] ~= '0'
    if kept and holders[number] == ARGV[rest] then
      -- Of a child that failed for good `defa` tells, in every version that knows of such.
      local found = redis.pcall('HMGET', base .. ':' .. id, made_field, 'timestamp', 'deid', 'parent', 'defa')
      local special = found[3] or found[4] or found[5] or not (found[1] or found[2])
      if not special and redis.pcall('LREM', active, '-1', id) == 1 then
        local filled = #plain
        plain[filled + 1], plain[filled + 2], lines[number] = moment, id, 1
        if found[1] then
          made = made or {}
          made[number] = string.format('%d', (tonumber(found[1]) or 0) + 1)
        end
      end
    end
  end
end
if plain[1] then
  -- The first command on a key tells if that is of another type: then all is put as it was.
  local ok, freed = type(redis.pcall('ZADD', completed, unpack(plain))) == 'number', {}
  for number = 1, count do
    if lines[number] then
      local id, value, rest = ARGV[3 * number - 1], ARGV[3 * number], tonumber(ARGV[3 * number + 1])
      if shortened then
        call('XADD', events, '*', 'event', 'completed', 'jobId', id, 'returnvalue', value, 'prev', 'active')
      elseif ok then
        ok = type(redis.pcall('XADD', events, 'MAXLEN', '~', most_events, '*', 'event', 'completed', 'jobId', id,
          'returnvalue', value, 'prev', 'active')) == 'string'
        shortened = ok
      end
      if ok then
        call('HSET', base .. ':' .. id, made_field, made and made[number] or '1', 'returnvalue', value, 'finishedOn', moment)
        freed[#freed + 1] = locks[number]
        if any_suspect then
          call('SREM', signs[2], id)
        end
        if ARGV[rest + 6] == '1' then
          want = want + 1
        end
        bounded = bounded or ARGV[rest + 3] ~= '-1' or ARGV[rest + 4] ~= '-1'
      else
        lines[number] = nil
        redis.pcall('ZREM', completed, id)
        call('LPUSH', active, id)
      end
    end
  end
  if ok then
    done = #freed
    call('DEL', unpack(freed))
  end
end

-- Where all were plain and nothing limits the queue, the next are taken likewise.
local answer, ids, from = { lines, time, -1, -1 }, {}, 3 * count + 2
local token, lease, worker = ARGV[from], ARGV[from + 1], ARGV[from + 2]
local limited = settings[1] or settings[2] or settings[3] or ARGV[from + 3] ~= '0'
if want == count and not (limited or bounded or any_delayed) and major_version and major_version > 4 then
  local waiting = at('wait')
  if want == 1 then
    local id = redis.pcall('RPOPLPUSH', waiting, active)
    ids[1] = type(id) == 'string' and id or nil
  else
    ids = redis.pcall('LRANGE', waiting, -want, -1)
    if #ids == want then
      call('LTRIM', waiting, 0, -want - 1)
      -- The last is to run first.
      for index = 1, want / 2 do
        ids[index], ids[want + 1 - index] = ids[want + 1 - index], ids[index]
      end
      call('LPUSH', active, unpack(ids))
    else
      ids = {}
    end
  end
end
