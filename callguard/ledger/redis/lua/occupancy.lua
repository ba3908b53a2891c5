-- Who is on the trunks that take so many calls at once, until each call is surely over.
-- callguard/ledger/occupancy.py has the same rule for gates that share nothing.
--
-- Reads  occupied; state.unknown_since, unlisted, opened and refused_once
-- Sets   occupied; state.longest, older, ghosts and unlisted
--
-- Where inbound calls are counted apart (callguard/accounting.py), or ends free at once (in_hand.lua), all
-- own calls are here, also those on no such trunk. So there are half as many own calls as members. They stay
-- until they have lasted as long as a call can on any trunk. Where inbound calls are counted apart, the ceiling
-- of a claim is then higher by as much as others' calls have of what is reserved for them.
--
-- Of the own calls that a snapshot surely counts, no more can be going on than it counts. What is listed beyond
-- that are `ghosts`: so many of the calls are over, though it isn't known which. A call that is found to be over
-- may be one of these, so each end lays one. Where some own calls may not be listed there are no ghosts.
--
-- A call has two members, so that it is found both ways: "trunk over permit", in the order in which the
-- calls of a trunk are over at the latest, and "#permit trunk over longest". A call whose dial has not
-- returned is never over.

local NEVER = 8e12 -- ms

local counted_before = counted() -- this exchange

