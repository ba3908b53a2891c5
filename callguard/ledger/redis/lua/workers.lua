-- Who shares the books: workers come, renew their leases, and go, with a word or without.

local SWEEP = 250 -- between two looks for leases that have run out

local function Workers()
  local crew = {}
  read('visible_after', 'lease')

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
  function crew.bury(worker)
    for _, id in ipairs(of_worker(worker, redis.call('HKEYS', permits))) do
      redis.call('ZADD', unseen, 'NX', now + state.visible_after + 1, id)
      written[unseen] = true
    end
    in_chunks('HDEL', claims, of_worker(worker, redis.call('HKEYS', claims)))
    redis.call('ZREM', workers, worker)
    redis.call('HDEL', sessions, worker)
    redis.call('HDEL', books, 'number/' .. worker)
    room_made = true -- for those that its claims had set a place aside from
  end

  function crew.sweep()
    set('swept', now)
    for _, worker in ipairs(redis.call('ZRANGEBYSCORE', workers, '-inf', now)) do
      crew.bury(worker)
      if worker == me then
        state.number = nil
      end
    end
  end

  function crew.renew()
    redis.call('ZADD', workers, now + LEASE, me)
    for _, key in ipairs(KEYS) do
      written[key] = true
    end
  end

  -- Whether the books have forgotten what this worker was told once. One that says again that it
  -- leaves is forgotten because it has left.
  local function books_lost(joining)
    return said.epoch ~= '' and not said.leaves
      and (state.epoch ~= said.epoch or state.number and state.number < said.acknowledged
        or not state.number and joining.alive)
  end

  local function open_books(joining)
    set('epoch', joining.epoch)
    set('spent_until', now + GRACE)
    publish('all', { epoch = joining.epoch })
  end

  -- What this worker holds is what it says that it holds; what it was given and never heard of
  -- goes back.
  local function hold(held)
    local holds = {}
    for _, lease in ipairs(held) do
      local id = id_of(lease[1])
      holds[id] = true
      redis.call('HSETNX', permits, id, now .. ' ' .. lease[2])
      redis.call('ZREM', unseen, id)
      written[permits] = true
    end
    for _, id in ipairs(of_worker(me, redis.call('HKEYS', permits))) do
      if not holds[id] and not redis.call('ZSCORE', unseen, id) then
        drop(id)
      end
    end
  end

  -- A worker that is not known, or no more, or is in doubt. Returns whether its lease had run out.
  function crew.join(joining)
    local lost, known = books_lost(joining), state.number
    if not state.epoch then
      open_books(joining)
    end
    set('visible_after', math.max(state.visible_after, VISIBLE_AFTER))
    set('lease', math.max(state.lease, LEASE))
    if lost then
      -- A worker that is cut off may still dial what it was given, until its lease runs out.
      set('spent_until', math.max(state.spent_until, now + state.lease + state.visible_after))
    end
    hold(joining.held)
    in_chunks('HDEL', claims, of_worker(me, redis.call('HKEYS', claims)))
    redis.call('HSET', sessions, me, joining.label)
    return said.epoch ~= '' and not known and not lost and not said.leaves
  end

  return crew
end
