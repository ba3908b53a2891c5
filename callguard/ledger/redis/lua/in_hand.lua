-- Ends free at once: an own call that the latest snapshot counts holds no slot once it is known to be over.
-- callguard/in_hand.py has the same rule for a ledger in memory, and its laws.
--
-- Reads  occupied, dialling, uncounted, refused_once, current, began and received of the state; of the
--        ledger in_hand
-- Sets   of the ledger in_hand: the window, which is JSON of the snapshots in hand, see below; and ended, for
--        people
--
-- All own calls are listed in `occupied`. Those of them that are neither dialling nor uncounted have been
-- absorbed, so the latest snapshot surely counted them. How many of them have ended is found by comparison:
-- each exchange takes the number that the one before has left, adds what it has absorbed itself, and compares
-- the sum with the present number. What is missing has ended. A call that isn't listed, such as one of a
-- worker without this rule, or of a ledger that was lost, is in the usage as a call by others.
--
-- A worker without this rule, or of an older release, may change calls, and doesn't keep the window. So the
-- window counts only if the last exchange kept it; see `kept` in state.lua.

-- What this exchange did: how many calls it absorbed, and how many have left own. And for each that had been
-- absorbed and surely ended after a snapshot was heard of: when the latest such snapshot began.
local absorbed, departed, ended_after = 0, 0, {}

local MOMENTS = 64 -- at which calls left own; the two oldest are merged if there are more

-- How many own calls the latest snapshot surely counted that aren't known to be over. It is below 0 if
-- calls are dialling that aren't listed.
local function counted()
  return state.occupied / 2 - state.dialling - state.uncounted
end

local function InHand()
  local part = {}
  local ended -- calls; nil until it is known

  -- The snapshots in hand, the oldest first: for each, when it began and was received, and how many calls it
  -- `leaves` to others and `proves` that others have. Besides, how many own calls were `counted`; pairs of
  -- when calls `left` own, and how many; and for people the `lag`, by which the counter is late.
  local function found()
    local text = kept and text_in_ledger('in_hand')
    return text and cjson.decode(text) or { snapshots = {}, left = {} }
  end

  -- For each absorbed call that has ended, every snapshot leaves one more to others, unless it was received
  -- before the call surely ended.
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

  -- The latest snapshot may count every own call, and those that left own no earlier than `counter_lag`
  -- before it began.
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

  -- Of what the snapshots leave to others, the least holds, but none leaves less than a later one proves.
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

  -- How many calls the usage is lower by, because they are over and the latest snapshot still counts them.
  -- Ask for it only after the ends and the snapshot of this exchange were taken in.
  function part.ended()
    if not ended then
      ended = state.refused_once == 0 and state.began > 0 and keep() or 0
      set('ended', ended)
    end
    return ended
  end

  return part
end
