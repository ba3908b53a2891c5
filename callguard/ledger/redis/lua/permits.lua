-- What happens to permits: from dialling to uncounted, and out of the ledger.
--
-- Reads  dialling, uncounted, calls, early; what is said to have happened
-- Sets   permits, dialling, uncounted, calls, early; state.changed, due and spent_until; room_made
--
-- A permit is in one of the sets `dialling` and `uncounted`, and by these the ledger counts. What
-- `permits` has of it is for people to look at: written last and deleted first, so that an exchange that
-- fails half way leaves nothing there that nobody looks after.

-- Permits that are dialling and give their slots back, until they are told from the others.
local released = {}

local function settle_released()
  in_chunks('HDEL', permits, released)
  grow('dialling', -in_chunks('ZREM', dialling, released))
  room_made = room_made or #released > 0
  released = {}
end

-- What calls these permits are of, and the other way round.
local function forget_calls(ids)
  local names, fields = {}, {}
  for i, id in ipairs(ids) do
    names[i] = 'p' .. id
  end
  for i, call in ipairs(redis.call('HMGET', calls, unpack(names))) do
    if call then
      fields[#fields + 1] = names[i]
      fields[#fields + 1] = 'c' .. call
    end
  end
  in_chunks('HDEL', calls, fields)
end

-- A permit leaves the ledger, whatever it is.
local function drop(id)
  redis.call('HDEL', permits, id)
  if redis.call('ZREM', uncounted, id) == 1 then
    grow('uncounted', -1)
    forget_calls({ id })
  else
    grow('dialling', -redis.call('ZREM', dialling, id))
  end
  room_made = true
end

-- Uncounted permits leave the ledger, as many as there are in one command.
local function absorb(ids)
  if #ids == 0 then
    return
  end
  redis.call('HDEL', permits, unpack(ids))
  forget_calls(ids)
  grow('uncounted', -redis.call('ZREM', uncounted, unpack(ids)))
  room_made = true
end

local function describe(id, lane)
  if redis.call('HSETNX', permits, id, now .. ' - ' .. lane) == 1 then
    written[permits] = true
  end
end

local function answered(id, at)
  redis.call('ZADD', uncounted, 'XX', 'LT', at + unvouched + COUNTER_LAG + 1, id)
end

-- A permit that a worker gave by itself while it could not reach this server.
local function hold(id, lane)
  settle_released()
  if not redis.call('ZSCORE', uncounted, id) then
    grow('dialling', redis.call('ZADD', dialling, 0, id))
  end
  describe(id, lane)
end

local function place(id, lane)
  settle_released() -- this one may be among them, and count again
  if state.pauses > 0 then
    rates().succeed(id)
  end
  grow('uncounted', redis.call('ZADD', uncounted, now + unvouched + COUNTED_AFTER + 1, id))
  local was_dialling = redis.call('ZREM', dialling, id)
  grow('dialling', -was_dialling)
  if was_dialling == 0 then
    describe(id, lane)
  end
end

local function count_changed()
  set('changed', now)
  if state.began > 0 then
    set('due', math.min(state.due, math.max(state.began, state.tried) + MIN_INTERVAL))
  end
end

local function refused()
  set('spent_until', math.max(state.spent_until, now))
  count_changed()
end

-- What is known of calls by the provider's ids. Made when it is needed, as all that is below a
-- capital letter: the server makes every function anew at every call of the script.
local function Evidence()
  local evidence = {}

  function evidence.bind(number, call)
    local id = id_of(number)
    if not redis.call('ZSCORE', uncounted, id) then
      return
    end
    redis.call('HSET', calls, 'p' .. id, call, 'c' .. call, id)
    written[calls] = true
    local answered_at, ended_at = unpack(redis.call('ZMSCORE', early, 'a' .. call, 'e' .. call))
    if ended_at then
      drop(id)
    elseif answered_at then
      answered(id, tonumber(answered_at))
    end
  end

  local function remember(what)
    redis.call('ZADD', early, 'NX', now, what)
    written[early] = true
  end

  -- Evidence of more calls than EARLY, or from before EARLY_FOR, is not worth its room.
  function evidence.forget_old()
    if written[early] then
      redis.call('ZREMRANGEBYSCORE', early, '-inf', now - EARLY_FOR)
      redis.call('ZREMRANGEBYRANK', early, 0, -EARLY - 1)
    end
  end

  function evidence.note_answered(call)
    local id = redis.call('HGET', calls, 'c' .. call)
    if id then
      answered(id, now)
    else
      remember('a' .. call)
    end
  end

  function evidence.note_ended(call)
    local id = redis.call('HGET', calls, 'c' .. call)
    if id then
      drop(id)
    else
      remember('e' .. call)
    end
  end

  return evidence
end

local function take_in(happenings)
  local evidence
  for _, happening in ipairs(happenings) do
    local kind, what, more = happening[1], happening[2], happening[3]
    if kind == 'release' then
      released[#released + 1] = id_of(what)
    elseif kind == 'place' then
      place(id_of(what), more)
    elseif kind == 'adopt' then
      hold(id_of(what), more)
    elseif kind == 'withdraw' then
      drop(id_of(what))
    elseif kind == 'answered' then
      answered(id_of(what), now)
    elseif kind == 'note_change' then
      count_changed()
    elseif kind == 'refuse' then
      refused()
    elseif kind == 'halt' then
      change_halts(what, more, happening[4])
    elseif kind == 'unstart' then
      rates().unstart(id_of(what))
    elseif kind == 'push_back' then
      rates().push_back(id_of(what), more, happening[4])
    else
      evidence = evidence or Evidence()
      evidence[kind](what, more)
    end
  end
  if evidence then
    evidence.forget_old()
  end
  settle_released()
end
