-- Tries each command of the other scripts once, on keys of its own, to see what this client may do.
--
-- KEYS  1 a hash  2 a sorted set; neither is there afterwards
-- ARGV  1 a channel to which nobody listens
-- Returns  each command that failed, followed by what the server said; nothing if all went well
-- Cost  two dozen commands

local hash, set = unpack(KEYS)
local failed = {}

local function try(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then
    failed[#failed + 1] = (...)
    failed[#failed + 1] = answer.err
  end
end

try('TIME')
try('HSET', hash, 'a', 1)
try('HSETNX', hash, 'b', 1)
try('HGET', hash, 'a')
try('HMGET', hash, 'a', 'b')
try('HGETALL', hash)
try('HDEL', hash, 'b')
try('ZADD', set, 1, 'a')
try('ZCOUNT', set, 0, 1)
try('ZLEXCOUNT', set, '-', '+')
try('ZMSCORE', set, 'a')
try('ZSCORE', set, 'a')
try('ZRANGE', set, 0, -1)
try('ZRANGEBYLEX', set, '-', '+')
try('ZRANGEBYSCORE', set, 0, 1)
try('ZREVRANGEBYLEX', set, '+', '-')
try('ZREM', set, 'b')
try('ZREMRANGEBYLEX', set, '[b', '[c')
try('ZREMRANGEBYRANK', set, 1, 2)
try('ZREMRANGEBYSCORE', set, 2, 3)
try('PEXPIRE', hash, 1000)
try('PEXPIRE', set, 1000)
try('PUBLISH', ARGV[1], '')
try('DEL', hash)
try('UNLINK', set)
return failed
