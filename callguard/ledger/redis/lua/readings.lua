-- One reading for all: who has the right to it, and what its snapshot absorbs. When it is due,
-- callguard/ledger/readings.py has the same rule for a ledger of one process.
--
-- Reads  uncounted; who wants the right, goes on reading, has a snapshot, or has none;
--        state.distrusted and lost_until
-- Sets   permits, uncounted, calls; state.changed, spent_until, began, received, current, limits, reader,
--        due, absorbing;
--        the right, by state.poll, poll_until and tried; failures, by state.failed, failures and
--        failure; room_made; tells all of a snapshot and of a failure

local function Readings()
  local readings, few = {}, the(Few)

  local function next_due()
    local late = math.max(state.changed, state.spent_until)
    if late < state.began then
      return state.began + few.ttl
    end
    local soon = math.max(state.began + few.min_interval, state.spent_until + 1)
    return math.min(state.began + few.ttl, soon)
  end

  -- The provider's count has changed.
  function readings.note_change()
    set('changed', now)
    if state.began > 0 then
      set('due', math.min(state.due, math.max(state.began, state.tried) + few.min_interval))
    end
  end

  -- The provider refused a call, so that the snapshot authorises nothing any more.
  function readings.spend()
    set('spent_until', math.max(state.spent_until, now + unvouched))
    set('refused_once', 1)
    readings.note_change()
  end

  function readings.latest()
    return { began = state.began, received = state.received,
      limits = text_in_ledger('limits'), reader = text_in_ledger('reader') }
  end

  local function tell_all()
    the(Messages).keep('all', { now = now, epoch = state.epoch, snapshot = readings.latest(),
      counts = { state.dialling, state.uncounted,
        (listed_for or state.occupied > 0) and the(Occupancy).own() or nil },
      ended = said.ends and the(InHand).ended() or nil,
      spent = state.began <= state.spent_until, lost = state.began <= state.lost_until })
  end

  function readings.record(taken)
    if taken.token == state.poll then
      set('poll_until', taken.wait and now + taken.wait or 0)
    end
    set('failed', 0)
    set('failures', 0)
    local began = math.min(taken.began, now)
    if began <= state.began or taken.token < state.distrusted then
      return
    end
    set('began', began)
    set('received', now)
    set('current', taken.current)
    if state.older > taken.current then
      the(Occupancy).bound_older(taken.current)
    end
    set('limits', taken.limits)
    set('reader', me)
    set('due', next_due())
    set('absorbing', 1)
    room_made = true
  end

  -- The latest snapshot surely counts the permits whose moment in `uncounted` was before it began. The
  -- permits that are left over count twice until the next exchanges absorb them. With a snapshot go the own
  -- calls that are over by now.
  function readings.absorb()
    local ids = redis.call('ZRANGEBYSCORE', uncounted, '-inf', '(' .. state.began, 'LIMIT', 0, AT_ONCE)
    the(Calls).absorb(ids)
    local old = listed_for and state.occupied > 0 and the(Occupancy).forget_over() or {}
    the(Calls).forget(old, true)
    if listed_for then
      the(Occupancy).bound()
    end
    set('absorbing', math.max(#ids, #old) == AT_ONCE and 1 or 0)
    tell_all()
  end

  -- Why the latest reading failed, for those who haven't heard.
  function readings.failure()
    local failure = cjson.decode(text_in_ledger('failure'))
    failure.token = state.failed
    return failure
  end

  -- A reading that brought no snapshot. From its beginning to the next there passes a ttl, and twice as
  -- much with each failure in a row: `backoff` of callguard/backoff.py has the same for one gate. A
  -- request may have begun a little after the right to it was given.
  function readings.fail(failed)
    if failed.token ~= state.poll or failed.token == state.failed then
      return
    end
    set('failed', failed.token)
    set('failures', state.failures + 1)
    set('failure', cjson.encode(failed.why))
    local doubled = few.ttl * 2 ^ math.min(state.failures - 1, 30)
    local backoff = math.max(few.ttl, math.min(doubled, few.longest_backoff))
    local began = math.min(now, state.tried + few.ttl / 4)
    set('due', math.ceil(math.max(began + backoff, now + math.max(few.least_backoff, failed.wait))))
    set('poll_until', state.due)
    the(Messages).keep('all', { epoch = state.epoch, failed = readings.failure(),
      due_in = state.due - now, free_in = state.poll_until - now })
  end

  -- The right is still being used, and is nobody else's.
  function readings.go_on(token)
    if token == state.poll and token ~= state.failed and state.poll_until > 0 then
      set('poll_until', now + 2 * few.ttl)
    end
  end

  -- The right to read, if a reading is due and nobody is at it, or has been for too long. What became of
  -- the one before is told no more.
  function readings.right()
    if now < math.max(state.due, state.poll_until) then
      return nil
    end
    set('poll', state.poll + 1)
    set('poll_until', now + 2 * few.ttl)
    set('tried', now)
    set('failed', 0)
    return { token = state.poll, began = now }
  end

  return readings
end
