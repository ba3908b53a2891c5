-- One reading for all: whose turn it is to take it, and what it absorbs.

local PAUSE = 100 -- from a fault to the next request at least; as in fetcher/reading.py

local function Readings()
  local readings = {}
  read('changed', 'received')

  local function next_due()
    local late = math.max(state.changed, state.spent_until)
    if late < state.began then
      return state.began + TTL
    end
    local soon = math.max(state.began + MIN_INTERVAL, state.spent_until + 1)
    return math.min(state.began + TTL, soon)
  end

  function readings.latest()
    local found = redis.call('HMGET', books, 'limits', 'reader')
    return { began = state.began, received = state.received,
      limits = changed.limits or found[1], reader = changed.reader or found[2] }
  end

  local function tell_all()
    local placed = redis.call('ZCARD', unseen)
    publish('all', { now = now, epoch = state.epoch, reading = readings.latest(),
      counts = { redis.call('HLEN', permits) - placed, placed },
      spent = state.began <= state.spent_until, lost = state.began <= state.lost_until })
  end

  function readings.record(taken)
    if taken.token == state.poll then
      set('poll_until', 0)
    end
    local began = math.min(taken.began, now)
    if began <= state.began or taken.token < state.distrusted then
      return
    end
    set('began', began)
    set('received', now)
    set('current', taken.current)
    set('limits', taken.limits)
    set('reader', me)
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', unseen, '-inf', '(' .. began)) do
      drop(id)
    end
    set('due', next_due())
    room_made = true
    tell_all()
  end

  function readings.fail(failed)
    if failed.token == state.poll then
      local pause = math.max(PAUSE, failed.wait)
      set('poll_until', now + pause)
      set('due', now + math.max(TTL, pause))
    end
  end

  -- This worker's turn, if a reading is due and nobody is at it, or has been for too long.
  function readings.turn()
    if now < math.max(state.due, state.poll_until) then
      return nil
    end
    set('poll', state.poll + 1)
    set('poll_until', now + 2 * TTL)
    set('tried', now)
    return { token = state.poll, began = now }
  end

  return readings
end
