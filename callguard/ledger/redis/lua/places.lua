-- Who gets the slots that are free. The ceilings come from the workers, each for its own lanes;
-- here they are only compared with the count.
--
-- Higher priorities first, and among equals one place each in turn. Places of others are set aside,
-- and they are called to come for them; the order is settled when a lane is called, so that one
-- that comes late has lost nothing. One that doesn't come is passed over.

local PATIENCE = 250 -- for a worker that was called to come and take its slot

local function may_admit()
  return state.began > state.spent_until and now <= state.began + MAX_AGE
end

local function next_turn()
  set('turn', state.turn + 1)
  return state.turn
end

local ROW = '(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)'

local function row_of(key, text)
  local priority, ceiling, count, turn, following, called, since = string.match(text, ROW)
  return { key = key, priority = tonumber(priority), ceiling = tonumber(ceiling),
    count = tonumber(count), turn = tonumber(turn), following = tonumber(following),
    called = tonumber(called), since = tonumber(since), served = 0 }
end

-- This worker's claims as they are now, in the slots in the queue that they had.
local function own_rows(stored)
  local found = {}
  for index, claim in ipairs(said.claims) do
    local key = me .. '/' .. claim.lane
    local before = stored[key] and row_of(key, stored[key])
    found[index] = { key = key, lane = claim.lane, index = index - 1, mine = true,
      priority = claim.priority, ceiling = claim.ceiling, count = claim.count,
      turn = before and before.turn or next_turn(), following = before and before.following or 0,
      called = 0, since = now - claim.waited, stored = before, served = 0 }
    stored[key] = nil
  end
  return found
end

-- The claims of all.
local function rows()
  local stored, flat = {}, redis.call('HGETALL', claims)
  for i = 1, #flat, 2 do
    stored[flat[i]] = flat[i + 1]
  end
  local found = own_rows(stored)
  for key, text in pairs(stored) do
    found[#found + 1] = row_of(key, text)
  end
  return found
end

-- This worker's alone, where nothing has made room and it can't go: so nobody else can.
local function rows_that_stay(in_use)
  if room_made then
    return nil
  end
  local stored = {}
  for _, claim in ipairs(said.claims) do
    if in_use < claim.ceiling then
      return nil
    end
    local key = me .. '/' .. claim.lane
    stored[key] = redis.call('HGET', claims, key) or nil
  end
  return own_rows(stored)
end

local function in_turn(one, other)
  if one.priority ~= other.priority then
    return one.priority < other.priority
  end
  return one.turn < other.turn
end

-- Those of one priority together, the one that has waited longest for its turn first.
local function groups(all)
  if #all > 1 then
    table.sort(all, in_turn)
  end
  local found = {}
  for _, row in ipairs(all) do
    local group = found[#found]
    if not group or group[1].priority ~= row.priority then
      group = {}
      found[#found + 1] = group
    end
    group[#group + 1] = row
  end
  return found
end

local function gone(row)
  return row.called > 0 and now > row.called + PATIENCE
end

-- Serve one place to each row that can have one, in turn; whether any could.
local function serve(group, in_use, to)
  local served = false
  for _, row in ipairs(group) do
    if row.served < row.count and in_use < row.ceiling and not gone(row) then
      in_use, served, row.served = in_use + 1, true, row.served + 1
      to(row, in_use)
    end
  end
  return served, in_use
end

-- Give this worker what is its own, as pairs of the claim's index and the usage, and set aside what
-- others will come for. Where its ceilings are of another reading than the latest, what is its own
-- is set aside too.
local function share(all, in_use, current)
  local grants, set_aside, taken = {}, {}, {}
  local function to(row, usage)
    if not row.mine then
      set_aside[row.key] = row
      if row.following == 0 then
        row.following, row.new = next_turn(), true
      end
    elseif current then
      row.turn = row.following > 0 and row.following or next_turn()
      row.following, row.granted = 0, (row.granted or 0) + 1
      grants[#grants + 1] = { row.index, usage }
      taken[#taken + 1] = id_of(said.next + #grants - 1)
      taken[#taken + 1] = now .. ' ' .. row.lane
    end
  end
  for _, group in ipairs(groups(all)) do
    local more = true
    while more do
      more, in_use = serve(group, in_use, to)
    end
  end
  grow('permits', in_chunks('HSET', permits, taken))
  return grants, set_aside
end

-- Tell those for whom a slot is set aside to come. Returns in how many ms they will have come, or
-- be passed over; nil if there is nobody.
local function call_up(set_aside)
  local first
  for key, row in pairs(set_aside) do
    if row.called == 0 then
      row.called, row.new = now, true
      publish(string.match(key, '^[^/]*'), { come = true })
    end
    first = math.min(first or row.called, row.called)
  end
  return first and first + PATIENCE + 1 - now
end

-- Write down the claims that are left.
local function keep(all)
  local stay, leave = {}, {}
  for _, row in ipairs(all) do
    local count = row.count - (row.granted or 0)
    if count <= 0 and row.stored then
      leave[#leave + 1] = row.key
    elseif count > 0 and (row.mine or row.new) then
      stay[#stay + 1] = row.key
      stay[#stay + 1] = string.format('%d %d %d %d %d %d %d', row.priority, row.ceiling, count,
        row.turn, row.following, row.called, row.since)
    end
  end
  in_chunks('HSET', claims, stay)
  if #stay > 0 then
    written[claims] = true
  end
  in_chunks('HDEL', claims, leave)
end

-- Give places to this worker, and call others. Returns whether others wait, the grants, and in how
-- many ms to ask again.
local function give_places(in_use)
  local staying = rows_that_stay(in_use)
  local all = staying or rows()
  if staying or #all == 0 or not may_admit() then
    keep(all)
    local own = 0
    for _, row in ipairs(all) do
      own = own + (row.mine and row.count > 0 and 1 or 0)
    end
    return redis.call('HLEN', claims) > own
  end
  local current = said.knows == state.began
  local grants, set_aside = share(all, in_use, current)
  local patience = call_up(set_aside)
  keep(all)
  return #all > #said.claims, grants, current and patience or not current and 0 or nil
end
