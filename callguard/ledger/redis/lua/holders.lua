-- Who holds places and who waits, for people to look at. Changes nothing.
--
-- KEYS  as of exchange.lua
-- ARGV  none
-- Returns  JSON, read by holders.py: the time in ms, and what is in the books as it stands there;
--          of a hash or a sorted set its fields or members, each followed by its value
-- Cost  everything that is in the books, read once

local clock = redis.call('TIME')
return cjson.encode({
  now = clock[1] * 1000 + math.floor(clock[2] / 1000),
  books = redis.call('HGETALL', KEYS[1]),
  workers = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES'),
  sessions = redis.call('HGETALL', KEYS[3]),
  permits = redis.call('HGETALL', KEYS[4]),
  unseen = redis.call('ZRANGE', KEYS[5], 0, -1, 'WITHSCORES'),
  claims = redis.call('HGETALL', KEYS[6]),
})
