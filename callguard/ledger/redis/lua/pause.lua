-- Somebody who is no worker pauses a scope, or resumes it. Runs behind pauses.lua.
--
-- KEYS  1 ledger, as of exchange.lua
-- ARGV  1 the scope  2 the beginning of every channel's name; and to pause it  3 by whom  4 why
-- Returns  1; 0 where it was not paused, and -1 where there is no such ledger
-- Cost  five commands

local ledger, scope, channel, by, reason = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local epoch, before = unpack(redis.call('HMGET', ledger, 'epoch', 'pauses'))
if not epoch then
  return -1
end
local time = redis.call('TIME')
local since = time[1] * 1000 + math.floor(time[2] / 1000)
local pause = by and { by = by, reason = reason, since = since } or nil
local after = pauses_after(before, scope, pause)
if not pause and not cjson.decode(before or '{}')[scope] then
  return 0
end
redis.call('HSET', ledger, 'pauses', after)
redis.call('HINCRBY', ledger, 'pauses_version', 1)
redis.pcall('PUBLISH', channel .. 'all', cjson.encode({ come = true }))
return 1
