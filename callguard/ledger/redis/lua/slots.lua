-- Who gets the slots that are free. The ceilings come from the workers, each for its own lanes;
-- here they are only compared with the count.
--
-- Reads  claims, queue, called; the claims that are said; the snapshot's age, and whether it is spent
-- Sets   claims, queue, called, dialling, permits; state.order and look_at; tells workers to come
--
-- Lower priorities go first, and among equals each claim gets one slot in its order, and then another.
-- Slots of others are set aside, and their workers called to come for them; the next order of a claim
-- is settled when it is called, so that one that comes late has lost nothing. One that doesn't come is
-- passed over after PATIENCE.
--
-- Looked at are a worker's own claims, those that were called and may come still, and of the queue
-- the first of each priority and ceiling, as many as there may be slots for. So what an exchange costs
-- goes by the slots that are free, and not by who waits.
--
-- A claim whose trunk is not due is passed over, and holds up nobody. When the first of those trunks is
-- due, one worker is to ask again: the one in whose exchange that came up.

local function may_admit()
  return state.began > state.spent_until and now <= state.began + MAX_AGE
end

local function next_order()
  set('order', state.order + 1)
  return state.order
end

-- This worker's claims as they are now, in the order that they had, if there were any.
local function own_claims(any_stored)
  local keys = {}
  for i, claim in ipairs(said.claims) do
    keys[i] = me .. '/' .. (claim.trunk or '-') .. '/' .. claim.lane
  end
  local found, stored = {}, any_stored and stored_claims(keys) or {}
  for i, claim in ipairs(said.claims) do
    local before = stored[i]
    found[i] = { key = keys[i], lane = claim.lane, index = i - 1, mine = true,
      priority = claim.priority, ceiling = claim.ceiling, count = claim.count,
      order = before and before.order or next_order(),
      next_order = before and before.next_order or 0,
      called_at = 0, since = now - claim.waited, served = 0, before = before,
      trunk = claim.trunk or '-', most = claim.most or 0, span = claim.span or 0 }
  end
  return found
end

-- Whether anybody can go: somebody whom this exchange has made room for, or whom one is in the way of
-- that didn't come, or this worker. Otherwise nobody can, or they were called before.
local function anybody_can_go(own, in_use)
  local one_can = room_made or state.look_at > 0 and now >= state.look_at
  for _, claim in ipairs(own) do
    one_can = one_can or in_use < claim.ceiling and (starts_left(claim) > 0
      or state.look_at == 0 or state.look_at > rates().due(claim))
  end
  return one_can and may_admit()
end

