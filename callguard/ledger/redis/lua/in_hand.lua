-- Ends free at once: of the own calls that the latest snapshot counts, those that are over by now hold no
-- slot any more. callguard/in_hand.py has the same rule for gates that share nothing, and its laws.
--
-- Reads  occupied, dialling, uncounted, refused_once, current, began and received of the state; of the
--        ledger in_hand
-- Sets   of the ledger in_hand: JSON of the snapshots in hand, see below; and ended, for people
--
-- All own calls are listed in `occupied`. Those of them that are neither dialling nor uncounted have been
-- absorbed, so the latest snapshot surely counted them. Nobody says how that number changes: each exchange
-- compares it with what the one before has left, and with what it has absorbed itself. What is missing has
-- ended. Whatever isn't listed, as a call of a worker without this rule, or of a ledger that was lost, is in
-- the usage as others' calls are.
--
-- A worker without this rule changes the calls and doesn't keep the window, also one of another release. So
-- the window counts only where the last exchange kept it; see `kept` in state.lua.

-- What this exchange did: calls that it absorbed, and those that have left the ledger's own; and for each
-- that had been absorbed and surely ended after a snapshot was heard of, when the latest of these began.
local absorbed, departed, ended_after = 0, 0, {}

local MOMENTS = 64 -- of calls that left own ones; the oldest are taken together

local function InHand()
  local part = {}
  local ended -- calls; nil until it is known

  -- The snapshots in hand, the oldest first: for each when it began and was received, and the calls that it
  -- `leaves` to others, and `proves` that others have. And how many own calls were `counted`, and as pairs
  -- when calls have `left` own ones, and how many; and for people how late the counter is, the `lag`.
  local function found()
    local text = kept and text_in_ledger('in_hand')
    return text and cjson.decode(text) or { snapshots = {}, left = {} }
  end

  -- Own calls that the latest snapshot surely counted, and that aren't known to be over. It is below 0 where
  -- calls are dialling that aren't listed.
  local function counted()
    return state.occupied / 2 - state.dialling - state.uncounted
  end

  -- Calls that were absorbed, and are no more: each leaves one more to others, but for the snapshots that
  -- were received before it surely ended.
  local function free(window)
    local unknown = math.max(0, window.counted + absorbed - #ended_after - counted())
    for _, snapshot in ipairs(window.snapshots) do
      snapshot.leaves = snapshot.leaves + unknown
      for _, heard in ipairs(ended_after) do
        snapshot.leaves = snapshot.leaves + (snapshot.began > heard and 1 or 0)
      end
    end
  end

  local function note_departed(left)
    left[#left + 1] = { now, departed }
    if #left > MOMENTS then
      local oldest = table.remove(left, 1)
      left[1][2] = left[1][2] + oldest[2]
    end
  end

  -- The latest snapshot may count every call that is an own one, and those that left own ones a moment ago.
  local function may_count(window)
    local since = state.began - the(Few).counter_lag
    while window.left[1] and window.left[1][1] < since do
      table.remove(window.left, 1)
    end
    local calls = state.dialling + state.uncounted + math.max(0, counted())
    for _, each in ipairs(window.left) do
      calls = calls + each[2]
    end
    return calls
  end

  local function take_in_hand(window)
    local snapshots, few = window.snapshots, the(Few)
    while snapshots[1] and (snapshots[1].received < state.received - few.window
      or #snapshots >= tonumber(few.in_hand)) do
      table.remove(snapshots, 1)
    end
    snapshots[#snapshots + 1] = { began = state.began, received = state.received,
      leaves = state.current - counted(), proves = state.current - may_count(window) }
  end

  -- Of what the snapshots leave to others the least, but none leaves less than what a later one proves.
  local function others(snapshots)
    local least, proven = math.huge, -math.huge
    for i = #snapshots, 1, -1 do
      least = math.min(least, math.max(snapshots[i].leaves, proven))
      proven = math.max(proven, snapshots[i].proves)
    end
    return least
  end

  local function keep()
    local window = found()
    local latest = window.snapshots[#window.snapshots]
    if window.counted then
      free(window)
    end
    if departed > 0 then
      note_departed(window.left)
    end
    if latest and latest.began == state.began then
      latest.leaves = latest.leaves - absorbed -- it surely counts these, too
    elseif state.began > 0 then
      take_in_hand(window)
    end
    window.counted, window.lag, kept = counted(), tonumber(the(Few).counter_lag), true
    set('in_hand', cjson.encode(window))
    return math.max(0, state.current - counted() - others(window.snapshots))
  end

  -- How many calls the usage is lower by, since the latest snapshot counts them and they are over. It
  -- can be asked for once the ends and the snapshot of this exchange were taken in.
  function part.ended()
    if not ended then
      ended = state.refused_once == 0 and state.began > 0 and keep() or 0
      set('ended', ended)
    end
    return ended
  end

  return part
end
