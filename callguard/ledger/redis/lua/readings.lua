-- One reading for all: whose turn it is to take it, and what it absorbs.

local function next_due()
  local late = math.max(state.changed, state.spent_until)
  if late < state.began then
    return state.began + TTL
  end
  local soon = math.max(state.began + MIN_INTERVAL, state.spent_until + 1)
  return math.min(state.began + TTL, soon)
end

local function reading()
  return {
    began = state.began, received = state.received, limits = state.limits, reader = state.reader,
  }
end

local function record(taken)
  if taken.token == state.poll then
    set('poll_until', 0)
  end
  if taken.began <= state.began then
    return
  end
  set('began', taken.began)
  set('received', now)
  set('current', taken.current)
  set('limits', taken.limits)
  set('reader', me)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', unseen, '-inf', '(' .. taken.began)) do
    drop(id)
  end
  set('due', next_due())
  local placed = redis.call('ZCARD', unseen)
  publish('all', { now = now, epoch = state.epoch, reading = reading(),
    counts = { redis.call('HLEN', permits) - placed, placed },
    spent = state.began <= state.spent_until })
end

local function fail(failed)
  if failed.token == state.poll then
    set('poll_until', 0)
    set('due', now + math.max(TTL, failed.wait))
  end
end

-- This worker's turn to read, if a reading is due and nobody is at it, or has been for too long.
local function turn_to_read()
  if now < math.max(state.due, state.poll_until) then
    return nil
  end
  set('poll', state.poll + 1)
  set('poll_until', now + 2 * TTL)
  return { token = state.poll, began = now }
end
