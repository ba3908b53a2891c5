-- What happens to permits: from dispatching to unseen, and out of the books.

-- Permits that are dispatching and give their places back, until they are told from the others.
local released = {}

local function release(lease)
  released[#released + 1] = id_of(lease)
end

local function settle_released()
  in_chunks('HDEL', permits, released)
  released = {}
end

-- A permit leaves the books, whatever it is.
local function drop(id)
  if redis.call('ZREM', unseen, id) == 1 then
    local call = redis.call('HGET', calls, 'p' .. id)
    if call then
      redis.call('HDEL', calls, 'p' .. id, 'c' .. call)
    end
  end
  redis.call('HDEL', permits, id)
end

local function place(id, lane)
  if #released > 0 then
    settle_released() -- this one may be among them, and count again
  end
  redis.call('HSETNX', permits, id, now .. ' ' .. lane)
  redis.call('ZADD', unseen, now + VISIBLE_AFTER + 1, id)
end

local function answered(id, at)
  redis.call('ZADD', unseen, 'XX', 'LT', at + COUNTER_LAG + 1, id)
end

local function count_changed()
  set('changed', now)
  if state.began > 0 then
    set('due', math.min(state.due, state.began + MIN_INTERVAL))
  end
end

local function bind(id, call)
  if not redis.call('ZSCORE', unseen, id) then
    return
  end
  redis.call('HSET', calls, 'p' .. id, call, 'c' .. call, id)
  local started = redis.call('ZSCORE', early, 'a' .. call)
  if redis.call('ZSCORE', early, 'e' .. call) then
    drop(id)
  elseif started then
    answered(id, tonumber(started))
  end
end

local EARLY = 10000 -- calls of which evidence is kept that came before the dial returned
local EARLY_FOR = 300000 -- and for how long; both as in memory.py

local function note(kind, call)
  local id = redis.call('HGET', calls, 'c' .. call)
  if not id then
    redis.call('ZADD', early, 'NX', now, kind .. call)
    redis.call('ZREMRANGEBYSCORE', early, '-inf', now - EARLY_FOR)
    redis.call('ZREMRANGEBYRANK', early, 0, -EARLY - 1)
  elseif kind == 'e' then
    drop(id)
  else
    answered(id, now)
  end
end

local happenings = {
  place = function(lease, lane) place(id_of(lease), lane) end,
  release = release,
  drop = function(lease) drop(id_of(lease)) end,
  answered = function(lease) answered(id_of(lease), now) end,
  bind = function(lease, call) bind(id_of(lease), call) end,
  call_started = function(call) note('a', call) end,
  call_ended = function(call) note('e', call) end,
  changed = count_changed,
  refused = function()
    set('spent_until', math.max(state.spent_until, now))
    count_changed()
  end,
}

local function take_in(all)
  for _, happening in ipairs(all) do
    happenings[happening[1]](happening[2], happening[3])
  end
  settle_released()
end
