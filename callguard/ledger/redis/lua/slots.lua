-- Who gets the slots that are free. The ceilings come from the workers, each for its own lanes;
-- here they are only compared with the count.
--
-- Reads  claims, queue, called; the claims that are said; the snapshot's age, and whether it is spent
-- Sets   claims, queue, called, dialling, permits; state.order and look_at; tells workers to come
--
-- Lower priorities go first, and among equals each claim gets one slot in its order, and then another.
-- Slots of others are set aside, and their workers called to come for them; the next order of a claim
-- is settled when it is called, so that a worker that comes late has lost nothing. A worker that doesn't
-- come is passed over after PATIENCE.
--
-- Looked at are a worker's own claims, those that were called and may come still, and of the queue
-- the first of each priority and ceiling, as many as there may be slots for. So what an exchange costs
-- goes by the slots that are free, and not by who waits.
--
-- A claim whose trunk is not due is passed over, and holds up nobody. When the first of those trunks is
-- due, one worker is to ask again: the one in whose exchange that came up.

local function Slots()
  local part = {}
  local own = {} -- this worker's claims
  local grants, set_aside = {}, {} -- what this worker gets, and the claims of others that are to get more
  local members, texts = {}, {} -- what is written of the permits that are granted
  -- The trunks, each by one of its claims, on which somebody may have to wait for the rate.
  local waiting_on = {}

  local function next_order()
    local order = state.order + 1
    set('order', order)
    return order
  end

  -- This worker's claims as they are now, in the order that they had, if there were any.
  local function take_claims()
    local keys = {}
    for i, claim in ipairs(said.claims) do
      keys[i] = me .. '/' .. (claim.trunk or '-') .. '/' .. claim.lane
    end
    local stored = state.claims > 0 and the(Claims).stored(keys) or {}
    for i, claim in ipairs(said.claims) do
      local before = stored[i]
      own[i] = { key = keys[i], lane = claim.lane, index = i - 1, mine = true,
        priority = claim.priority, ceiling = claim.ceiling, count = claim.count,
        order = before and before.order or next_order(),
        next_order = before and before.next_order or 0,
        called_at = 0, since = now - claim.waited, served = 0, granted = 0, before = before,
        trunk = claim.trunk or '-', most = claim.most or 0, span = claim.span or 0 }
    end
  end

  -- Whether anybody can go: somebody whom this exchange has made room for, or whom a worker is in the
  -- way of that didn't come, or this worker. Otherwise nobody can, or they were called before.
  local function anybody_can_go(in_use)
    local one_can = room_made or state.look_at > 0 and now >= state.look_at
    for _, claim in ipairs(own) do
      one_can = one_can or in_use < claim.ceiling and (starts_left(claim) > 0
        or state.look_at == 0 or state.look_at > the(Rates).due(claim))
    end
    return one_can and state.began > state.spent_until and now <= state.began + MAX_AGE
  end

  -- Take the own claims out that can go, to be put in again as they are then, and what has changed.
  local function step_out(can_go)
    local entry_of = the(Claims).entry_of
    local entries, keys = {}, {}
    for _, claim in ipairs(own) do
      local before = claim.before
      if before and before.called_at > 0 then
        keys[#keys + 1] = claim.key
      elseif before and (can_go or claim.count == 0 or entry_of(before) ~= entry_of(claim)) then
        entries[#entries + 1] = entry_of(before)
      end
    end
    in_chunks('ZREM', queue, entries)
    in_chunks('ZREM', called, keys)
  end

  -- Put in what is left of the own claims.
  local function step_in()
    local left, ended = {}, {}
    for _, claim in ipairs(own) do
      claim.count = claim.count - claim.granted
      if claim.count > 0 then
        left[#left + 1] = claim
      elseif claim.before then
        ended[#ended + 1] = claim.key
      end
    end
    if #left + #ended > 0 then
      the(Claims).put(left)
      the(Claims).finish(ended)
    end
  end

  -- Put the claims into a group that come first in the queue, of one priority. Those of one ceiling can
  -- get as many slots as there are below it, and on one trunk as may start there.
  local function join_first(group, priority, in_use)
    local the_claims = the(Claims)
    local from = sortable(priority) .. ' ' .. sortable(in_use + 1)
    local beyond = sortable(priority) .. '!'
    local entries = the_claims.entries_between(from, beyond, 1)
    while #entries > 0 do
      local first = the_claims.parts_of(entries[1])
      local class, left = the_claims.class_of(first), starts_left(first)
      local most = math.min(first.ceiling - in_use, left)
      if most > 1 then
        entries = the_claims.entries_between(class, class .. '!', most)
      end
      if most > 0 then
        the_claims.join_group(group, entries)
      end
      if left <= #entries then
        waiting_on[first.trunk] = first
      end
      entries = the_claims.entries_between(class .. '!', beyond, 1)
    end
  end

  -- Give a slot to a claim of this worker, which brings the usage to `usage`.
  local function grant(claim, usage)
    local id, start = id_of(said.next + #grants), '-'
    claim.order = claim.next_order > 0 and claim.next_order or next_order()
    claim.next_order, claim.granted = 0, claim.granted + 1
    grants[#grants + 1] = { claim.index, usage }
    if claim.most > 0 then
      start = the(Rates).start(claim, id)
    end
    members[#members + 1] = 0
    members[#members + 1] = id
    texts[#texts + 1] = id
    texts[#texts + 1] = now .. ' ' .. start .. ' ' .. claim.lane
  end

  -- Where this worker's ceilings are of another snapshot than the latest, what is its own is set aside
  -- too, so that it is not for others.
  local function give(claim, usage, current)
    if claim.most > 0 then
      the(Rates).take(claim)
    end
    if not claim.mine then
      set_aside[claim.key] = claim
      claim.next_order = claim.next_order > 0 and claim.next_order or next_order()
    elseif current then
      grant(claim, usage)
    end
  end

  -- Give slots to the claims of a group, in turn. Returns how many are in use then.
  local function serve(group, usage, current)
    local served = true
    while served do
      served = false
      for _, claim in ipairs(group) do
        local wants = claim.served < claim.count and usage < claim.ceiling
        if wants and starts_left(claim) > 0 then
          usage, served, claim.served = usage + 1, true, claim.served + 1
          give(claim, usage, current)
        elseif wants then
          waiting_on[claim.trunk] = claim
        end
      end
    end
    return usage
  end

  -- Give this worker what is its own, and set aside what others will come for: to the claims of each
  -- priority, in their order.
  local function share(others_wait, usage, current)
    local known, i = own, 1
    local queued = others_wait and the(Claims).next_priority() or nil
    if others_wait then
      known = the(Claims).expected()
      for _, claim in ipairs(own) do
        known[#known + 1] = claim
      end
    end
    table.sort(known, function(one, other) return one.priority < other.priority end)
    while known[i] or queued do
      local group = {}
      local priority = math.min(queued or math.huge, known[i] and known[i].priority or math.huge)
      while known[i] and known[i].priority == priority do
        group[#group + 1] = known[i]
        i = i + 1
      end
      if queued == priority then
        join_first(group, priority, usage)
        queued = the(Claims).next_priority(priority)
      end
      table.sort(group, function(one, other) return one.order < other.order end)
      usage = serve(group, usage, current)
    end
    written[permits] = state.dialling == 0 and #members > 0 or written[permits]
    grow('dialling', in_chunks('ZADD', dialling, members))
    in_chunks('HSET', permits, texts)
    if made[Rates] then
      the(Rates).settle()
    end
  end

  -- When the first trunk is due on which somebody waits for that; infinity for never.
  local function next_due()
    local due = math.huge
    for _, claim in pairs(waiting_on) do
      if starts_left(claim) == 0 then
        due = math.min(due, the(Rates).due(claim))
      end
    end
    return due
  end

  -- Tell those for whom a slot is set aside to come. Returns in how many ms they will have come, or
  -- be passed over by whoever speaks then, or a trunk is due; nil if there is nobody, or where somebody
  -- else has been told already when the trunk is due.
  local function call_up()
    local first = next(set_aside) and the(Claims).call(set_aside) or nil
    local at = math.min(first and first + PATIENCE + 1 or math.huge, next_due())
    if at == math.huge then
      at = 0
    end
    local is_new = first or at ~= state.look_at
    if is_new then
      set('look_at', at)
    end
    return at > 0 and is_new and at - now or nil
  end

  -- For each own claim whose trunk is not due, its index, and in how many ms that is; nil for none.
  local function dues()
    local late = {}
    for _, claim in ipairs(own) do
      if claim.most > 0 and starts_left(claim) == 0 then
        late[#late + 1] = { claim.index, the(Rates).due(claim) - now }
      end
    end
    return #late > 0 and late or nil
  end

  -- Give slots to this worker, and call others. Returns whether others wait, the grants as pairs of the
  -- claim's index and the usage, in how many ms to ask again, and what is due when; nil for nothing.
  function part.give(in_use)
    local others = state.claims
    take_claims()
    for _, claim in ipairs(own) do
      others = others - (claim.before and 1 or 0)
    end
    local can_go = anybody_can_go(in_use)
    if state.claims > 0 then
      step_out(can_go)
    end
    local again
    if can_go then
      -- The ceilings are of the snapshot that the worker brings, or else of the one that it knows.
      local began = said.taken and said.taken.began or said.knows
      local current = said.epoch == state.epoch and began == state.began and knows_halts()
      share(others > 0, in_use, current)
      again = call_up()
      if not current then
        again = #own > 0 and 0 or nil
      end
    end
    step_in()
    return others > 0, #grants > 0 and grants or nil, again, dues()
  end

  return part
end
