-- Shared opening of scripts that write more than once. Redis does not roll a script back: without this a user who may
-- run its first command and not its second would leave a job half moved. Servers before 7.0 cannot tell beforehand.

-- `commands`: lists of words, each a command as it will be called. Answers an error to be returned, or nil.
local function forbidden(commands)
  if not redis.acl_check_cmd then
    return nil
  end
  for _, words in ipairs(commands) do
    local known, may = pcall(redis.acl_check_cmd, unpack(words))
    if known and not may then
      return redis.error_reply('NOPERM the user may not run ' .. words[1] .. ' on ' .. words[2]
        .. ', which this change needs; nothing was changed')
    end
  end
  return nil
end