local function Occupancy()
  local part = {}
  local counts = {} -- by trunk, the calls on it
  local started, members = {}, {} -- in this exchange
  local own_at_first -- by which claims are judged; below 0 where all calls count together

  local function members_of(one)
    return one.trunk .. ' ' .. sortable(one.over) .. ' ' .. one.id,
      string.format('#%s %s %d %d', one.id, one.trunk, one.over, one.longest)
  end

  local function found(id)
    local text = state.occupied > 0
      and redis.call('ZRANGEBYLEX', occupied, '[#' .. id .. ' ', '(#' .. id .. '!', 'LIMIT', 0, 1)[1]
    local trunk, over, longest = string.match(text or '', '^%S+ (%S+) (%d+) (%d+)$')
    return trunk and { id = id, trunk = trunk, over = tonumber(over), longest = tonumber(longest) }
  end

  local function add(flat)
    if state.occupied == 0 and #flat > 0 then
      redis.call('DEL', occupied) -- what an exchange has left there that failed
    end
    grow('occupied', in_chunks('ZADD', occupied, flat))
  end

  local function put(one)
    add(scored(0, { members_of(one) }))
    counts[one.trunk] = nil
  end

  local function remove(one)
    grow('occupied', -redis.call('ZREM', occupied, members_of(one)))
    counts[one.trunk] = nil
  end

  -- The ledger has to be kept for as long as the calls in it can last.
  local function keep_for(longest)
    if longest > state.longest then
      set('longest', longest)
      for _, key in ipairs(KEYS) do
        written[key] = true
      end
    end
  end

  -- The calls on a trunk that can be going on are between these texts.
  local function bounds(trunk)
    return '[' .. trunk .. ' ' .. sortable(now + 1), '(' .. trunk .. '!'
  end

  local function count_of(trunk)
    if not counts[trunk] then
      counts[trunk] = state.occupied > 0 and redis.call('ZLEXCOUNT', occupied, bounds(trunk)) or 0
    end
    return counts[trunk]
  end

  -- Until when calls from before the ledger was lost may be on a trunk.
  local function unknown_until(longest)
    return state.unknown_since > 0 and state.unknown_since + longest or 0
  end

  -- How many calls can be on each of these trunks, each with how long a call lasts there; below 0 where
  -- that isn't known.
  function part.calls_on(trunks)
    local on = {}
    for i, each in ipairs(trunks) do
      on[i] = unknown_until(each[2]) > now and -1 or count_of(each[1])
    end
    return on
  end

  -- How many calls of a claim may come on top.
  function part.left(claim)
    if unknown_until(claim.longest) > now then
      return 0
    end
    return math.max(0, claim.calls - count_of(claim.trunk))
  end

  -- From when on one may come at the latest; only where none may come now.
  function part.due(claim)
    local have_to_end = count_of(claim.trunk) + 1 - claim.calls
    local due = unknown_until(claim.longest)
    if have_to_end > 0 then
      local from, to = bounds(claim.trunk)
      local last = redis.call('ZRANGEBYLEX', occupied, from, to, 'LIMIT', have_to_end - 1, 1)[1]
      due = math.max(due, last and tonumber(string.match(last, '^%S+ (%d+)')) - 1e12 or NEVER)
    end
    return due
  end

  -- One of those that may come does, or is to be asked to.
  function part.take(claim)
    counts[claim.trunk] = count_of(claim.trunk) + 1
  end

  function part.start(claim, id)
    started[claim.trunk] = true
    local one = { id = id, trunk = claim.trunk, over = NEVER, longest = claim.longest }
    for _, member in ipairs({ members_of(one) }) do
      members[#members + 1] = 0
      members[#members + 1] = member
    end
    keep_for(claim.longest)
  end

  -- A permit's call is on its trunk no more, if it was. Returns whether it was.
  function part.leave(id)
    local one = found(id)
    if one then
      remove(one)
      departed = departed + 1
    end
    return one ~= nil
  end

  -- So many calls are over that may be ghosts.
  local function lay(calls)
    if state.ghosts > 0 and calls > 0 then
      set('ghosts', math.max(0, state.ghosts - calls))
    end
  end

  -- What has happened in this exchange, up to its snapshot, may have laid ghosts; to be asked once.
  function part.lay_ghosts()
    lay(counted_before - counted())
  end

  -- No more than so many calls from before the ledger can be going on.
  function part.bound_older(calls)
    if state.older > calls then
      lay(state.older - calls)
      set('older', calls)
    end
  end

  -- For how long a call can go on, on whichever trunk.
  local function lasts()
    return math.max(state.longest, listed_for or 0)
  end

  -- Removes the own calls that have lasted as long as a call can, though nobody has reported that they are
  -- over; at most so many as are done at once. Returns these.
  function part.forget_over()
    local gone = {}
    local from = '[$' -- after all that begin with "#"
    local first = redis.call('ZRANGEBYLEX', occupied, from, '+', 'LIMIT', 0, 1)[1]
    while first and #gone < AT_ONCE do
      local trunk, over, id = string.match(first, '^(%S+) (%d+) (%S+)$')
      local one = over - 1e12 <= now and found(id)
      if one and one.over - one.longest + lasts() <= now then
        part.leave(id)
        gone[#gone + 1] = id
      else
        from = '[' .. trunk .. '!' -- the next trunk
      end
      first = redis.call('ZRANGEBYLEX', occupied, from, '+', 'LIMIT', 0, 1)[1]
    end
    lay(#gone)
    return gone
  end

  -- Removes, once there are many, the calls that are over by now though nobody has reported it: own calls, or
  -- where these aren't listed, calls on the trunks of those that started. Returns these.
  function part.settle()
    local is_much = state.occupied >= MANY
    local gone = is_much and listed_for and part.forget_over() or {}
    for trunk in pairs(is_much and not listed_for and started or {}) do
      local over = redis.call('ZRANGEBYLEX', occupied, '[' .. trunk .. ' ',
        '(' .. trunk .. ' ' .. sortable(now + 1), 'LIMIT', 0, AT_ONCE)
      for _, member in ipairs(over) do
        gone[#gone + 1] = string.match(member, '%S+$')
        part.leave(gone[#gone])
      end
      lay(#over)
    end
    add(members)
    return gone
  end

  -- The call of a permit is on a trunk, however full that is, and not placed so far.
  function part.join(id, trunk, longest)
    part.leave(id)
    put({ id = id, trunk = trunk, over = NEVER, longest = longest })
    keep_for(longest)
  end

  -- The dial of a permit has returned; or its worker is gone, and may have dialled until now.
  function part.place(id)
    local one = found(id)
    if one then
      remove(one)
      one.over = now + unvouched + one.longest + 1
      put(one)
    end
  end

  -- How many own calls can be going on; nil where some may not be here: because the ledger was lost, or
  -- a worker that has its calls not listed was given a slot; below 0 once the provider has
  -- refused a call. What the first snapshot counts may be own calls from before the ledger.
  function part.own()
    local longest = lasts()
    local unlisted = math.max(state.unknown_since, state.unlisted)
    if state.refused_once > 0 then
      return -1
    elseif unlisted > 0 and unlisted + longest >= now then
      return nil
    end
    local older = state.opened + longest >= now and state.older or 0
    return state.occupied / 2 + math.min(older, state.older - state.ghosts)
  end

  -- The latest snapshot has absorbed calls that it surely counts: of all these, and of those from before the
  -- ledger, no more can be going on than it counts.
  function part.bound()
    if state.opened + lasts() < now then
      part.bound_older(0)
    end
    local own = part.own() or -1
    local beyond = own - state.dialling - state.uncounted - state.current
    if own >= 0 and beyond > 0 then
      set('ghosts', state.ghosts + beyond)
    end
  end

  -- By how much a claim's ceiling is higher because inbound calls are counted apart, while `in_use` are in
  -- use and no slot is given yet: each that is given is an own call as well, and changes nothing.
  function part.above(claim, in_use)
    own_at_first = own_at_first or part.own() or -1
    if own_at_first < 0 then
      return 0
    end
    return math.min(claim.reserved, claim.reserve + math.max(0, in_use - own_at_first))
  end

  -- Whether a permit's call is on a trunk, and was placed.
  function part.has_placed(id)
    local one = found(id)
    return one ~= nil and one.over < NEVER
  end

  return part
end

-- A call begins that isn't listed, of a worker without these settings.
local function note_unlisted()
  set('unlisted', now)
  if state.ghosts > 0 then
    set('ghosts', 0)
  end
end

-- How many calls of a claim may start now, as far as its trunk goes.
local function starts_left(claim)
  local by_rate = claim.most == 0 and math.huge or the(Rates).left(claim)
  local by_room = claim.calls == 0 and math.huge or the(Occupancy).left(claim)
  return math.min(by_rate, by_room)
end

-- From when on its trunk lets the next call start, at the latest; only where none may start now.
local function due_at(claim)
  local by_rate = claim.most > 0 and the(Rates).left(claim) == 0 and the(Rates).due(claim) or 0
  local by_room = claim.calls > 0 and the(Occupancy).left(claim) == 0 and the(Occupancy).due(claim) or 0
  return math.max(by_rate, by_room)
end

-- Up to which usage a claim may go, while `in_use` are in use and no slot is given yet. A worker that has its
-- calls not listed doesn't know for how long own calls can go on, and counts all calls together.
local function ceiling_of(claim, in_use)
  local apart = claim.reserved > 0 and listed_for
  return claim.careful + (apart and the(Occupancy).above(claim, in_use) or 0)
end
