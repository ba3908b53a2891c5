-- The life of permits: from dialling to uncounted, and out of the ledger.
--
-- Reads  dialling, uncounted, calls, early
-- Sets   permits, dialling, uncounted, calls, early; room_made
--
-- A permit is in one of the sets `dialling` and `uncounted`, and by these the ledger counts. What
-- `permits` has of it is for people to look at: written last and deleted first, so that an exchange that
-- fails half way leaves nothing there that nobody looks after.

-- From dialling on.
local function Permits()
  local released = {} -- these give their slots back, as soon as all of them are known

  local function release(id)
    released[#released + 1] = id
  end

  local function settle_released()
    if #released > 0 then
      for _, id in ipairs(state.occupied > 0 and released or {}) do
        the(Occupancy).leave(id)
      end
      in_chunks('HDEL', permits, released)
      grow('dialling', -in_chunks('ZREM', dialling, released))
      room_made = true
      released = {}
    end
  end

  local function describe(id, lane)
    if redis.call('HSETNX', permits, id, now .. ' - ' .. lane) == 1 then
      written[permits] = true
    end
  end

  -- A permit that a worker gave by itself while it could not reach this server.
  local function adopt(id, lane)
    settle_released()
    if not redis.call('ZSCORE', uncounted, id) then
      grow('dialling', redis.call('ZADD', dialling, 0, id))
    end
    if not listed_for then
      note_unlisted()
    end
    describe(id, lane)
  end

  -- A permit that a worker is dialling, of which this ledger knows nothing, or takes it for placed.
  local function hold(id, lane)
    settle_released()
    grow('uncounted', -redis.call('ZREM', uncounted, id))
    grow('dialling', redis.call('ZADD', dialling, 0, id))
    describe(id, lane)
  end

  local function place(id, lane)
    settle_released() -- this one may be among them, and count again
    if state.backoffs > 0 then
      the(Rates).succeed(id)
    end
    if state.occupied > 0 then
      the(Occupancy).place(id)
    end
    grow('uncounted', redis.call('ZADD', uncounted, now + unvouched + COUNTED_AFTER + 1, id))
    local was_dialling = redis.call('ZREM', dialling, id)
    grow('dialling', -was_dialling)
    if was_dialling == 0 then
      describe(id, lane)
    end
  end

  return { release = release, settle_released = settle_released, describe = describe, adopt = adopt,
    hold = hold, place = place }
end

-- From uncounted on, and what is known of calls by the provider's ids.
local function Calls()
  local part = {}

  -- What calls these permits are of, and the other way round. A call that is on a trunk which has to
  -- know when it is over is marked, and left out where `over` isn't said.
  function part.forget(ids, over)
    if #ids == 0 then
      return
    end
    local names, fields = {}, {}
    for i, id in ipairs(ids) do
      names[i] = 'p' .. id
    end
    for i, text in ipairs(redis.call('HMGET', calls, unpack(names))) do
      local mark, call = string.match(text or '', '^(%+?)(.+)$')
      if call and (over or mark == '') then
        fields[#fields + 1] = names[i]
        fields[#fields + 1] = 'c' .. call
      end
    end
    in_chunks('HDEL', calls, fields)
  end

  -- A permit leaves the ledger, whether it is dialling or uncounted. If its call was absorbed, the call surely
  -- ended after the snapshot that began at `heard` was received, and after all before it; 0 if none is known.
  function part.drop(id, heard)
    local was_on_trunk = state.occupied > 0 and the(Occupancy).leave(id)
    redis.call('HDEL', permits, id)
    local was_uncounted = redis.call('ZREM', uncounted, id) == 1
    local was_dialling = not was_uncounted and redis.call('ZREM', dialling, id) == 1
    grow('uncounted', was_uncounted and -1 or 0)
    grow('dialling', was_dialling and -1 or 0)
    if was_on_trunk and heard > 0 and not (was_uncounted or was_dialling) then
      ended_after[#ended_after + 1] = heard
    end
    if was_uncounted or was_on_trunk then
      part.forget({ id }, true)
    end
    room_made = true
  end

  -- Uncounted permits leave the ledger, as many as there are in one command.
  function part.absorb(ids)
    if #ids == 0 then
      return
    end
    redis.call('HDEL', permits, unpack(ids))
    part.forget(ids, false)
    local count = redis.call('ZREM', uncounted, unpack(ids))
    grow('uncounted', -count)
    absorbed = absorbed + count
    room_made = true
  end

  function part.answered(id, at)
    redis.call('ZADD', uncounted, 'XX', 'LT', at + unvouched + the(Few).counter_lag + 1, id)
  end

  function part.bind(id, call)
    local is_on_trunk = state.occupied > 0 and the(Occupancy).has_placed(id)
    if not (is_on_trunk or redis.call('ZSCORE', uncounted, id)) then
      return
    end
    redis.call('HSET', calls, 'p' .. id, (is_on_trunk and '+' or '') .. call, 'c' .. call, id)
    written[calls] = true
    local answered_at, ended_at, refused_at =
      unpack(redis.call('ZMSCORE', early, 'a' .. call, 'e' .. call, 'r' .. call))
    if refused_at then
      the(Rates).push_back_of(id)
    end
    if ended_at then
      part.drop(id, 0)
    elseif answered_at then
      part.answered(id, tonumber(answered_at))
    end
  end

  local function remember(what)
    redis.call('ZADD', early, 'NX', now + unvouched, what)
    written[early] = true
  end

  -- Evidence of more calls than `early`, or from before `early_for`, is not worth its room.
  function part.forget_old()
    if written[early] then
      redis.call('ZREMRANGEBYSCORE', early, '-inf', now - the(Few).early_for)
      redis.call('ZREMRANGEBYRANK', early, 0, -the(Few).early - 1)
    end
  end

  function part.note_answered(call)
    local id = redis.call('HGET', calls, 'c' .. call)
    if id then
      part.answered(id, now)
    else
      remember('a' .. call)
    end
  end

  -- The call's trunk is pushed back; that the call is over is said besides.
  function part.note_refused(call)
    local id = redis.call('HGET', calls, 'c' .. call)
    if id then
      the(Rates).push_back_of(id)
    else
      remember('r' .. call)
    end
  end

  -- Where that is known, the call ended after the snapshot that began at `heard` was received.
  function part.note_ended(call, heard)
    local id = redis.call('HGET', calls, 'c' .. call)
    if id then
      part.drop(id, heard)
    else
      remember('e' .. call)
    end
  end

  return part
end
