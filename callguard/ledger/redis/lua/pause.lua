-- Somebody who is no worker pauses a scope, or resumes it. Runs behind pauses.lua.
--
-- KEYS  1 ledger  2 paused, as of exchange.lua
-- ARGV  1 the scope  2 the beginning of every channel's name; and to pause it  3 by whom  4 why
-- Returns  1; 0 where it was not paused, and -1 where there is no such ledger
-- Cost  six commands
--
-- A ledger that has expired is there still as far as anything is paused in it.

local ledger, paused = unpack(KEYS)
local scope, channel, by, reason = unpack(ARGV)
local epoch, version, before = unpack(redis.call('HMGET', ledger, 'epoch', 'pauses_version', 'pauses'))
version, before = latest_pauses(paused, tonumber(version or 0), before)
if not epoch and version == 0 then
  return -1
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if not by and not is_paused(before, scope) then
  return 0
end
local after = pauses_after(before, scope, now, by, reason)
keep_pauses(paused, version + 1, after)
if epoch then
  redis.call('HSET', ledger, 'pauses', after, 'pauses_version', version + 1)
end
redis.pcall('PUBLISH', channel .. 'all', cjson.encode({ come = true }))
return 1
