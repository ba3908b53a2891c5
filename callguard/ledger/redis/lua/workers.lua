-- Who shares the ledger: workers come, renew their leases, and go, with a word or without.

local SWEEP = 250 -- between two looks for leases that have run out
local BEFORE = 1000 -- characters of the epochs before this one: those of the last 30
local REMEMBERED = 86400000 -- since its lease ran out, until nobody knows of a worker any more

local function Workers()
  local crew = {}
  state.before = read('counted_after', 'lease', 'before', 'opened')[3]

  local function of_worker(worker, ids)
    local own, prefix = {}, #worker
    for _, id in ipairs(ids) do
      if string.sub(id, 1, prefix) == worker then
        own[#own + 1] = id
      end
    end
    return own
  end

  -- What a worker that is gone was dialling may have been dialled.
  local function bury(worker)
    local counted_from = now + state.counted_after + 1
    for _, id in ipairs(of_worker(worker, redis.call('HKEYS', permits))) do
      grow('uncounted', redis.call('ZADD', uncounted, 'NX', counted_from, id))
    end
    forget_claims(worker)
    redis.call('HDEL', sessions, worker)
    room_made = true -- for those that its claims had set a slot aside from
  end

  function crew.leave()
    bury(me)
    grow('workers', -redis.call('ZREM', workers, me))
    redis.call('HDEL', ledger, number_field, void_field)
    changed[number_field], changed[void_field] = nil, nil
  end

  -- Workers whose leases have run out. What they have heard is remembered for long: one that comes
  -- back and has heard more shows that the ledger is an older one. Below 0 stand the buried.
  function crew.sweep()
    set('swept', now)
    for _, worker in ipairs(redis.call('ZRANGEBYSCORE', workers, '0', now)) do
      bury(worker)
      redis.call('ZADD', workers, -now, worker)
      local field = 'number/' .. worker
      set(field, -(tonumber(redis.call('HGET', ledger, field)) or 0))
      if worker == me then
        state.number = state[field]
      end
    end
    for _, worker in ipairs(redis.call('ZRANGEBYSCORE', workers, REMEMBERED - now, '(0')) do
      grow('workers', -redis.call('ZREM', workers, worker))
      redis.call('HDEL', ledger, 'number/' .. worker, 'void/' .. worker)
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

  -- There was a ledger before this one. A worker that is cut off may still dial what that gave it,
  -- until its lease runs out.
  local function object()
    set('lost_until', now + state.lease + state.counted_after)
    set('spent_until', math.max(state.spent_until, state.lost_until))
    said.taken, said.failed = nil, nil -- dated by a clock that is no more
  end

  -- Whether the ledger of this epoch is one that this one came after: whoever comes from there has
  -- nothing new to tell. One that is not among those was lost since, or came after this ledger, which
  -- is an older one then; and so it is where a worker has heard of one since this one began.
  local function came_after(epoch)
    local among = string.find(' ' .. (state.before or '') .. ' ', ' ' .. epoch .. ' ', 1, true)
    return among ~= nil and (said.silent or now) + JITTER >= now - state.opened
  end

  local function epochs_before()
    local found = { state.before or '' }
    for _, epoch in ipairs({ state.epoch or '', said.epoch }) do
      if epoch ~= '' and not came_after(epoch) then
        found[#found + 1] = epoch
      end
    end
    return string.sub(table.concat(found, ' '), -BEFORE)
  end

  -- Begin anew. What is left of the ledger is worth nothing; evidence is, whatever was lost. The
  -- ledger go last, torn until then: a new ledger is one that nobody has lost.
  local function begin_anew(epoch, was_lost)
    local before = epochs_before()
    if was_lost then
      redis.call('HSET', ledger, 'permits', -1)
    end
    redis.call('DEL', workers, sessions, permits, uncounted)
    redis.call('DEL', claims, queue, called, calls)
    begun_anew = true
    local counted_after, lease = state.counted_after, state.lease
    for name in pairs(state) do
      state[name], changed[name] = 0, nil
    end
    state.number = nil
    set('counted_after', counted_after)
    set('lease', lease)
    set('epoch', epoch)
    set('before', before)
    set('opened', now)
    set('protocol', PROTOCOL)
    publish('all', { epoch = epoch })
    raw, unvouched = raw_now, 0 -- nobody's word is of this ledger's clock
  end

  -- What this worker holds is what it says that it holds; what it was given and never heard of
  -- goes back.
  local function hold(held)
    local holds = {}
    for _, lease in ipairs(held) do
      local id = id_of(lease[1])
      holds[id] = true
      grow('permits', redis.call('HSETNX', permits, id, now .. ' ' .. lease[2]))
      grow('uncounted', -redis.call('ZREM', uncounted, id))
    end
    for _, id in ipairs(of_worker(me, redis.call('HKEYS', permits))) do
      if not holds[id] and not redis.call('ZSCORE', uncounted, id) then
        drop(id)
      end
    end
  end

  -- A worker that is not known, or no more, or is in doubt.
  function crew.join(joining, lost)
    set('counted_after', math.max(state.counted_after, COUNTED_AFTER))
    set('lease', math.max(state.lease, LEASE))
    local knows_another = said.epoch ~= '' and said.epoch ~= state.epoch and not came_after(said.epoch)
    local is_new = not state.epoch
    local was_lost = lost or knows_another
    if was_lost or is_new then
      begin_anew(joining.epoch, was_lost)
    end
    if was_lost then
      object()
    elseif is_new then
      set('spent_until', now + GRACE)
      set('lost_until', now + GRACE)
    elseif said.epoch ~= state.epoch then
      said.taken, said.failed = nil, nil -- dated by a clock that is no more
    end
    if state.number and state.number < 0 then
      set(void_field, said.number)
    end
    hold(joining.held)
    forget_claims(me)
  end

  return crew
end
