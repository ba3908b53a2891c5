-- Who holds places and who waits, for people to look at. Changes nothing.
--
-- KEYS  as of exchange.lua
-- ARGV  none
-- Returns  the time in ms; the books; the workers with the ends of their leases; what people call
--          them; the permits; the unseen with their times; the claims
-- Cost  everything that is in the books, read once

local clock = redis.call('TIME')
return {
  clock[1] * 1000 + math.floor(clock[2] / 1000),
  redis.call('HGETALL', KEYS[1]),
  redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES'),
  redis.call('HGETALL', KEYS[3]),
  redis.call('HGETALL', KEYS[4]),
  redis.call('ZRANGE', KEYS[5], 0, -1, 'WITHSCORES'),
  redis.call('HGETALL', KEYS[6]),
}
