-- Replaces a job's payload by exactly the given bytes. ARGV: id, the payload as it was read, the new payload.
-- Refused with -13 if it was changed in the meantime, so that nobody's edit is lost.
local record = at(ARGV[1])
local stored = redis.call('HGET', record, 'data')
if not stored then
  return { -1 }
end
if stored ~= ARGV[2] then
  return { -13 }
end
redis.call('HSET', record, 'data', ARGV[3])
return { 1 }
