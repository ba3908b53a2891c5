-- The workers that share the ledger: they join, renew their leases, and leave or fall silent.
--
-- Reads  workers, dialling; who joins, renews or leaves, and what it holds; said.apart and ends
-- Sets   workers, sessions, permits, dialling, uncounted, claims, queue, called, calls; of the ledger
--        the number and the void of each worker, epoch, before, opened, protocol, counted_after, lease,
--        lost_until, spent_until, swept, apart and ends, and "trunk/" .. trunk

local SWEEP = 250 -- between two looks for leases that have run out
local BEFORE = 1000 -- characters of the epochs before this one: those of the last 30
local REMEMBERED = 86400000 -- since its lease ran out, until nobody knows of a worker any more
local ANY = 1000000000 -- calls, as long as it isn't known how many the first snapshot counts
local BURIALS = 16 -- of workers that one exchange goes into

local function Workers()
  local crew = {}

  -- The permits that a worker is dialling; at most so many, where that is said.
  local function dialled_by(worker, most)
    return redis.call('ZRANGEBYLEX', dialling, '[' .. worker .. '-', '(' .. worker .. '.',
      'LIMIT', 0, most or -1)
  end

  -- The calls that a gone worker was dialling may have been placed, so count them as placed. Returns how
  -- many; if it is as many as are done at once, there may be more, which stay dialling until then.
  local function bury(worker, most)
    local ids = dialled_by(worker, most)
    local counted_from = now + unvouched + state.counted_after + 1
    for _, id in ipairs(state.occupied > 0 and ids or {}) do
      the(Occupancy).place(id)
    end
    grow('uncounted', in_chunks('ZADD', uncounted, scored(counted_from, ids)))
    grow('dialling', -in_chunks('ZREM', dialling, ids))
    the(Claims).forget(worker)
    redis.call('HDEL', sessions, worker)
    room_made = true -- for the workers from whom its claims had kept a slot
    return #ids
  end

  -- A worker that leaves more permits than can be buried at once stays for the next sweeps to bury, as
  -- if its lease had run out.
  function crew.leave()
    if bury(me, AT_ONCE) < AT_ONCE then
      grow('workers', -redis.call('ZREM', workers, me))
      redis.call('HDEL', ledger, number_field, void_field, 'learnt/' .. me)
      changed[number_field], changed[void_field], changed['learnt/' .. me] = nil, nil, nil
    else
      redis.call('ZADD', workers, now, me)
      set(number_field, -said.number)
      set('swept', 0)
    end
  end

  -- Which exchange a worker heard last whose lease has run out is remembered for long: if the worker
  -- comes back and has heard a later one, the ledger is an older one. From then on the number is below 0.
  local function note_dead(worker)
    local field = 'number/' .. worker
    set(field, -math.abs(tonumber(redis.call('HGET', ledger, field)) or 0))
    if worker == me then
      state.number = state[field]
    end
  end

  -- Bury the workers whose leases have run out. Below 0 stand the workers that are buried; what is left
  -- over of them is buried in the next exchanges.
  function crew.sweep()
    local most = AT_ONCE
    local dead = redis.call('ZRANGEBYSCORE', workers, '0', now, 'LIMIT', 0, BURIALS)
    for _, worker in ipairs(dead) do
      note_dead(worker)
      most = most - bury(worker, most)
      if most > 0 then
        redis.call('ZADD', workers, -now, worker)
      else
        break
      end
    end
    set('swept', most > 0 and #dead < BURIALS and now or 0)
    local forgotten = redis.call('ZRANGEBYSCORE', workers, REMEMBERED - now, '(0', 'LIMIT', 0, BURIALS)
    for _, worker in ipairs(forgotten) do
      grow('workers', -redis.call('ZREM', workers, worker))
      redis.call('HDEL', ledger, 'number/' .. worker, 'void/' .. worker, 'learnt/' .. worker)
    end
  end

  function crew.renew()
    grow('workers', redis.call('ZADD', workers, now + unvouched + LEASE, me))
    if said.join then
      redis.call('HSET', sessions, me, said.join.label) -- it goes when the lease is over
    end
    for _, key in ipairs(KEYS) do
      written[key] = true
    end
  end

  -- Workers hold permits that this ledger doesn't know. If they say nothing more of those, they may still
  -- dial until their leases run out.
  function crew.withhold()
    set('lost_until', math.max(state.lost_until, now + unvouched + state.lease + state.counted_after))
    set('spent_until', math.max(state.spent_until, state.lost_until))
  end

  -- There was a ledger before this one, and a worker that is cut off may have permits of that.
  local function object()
    crew.withhold()
    set('rates_since', now)
    set('unknown_since', now + state.lease)
    said.taken, said.failed = nil, nil -- dated by a clock that is no more
  end

  local function before()
    return text_in_ledger('before') or ''
  end

  -- Whether this ledger came after the one of this epoch: whoever comes from there has nothing new to
  -- tell. A ledger that is not among those before this one was lost since, or came after this one,
  -- which is an older ledger then; and so it is where a worker has heard of that ledger since this one
  -- began.
  local function came_after(epoch)
    local among = string.find(' ' .. before() .. ' ', ' ' .. epoch .. ' ', 1, true)
    return among ~= nil and (said.silent or now) + JITTER >= now - state.opened
  end

  local function epochs_before()
    local epochs = { before() }
    for _, epoch in ipairs({ state.epoch or '', said.epoch }) do
      if epoch ~= '' and not came_after(epoch) then
        epochs[#epochs + 1] = epoch
      end
    end
    return string.sub(table.concat(epochs, ' '), -BEFORE)
  end

  -- Begin anew. What is left of the ledger is worth nothing; evidence is, whatever was lost. The
  -- ledger's hash goes last, and is torn until then: a new ledger is one that nobody has lost.
  local function begin_anew(epoch, was_lost)
    local epochs = epochs_before()
    if was_lost then
      redis.call('HSET', ledger, 'dialling', -1)
    end
    redis.call('UNLINK', workers, sessions, permits, dialling, uncounted)
    redis.call('UNLINK', claims, queue, called, calls, starts, occupied)
    begun_anew, kept = true, false
    local counted_after, lease, refused_once = state.counted_after, state.lease, state.refused_once
    for name in pairs(state) do
      state[name], changed[name] = 0, nil
    end
    state.number = false
    set('counted_after', counted_after)
    set('lease', lease)
    set('refused_once', refused_once)
    set('older', ANY)
    set('epoch', epoch)
    set('before', epochs)
    set('opened', now)
    set('protocol', PROTOCOL)
    the(Messages).keep('all', { epoch = epoch })
    raw, unvouched = raw_now, 0 -- nobody's word is of this ledger's clock
  end

  -- The permits that the exchange in doubt may have granted to this worker, by their numbers: those that
  -- it has granted.
  local function granted_in_doubt(joining)
    local granted, ids = {}, {}
    for number = joining.since, joining['until'] - 1 do
      ids[#ids + 1] = id_of(number)
    end
    for i, score in ipairs(#ids > 0 and redis.call('ZMSCORE', dialling, unpack(ids)) or {}) do
      granted[joining.since + i - 1] = score and ids[i] or nil
    end
    return granted
  end

  -- This worker holds the permits that it says that it holds; a permit that it was given and never heard
  -- of goes back. A ledger that has known the worker all the time agrees with the worker about all permits
  -- before those in doubt.
  local function hold(joining)
    local agrees = state.number and state.number >= 0 and said.epoch == state.epoch
    local unheard = granted_in_doubt(joining) -- less what it says that it holds, in the end
    local missing, lanes = {}, {}
    for _, run in ipairs(joining.held) do
      for number = agrees and math.max(run[1], joining.since) or run[1], run[2] do
        if not unheard[number] then -- it is uncounted, or nowhere, or not in doubt
          local id = id_of(number)
          missing[#missing + 1] = id
          lanes[id] = run[3]
        end
        unheard[number] = nil
      end
    end
    grow('dialling', in_chunks('ZADD', dialling, scored(0, missing)))
    grow('uncounted', -in_chunks('ZREM', uncounted, missing))
    for id, lane in pairs(lanes) do
      the(Permits).describe(id, lane)
    end
    for _, id in pairs(unheard) do
      the(Permits).release(id)
    end
    if made[Permits] then
      the(Permits).settle_released()
    end
  end

  -- A worker joins that the ledger doesn't know, or knows no more, or that is in doubt.
  function crew.join(joining, lost)
    set('counted_after', math.max(state.counted_after, COUNTED_AFTER))
    set('lease', math.max(state.lease, LEASE))
    local knows_another = said.epoch ~= '' and said.epoch ~= state.epoch and not came_after(said.epoch)
    local is_new = not state.epoch
    local was_lost = lost or knows_another
    if was_lost or is_new then
      the(Pauses).outlast(function() begin_anew(joining.epoch, was_lost) end)
    end
    if was_lost then
      object()
    elseif is_new then
      set('spent_until', now + the(Few).grace)
      set('lost_until', now + the(Few).grace)
    elseif said.epoch ~= state.epoch then
      said.taken, said.failed = nil, nil -- dated by a clock that is no more
    end
    if joining.pauses and said.epoch ~= state.epoch then
      the(Pauses).learn(joining.pauses)
    end
    if state.number and state.number < 0 then
      set(void_field, said.number)
    end
    if said.apart then
      set('apart', math.max(state.apart, said.apart)) -- for people
    end
    if said.ends then
      set('ends', math.max(state.ends, said.ends)) -- likewise
    end
    for trunk, text in pairs(joining.trunks or {}) do
      set('trunk/' .. trunk, text)
    end
    if joining.holds_more and said.epoch ~= state.epoch then
      crew.withhold()
    end
    hold(joining)
    the(Claims).forget(me)
  end

  return crew
end
