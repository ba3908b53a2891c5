-- Lists who holds slots, who waits, and what is paused, for people. Changes nothing. Runs behind pauses.lua.
--
-- KEYS  as of exchange.lua
-- ARGV  none
-- Returns  JSON, read by holders.py: the ledger's time and the server's in ms, see state.lua, and what is in the ledger as it stands there;
--          of a hash or a sorted set its fields or members, each followed by its value; and the pauses
-- Cost  everything that is in the ledger, read once

local server_time = redis.call('TIME')
local raw_now = server_time[1] * 1000 + math.floor(server_time[2] / 1000)
local now = raw_now
local clock, raw, version, text = unpack(redis.call('HMGET', KEYS[1], 'clock', 'raw', 'pauses_version', 'pauses'))
local _, pauses = latest_pauses(KEYS[14], tonumber(version or 0), text)
if clock and raw then
  now = clock + math.max(0, raw_now - raw)
end
return cjson.encode({
  now = now,
  raw_now = raw_now,
  pauses = pauses,
  ledger = redis.call('HGETALL', KEYS[1]),
  workers = redis.call('ZRANGEBYSCORE', KEYS[2], 0, '+inf', 'WITHSCORES'),
  sessions = redis.call('HGETALL', KEYS[3]),
  permits = redis.call('HGETALL', KEYS[4]),
  dialling = redis.call('ZRANGE', KEYS[5], 0, -1),
  uncounted = redis.call('ZRANGE', KEYS[6], 0, -1, 'WITHSCORES'),
  claims = redis.call('HGETALL', KEYS[7]),
  starts = redis.call('ZRANGE', KEYS[12], 0, -1),
  occupied = redis.call('ZRANGE', KEYS[13], 0, -1),
})