-- Take the own claims out that can go, to be put in again as they are then, and what has changed.
local function step_out(own, can_go)
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
local function step_in(own)
  local entries, texts, ended = {}, {}, {}
  for _, claim in ipairs(own) do
    claim.count = claim.count - (claim.granted or 0)
    if claim.count > 0 then
      entries[#entries + 1] = 0
      entries[#entries + 1] = entry_of(claim)
      texts[#texts + 1] = claim.key
      texts[#texts + 1] = text_of(claim)
    elseif claim.before then
      ended[#ended + 1] = claim.key
    end
  end
  written[queue] = in_chunks('ZADD', queue, entries) > 0 or written[queue]
  grow('claims', in_chunks('HSET', claims, texts))
  end_claims(ended)
end

-- Claims of others that were called, and may come still.
local function expected()
  local found = {}
  for _, claim in ipairs(stored_claims(redis.call('ZRANGEBYSCORE', called, now - PATIENCE, '+inf'))) do
    found[#found + 1] = claim or nil
  end
  return found
end

-- The entries in the queue from one text to before another; at most so many.
local function entries_between(from, to, most)
  return redis.call('ZRANGEBYLEX', queue, '[' .. from, '(' .. to, 'LIMIT', 0, most)
end

-- The lowest priority in the queue, or the lowest after one; nil if there is none.
local function next_priority(after)
  local first = entries_between(after and sortable(after) .. '!' or '', '~', 1)[1]
  return first and parts_of(first).priority
end

-- Put the claims of these entries into a group. What stands in the queue for no claim is in the way.
local function join_group(group, entries)
  local keys, stale = {}, {}
  for i, entry in ipairs(entries) do
    local _, key = parts_of(entry)
    keys[i] = key
  end
  for i, claim in ipairs(stored_claims(keys)) do
    if claim and claim.called_at == 0 and entry_of(claim) == entries[i] then
      group[#group + 1] = claim
    else
      stale[#stale + 1] = entries[i]
    end
  end
  in_chunks('ZREM', queue, stale)
end

-- The trunks, each by one of its claims, on which somebody may have to wait for the rate.
local waiting_on = {}

-- Put the claims into a group that come first in the queue, of one priority. Those of one ceiling can
-- get as many slots as there are below it, and on one trunk as may start there.
local function join_first(group, priority, in_use)
  local from = sortable(priority) .. ' ' .. sortable(in_use + 1)
  local beyond = sortable(priority) .. '!'
  local entries = entries_between(from, beyond, 1)
  while #entries > 0 do
    local first = parts_of(entries[1])
    local class, left = class_of(first), starts_left(first)
    local most = math.min(first.ceiling - in_use, left)
    if most > 1 then
      entries = entries_between(class, class .. '!', most)
    end
    if most > 0 then
      join_group(group, entries)
    end
    if left <= #entries then
      waiting_on[first.trunk] = first
    end
    entries = entries_between(class .. '!', beyond, 1)
  end
end

-- When the first trunk is due on which somebody waits for that; infinity for never.
local function next_due()
  local due = math.huge
  for _, claim in pairs(waiting_on) do
    if starts_left(claim) == 0 then
      due = math.min(due, rates().due(claim))
    end
  end
  return due
end

local function by_priority(one, other)
  return one.priority < other.priority
end

local function in_order(one, other)
  return one.order < other.order
end

-- Calls `serve` with the claims of each priority that may be served, in their order, and with the
-- slots in use; that returns how many are in use then.
local function each_group(own, others_wait, in_use, serve)
  local known = others_wait and expected() or {}
  for _, claim in ipairs(own) do
    known[#known + 1] = claim
  end
  table.sort(known, by_priority)
  local i, queued = 1, others_wait and next_priority() or nil
  while known[i] or queued do
    local group = {}
    local priority = math.min(queued or math.huge, known[i] and known[i].priority or math.huge)
    while known[i] and known[i].priority == priority do
      group[#group + 1] = known[i]
      i = i + 1
    end
    if queued == priority then
      join_first(group, priority, in_use)
      queued = next_priority(priority)
    end
    table.sort(group, in_order)
    in_use = serve(group, in_use)
  end
end

-- Give this worker what is its own, as pairs of the claim's index and the usage, and set aside what
-- others will come for. Where its ceilings are of another snapshot than the latest, what is its own
-- is set aside too.
local function share(own, others_wait, in_use, current)
  local grants, set_aside, taken, texts = {}, {}, {}, {}
  local function give(claim, usage)
    local start = '-'
    if claim.most > 0 then
      rates().take(claim)
    end
    if not claim.mine then
      set_aside[claim.key] = claim
    elseif current then
      claim.order = claim.next_order > 0 and claim.next_order or next_order()
      claim.next_order, claim.granted = 0, (claim.granted or 0) + 1
      grants[#grants + 1] = { claim.index, usage }
      local id = id_of(said.next + #grants - 1)
      taken[#taken + 1] = id
      if claim.most > 0 then
        start = rates().start(claim, id)
      end
      texts[#texts + 1] = id
      texts[#texts + 1] = now .. ' ' .. start .. ' ' .. claim.lane
    end
    if not claim.mine and claim.next_order == 0 then
      claim.next_order = next_order()
    end
  end
  each_group(own, others_wait, in_use, function(group, usage)
    local served = true
    while served do
      served = false
      for _, claim in ipairs(group) do
        local wants = claim.served < claim.count and usage < claim.ceiling
        if wants and starts_left(claim) > 0 then
          usage, served, claim.served = usage + 1, true, claim.served + 1
          give(claim, usage)
        elseif wants then
          waiting_on[claim.trunk] = claim
        end
      end
    end
    return usage
  end)
  written[permits] = state.dialling == 0 and #taken > 0 or written[permits]
  grow('dialling', in_chunks('ZADD', dialling, scored(0, taken)))
  in_chunks('HSET', permits, texts)
  if the_rates then
    the_rates.settle()
  end
  return grants, set_aside
end

-- Tell those for whom a slot is set aside to come. Returns in how many ms they will have come, or
-- be passed over by whoever speaks then, or a trunk is due; nil if there is nobody, or where somebody
-- else has been told already when the trunk is due.
local function call_up(set_aside)
  local first
  local entries, times, texts = {}, {}, {}
  for key, claim in pairs(set_aside) do
    if claim.called_at == 0 then
      entries[#entries + 1] = entry_of(claim)
      claim.called_at = now
      times[#times + 1] = now
      times[#times + 1] = key
      texts[#texts + 1] = key
      texts[#texts + 1] = text_of(claim)
      publish(string.match(key, '^[^/]*'), { come = true })
    end
    first = math.min(first or claim.called_at, claim.called_at)
  end
  in_chunks('HSET', claims, texts)
  in_chunks('ZREM', queue, entries)
  written[called] = in_chunks('ZADD', called, times) > 0 or written[called]
  local at = math.min(first and first + PATIENCE + 1 or math.huge, next_due())
  if at == math.huge then
    set('look_at', 0)
    return nil
  end
  local is_new = first or at ~= state.look_at
  set('look_at', at)
  return is_new and at - now or nil
end

-- For each own claim whose trunk is not due, its index, and in how many ms that is.
local function dues(own)
  local found = {}
  for _, claim in ipairs(own) do
    if claim.most > 0 and starts_left(claim) == 0 then
      found[#found + 1] = { claim.index, rates().due(claim) - now }
    end
  end
  return found
end

-- Give slots to this worker, and call others. Returns whether others wait, the grants, in how many ms
-- to ask again, and what is due when.
local function give_slots(in_use)
  mend_claims()
  local others = state.claims
  local own = own_claims(others > 0)
  for _, claim in ipairs(own) do
    others = others - (claim.before and 1 or 0)
  end
  local can_go = anybody_can_go(own, in_use)
  step_out(own, can_go)
  local grants, again
  if can_go then
    -- The ceilings are of the snapshot that the worker brings, or else of the one that it knows.
    local began = said.taken and said.taken.began or said.knows
    local current = said.epoch == state.epoch and began == state.began and knows_halts()
    local set_aside
    grants, set_aside = share(own, others > 0, in_use, current)
    again = call_up(set_aside)
    if not current then
      again = #own > 0 and 0 or nil
    end
  end
  step_in(own)
  return others > 0, grants, again, dues(own)
end
