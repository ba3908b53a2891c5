-- Who shares the books: workers come, renew their leases, and go, with a word or without.

local KEEP = 3600000 -- a workspace that has been silent for so long is forgotten
local SWEEP = 250 -- between two looks for leases that have run out

-- What a worker that is gone was dialling may have been dialled.
local function bury(worker)
  for _, id in ipairs(of_worker(worker, redis.call('HKEYS', permits))) do
    redis.call('ZADD', unseen, 'NX', now + state.visible_after + 1, id)
  end
  in_chunks('HDEL', claims, of_worker(worker, redis.call('HKEYS', claims)))
  redis.call('ZREM', workers, worker)
  redis.call('HDEL', sessions, worker)
  redis.call('HDEL', books, 'number/' .. worker)
end

local function sweep()
  if now < state.swept + SWEEP then
    return
  end
  set('swept', now)
  for _, worker in ipairs(redis.call('ZRANGEBYSCORE', workers, '-inf', now)) do
    bury(worker)
    if worker == me then
      state.number = nil
    end
  end
end

local function renew()
  redis.call('ZADD', workers, now + LEASE, me)
  for _, key in ipairs(KEYS) do
    redis.call('PEXPIRE', key, KEEP)
  end
end

local function open_books(joining)
  set('epoch', joining.epoch)
  set('spent_until', now + GRACE)
  publish('all', { epoch = joining.epoch })
end

-- Whether the books have forgotten what this worker was told once.
local function books_lost(joining)
  return said.epoch ~= ''
    and (state.epoch ~= said.epoch or state.number and state.number < said.acknowledged
      or not state.number and joining.alive)
end

-- A worker that was not known, or no more, or is in doubt: what it holds is what it says that it
-- holds. What it was given and never heard of goes back. Returns whether its lease had run out.
local function join(joining)
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
  local holds = {}
  for _, held in ipairs(joining.held) do
    local id = id_of(held[1])
    holds[id] = true
    redis.call('HSETNX', permits, id, now .. ' ' .. held[2])
    redis.call('ZREM', unseen, id)
  end
  for _, id in ipairs(of_worker(me, redis.call('HKEYS', permits))) do
    if not holds[id] and not redis.call('ZSCORE', unseen, id) then
      redis.call('HDEL', permits, id)
    end
  end
  in_chunks('HDEL', claims, of_worker(me, redis.call('HKEYS', claims)))
  redis.call('HSET', sessions, me, joining.label)
  return said.epoch ~= '' and not known and not lost
end
