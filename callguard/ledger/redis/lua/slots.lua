-- Grants the free slots. The ceilings come from the workers, each for its own lanes; here they are
-- only compared with the usage.
--
-- Reads  claims, queue, called; the claims that are said; the snapshot's age, and whether it is spent
-- Sets   claims, queue, called, dialling, permits; state.order and look_at; tells workers to come
--
-- Lower priorities go first, and among equals each claim gets one slot in its order, and then another:
-- they take turns, whichever lane and worker they are of, because of a claim's callers only the first is
-- known since when it waits. In one process equals go by arrival instead; see callguard/gate/queues.py.
-- Slots of others are set aside, and their workers called to come for them; the next order of a claim
-- is settled when it is called, so that a worker that comes late has lost nothing. A worker that doesn't
-- come is passed over after `patience`. Once as many slots are set aside as one exchange grants, every
-- claim has had its turn and no other turn begins; the next exchanges go on from there.
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
  local current -- whether its ceilings are of the latest snapshot
  local grants, set_aside = {}, {} -- what this worker gets, and the claims of others that are to get more
  local aside, calls_new = 0, false -- slots that are set aside, and whether any is for a claim not called yet
  local members, texts = {}, {} -- what is written of the permits that are granted
  -- The trunks, each by one of its claims, on which somebody may have to wait for that.
  local waiting_on = {}

  local function next_order()
    local order = state.order + 1
    set('order', order)
    return order
  end

  -- This worker's claims as they are now, in the order that they had, if there were any.
  local function take_claims(in_use)
    local keys = {}
    for i, claim in ipairs(said.claims) do
      keys[i] = me .. '/' .. (claim.trunk or '-') .. '/' .. claim.lane
    end
    local stored = state.claims > 0 and the(Claims).stored(keys) or {}
    for i, claim in ipairs(said.claims) do
      local before = stored[i]
      own[i] = { key = keys[i], lane = claim.lane, index = i - 1,
        priority = claim.priority, careful = claim.ceiling, count = claim.count,
        order = before and before.order or next_order(),
        next_order = before and before.next_order or 0,
        called_at = 0, since = now - claim.waited, served = 0, granted = 0, before = before,
        trunk = claim.trunk or '-', most = claim.most or 0, span = claim.span or 0,
        calls = claim.calls or 0, longest = claim.longest or listed_for or 0,
        reserved = claim.reserved or 0, reserve = claim.reserve or 0 }
      own[i].ceiling = ceiling_of(own[i], in_use)
    end
  end

  -- Whether anybody can go: somebody whom this exchange has made room for, or whom a worker is in the
  -- way of that didn't come, or this worker. Otherwise nobody can, or they were called before.
  local function anybody_can_go(in_use)
    local one_can = room_made or state.look_at > 0 and now >= state.look_at
    for _, claim in ipairs(own) do
      one_can = one_can or in_use < claim.ceiling and (starts_left(claim) > 0
        or due_at(claim) < (state.look_at > 0 and state.look_at or NEVER))
    end
    return one_can and state.began > state.spent_until and now <= state.began + MAX_AGE
  end

  -- Give a slot to a claim, which brings the usage to `usage`; a slot for another worker, whose claims
  -- have no index here, is set aside.
  -- If this worker's ceilings are of another snapshot than the latest, its own claims get nothing yet.
  local function give(claim, usage)
    if claim.most > 0 then
      the(Rates).take(claim)
    end
    if claim.calls > 0 then
      the(Occupancy).take(claim)
    end
    if not claim.index then
      set_aside[claim.key] = claim
      aside, calls_new = aside + 1, calls_new or claim.called_at == 0
      claim.next_order = claim.next_order > 0 and claim.next_order or next_order()
    elseif current then
      local id = id_of(said.next + #grants)
      local start = claim.most > 0 and the(Rates).start(claim, id) or '-'
      if claim.calls > 0 or listed_for then
        the(Occupancy).start(claim, id)
      end
      claim.order = claim.next_order > 0 and claim.next_order or next_order()
      claim.next_order, claim.granted = 0, claim.granted + 1
      grants[#grants + 1] = { claim.index, usage }
      members[2 * #grants - 1], members[2 * #grants] = 0, id
      texts[2 * #grants - 1], texts[2 * #grants] = id, now .. ' ' .. start .. ' ' .. claim.lane
    end
  end

  -- Give slots to the claims of a group, in turn. Returns how many are in use then.
  local function serve(group, usage)
    local served = true
    while served and aside < AT_ONCE do
      served = false
      for _, claim in ipairs(group) do
        local wants = claim.served < claim.count and usage < claim.ceiling and #grants < AT_ONCE
        if wants and starts_left(claim) > 0 then
          usage, served, claim.served = usage + 1, true, claim.served + 1
          give(claim, usage)
        elseif wants then
          waiting_on[claim.trunk] = claim
        end
      end
    end
    return usage
  end

  -- Give this worker what is its own, and set aside what others will come for: to the claims of each
  -- priority, in their order.
  local function share(others_wait, in_use)
    local usage = in_use
    local known = others_wait and the(Claims).expected_and(own, in_use) or own
    local i, queued = 1, others_wait and the(Claims).next_priority() or nil
    if known[2] then
      table.sort(known, function(one, other) return one.priority < other.priority end)
    end
    while known[i] or queued do
      local group = {}
      local priority = math.min(queued or math.huge, known[i] and known[i].priority or math.huge)
      while known[i] and known[i].priority == priority do
        group[#group + 1] = known[i]
        i = i + 1
      end
      if queued == priority then
        the(Claims).join_first(group, priority, usage, in_use, waiting_on)
        queued = the(Claims).next_priority(priority)
      end
      if group[2] then
        table.sort(group, function(one, other) return one.order < other.order end)
      end
      usage = serve(group, usage)
    end
    if #grants > 0 then
      written[permits] = state.dialling == 0 or written[permits]
      grow('dialling', in_chunks('ZADD', dialling, members))
      if not listed_for then
        note_unlisted()
      end
      in_chunks('HSET', permits, texts)
    end
    if made[Rates] then
      the(Rates).settle()
    end
    if made[Occupancy] then
      the(Calls).forget(the(Occupancy).settle(), true)
    end
  end

  -- Tell those for whom a slot is set aside to come. Returns in how many ms they will have come, or
  -- be passed over by whoever speaks then, or a trunk is due; nil if there is nobody, or where somebody
  -- else has been told already when the trunk is due.
  local function call_up()
    local first = next(set_aside) and the(Claims).call(set_aside) or nil
    local at = first and first + the(Few).patience + 1 or math.huge
    for _, claim in pairs(waiting_on) do
      if starts_left(claim) == 0 then
        at = math.min(at, due_at(claim))
      end
    end
    if #grants == AT_ONCE or aside >= AT_ONCE and (calls_new or #grants > 0) then
      at = now -- there may be more
    end
    at = at < NEVER and at or 0
    local is_new = first or at ~= state.look_at
    if at ~= state.look_at then
      set('look_at', at)
    end
    return at > 0 and is_new and at - now or nil
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

  -- For each own claim whose trunk is not due by its rate, its index, and in how many ms that is; nil for
  -- none.
  local function dues()
    local late
    for _, claim in ipairs(own) do
      if claim.most > 0 and the(Rates).left(claim) == 0 then
        late = late or {}
        late[#late + 1] = { claim.index, the(Rates).due(claim) - now }
      end
    end
    return late
  end

  -- Give slots to this worker, and call others. Returns whether others wait, the grants as pairs of the
  -- claim's index and the usage, in how many ms to ask again, and what is due when; nil for nothing.
  function part.give(in_use)
    local others = state.claims
    take_claims(in_use)
    for _, claim in ipairs(own) do
      others = others - (claim.before and 1 or 0)
    end
    local can_go = anybody_can_go(in_use)
    if state.claims > 0 then
      the(Claims).step_out(own, can_go)
    end
    local again
    if can_go then
      -- The ceilings are of the snapshot that the worker brings, or else of the snapshot that it knows.
      local began = said.taken and said.taken.began or said.knows
      current = said.epoch == state.epoch and began == state.began and knows_pauses()
      share(others > 0, in_use)
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
