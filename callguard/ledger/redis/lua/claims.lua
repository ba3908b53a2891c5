-- How claims stand on the server. A claim is what one worker wants for its callers on one lane and
-- trunk.
--
-- Reads  claims, queue, called
-- Sets   claims, queue, called; tells workers to come

-- The key says whose claim it is; what it wants stands in `claims`, and where it stands in one of two
-- sets: in `queue`, in order, until its worker is called, and in `called` from then on.
--
-- Where inbound calls are counted apart, a ceiling changes with every own call that ends. So a claim has the
-- one that holds if all calls count together (`careful`), and what others' calls may add to it, and each
-- exchange judges anew. In the queue it stands by the highest ceiling that it can have then.
local CLAIM = string.rep('(%S+) ', 13) .. '(%S+)'
local ENTRY = '^(%d+) (%d+) (%S+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) %d+ (.*)$'

local function Claims()
  local part = {}

  local function claim_of(key, text)
    local priority, careful, count, order, next_order, called_at, since, trunk, most, span, at_once, longest,
      reserved, reserve = string.match(text, CLAIM)
    return { key = key, priority = tonumber(priority), careful = tonumber(careful),
      count = tonumber(count), order = tonumber(order), next_order = tonumber(next_order),
      called_at = tonumber(called_at), since = tonumber(since), served = 0,
      trunk = trunk, most = tonumber(most), span = tonumber(span), calls = tonumber(at_once),
      longest = tonumber(longest), reserved = tonumber(reserved), reserve = tonumber(reserve) }
  end

  local function text_of(claim)
    return string.format('%d %d %d %d %d %d %d %s %d %d %d %d %d %d', claim.priority, claim.careful,
      claim.count, claim.order, claim.next_order, claim.called_at, claim.since, claim.trunk, claim.most,
      claim.span, claim.calls, claim.longest, claim.reserved, claim.reserve)
  end

  -- The claims of one priority, ceiling and trunk stand together in the queue, in their order.
  local function class_of(claim)
    return string.format('%s %s %s %d %d %d %d %d %d', sortable(claim.priority),
      sortable(claim.careful + claim.reserved), claim.trunk, claim.most, claim.span, claim.calls,
      claim.longest, claim.reserved, claim.reserve)
  end

  local function entry_of(claim)
    return class_of(claim) .. ' ' .. sortable(claim.order) .. ' ' .. claim.key
  end

  -- Parse an entry of the queue: its class, and the key of its claim.
  local function parts_of(entry)
    local priority, highest, trunk, most, span, at_once, longest, reserved, reserve, key =
      string.match(entry, ENTRY)
    return { priority = priority - 1e12, careful = highest - 1e12 - reserved, trunk = trunk,
      most = tonumber(most), span = tonumber(span), calls = tonumber(at_once), longest = tonumber(longest),
      reserved = tonumber(reserved), reserve = tonumber(reserve) }, key
  end

  -- The claims of these keys, in their order; false for a key that has none.
  function part.stored(keys)
    local claims_of = {}
    for from = 1, #keys, 1000 do
      local to = math.min(from + 999, #keys)
      for i, text in ipairs(redis.call('HMGET', claims, unpack(keys, from, to))) do
        local key = keys[from + i - 1]
        claims_of[#claims_of + 1] = text and claim_of(key, text)
      end
    end
    return claims_of
  end

  -- Claims that wait for nothing any more. With the last of them goes whatever is left of claims.
  function part.finish(keys)
    grow('claims', -in_chunks('HDEL', claims, keys))
    if #keys > 0 and state.claims == 0 then
      redis.call('DEL', queue, called)
    end
  end

  -- After claims were lost, all workers claim again, which takes a moment.
  function part.begin_anew()
    redis.call('DEL', claims, queue, called)
    set('claims', 0)
  end

  -- A worker that is gone, or has come anew, waits for nothing.
  function part.forget(worker)
    local keys, entries, flat = {}, {}, redis.call('HGETALL', claims)
    for i = 1, #flat, 2 do
      if string.sub(flat[i], 1, #worker + 1) == worker .. '/' then
        keys[#keys + 1] = flat[i]
        entries[#entries + 1] = entry_of(claim_of(flat[i], flat[i + 1]))
      end
    end
    in_chunks('ZREM', queue, entries)
    in_chunks('ZREM', called, keys)
    part.finish(keys)
  end

  -- Claims of others that were called, and may come still, as they may go now; and these own ones.
  function part.expected_and(own, in_use)
    local coming = { unpack(own) }
    for _, claim in ipairs(part.stored(redis.call('ZRANGEBYSCORE', called, now - the(Few).patience, '+inf'))) do
      if claim then
        claim.ceiling = ceiling_of(claim, in_use)
        coming[#coming + 1] = claim
      end
    end
    return coming
  end

  -- The entries in the queue from one text to before another; at most so many.
  local function entries_between(from, to, most)
    return redis.call('ZRANGEBYLEX', queue, '[' .. from, '(' .. to, 'LIMIT', 0, most)
  end

  -- The lowest priority in the queue, or the lowest after one; nil if there is none.
  function part.next_priority(after)
    local first = entries_between(after and sortable(after) .. '!' or '', '~', 1)[1]
    return first and parts_of(first).priority
  end

  -- Put the claims of these entries into a group; all have the same ceiling. What stands in the queue for no
  -- claim is in the way.
  local function join_group(group, entries, ceiling)
    local keys, stale = {}, {}
    for i, entry in ipairs(entries) do
      local _, key = parts_of(entry)
      keys[i] = key
    end
    for i, claim in ipairs(part.stored(keys)) do
      if claim and claim.called_at == 0 and entry_of(claim) == entries[i] then
        claim.ceiling = ceiling
        group[#group + 1] = claim
      else
        stale[#stale + 1] = entries[i]
      end
    end
    in_chunks('ZREM', queue, stale)
  end

  -- Put the claims into a group that come first in the queue, of one priority. Those of one ceiling can
  -- get as many slots as there are below it, and on one trunk as may start there: trunks of which that
  -- is too few are kept in `waiting_on`. Claims that can't go now, but could if more of the calls were
  -- others', are passed over. Before any slot was given, `in_use` were in use.
  function part.join_first(group, priority, usage, in_use, waiting_on)
    local from = sortable(priority) .. ' ' .. sortable(usage + 1)
    local beyond = sortable(priority) .. '!'
    local entries = entries_between(from, beyond, 1)
    while #entries > 0 do
      local first = parts_of(entries[1])
      local class, ceiling = class_of(first), ceiling_of(first, in_use)
      if usage < ceiling then
        local left = starts_left(first)
        local most = math.min(ceiling - usage, left)
        if most > 1 then
          entries = entries_between(class, class .. '!', most)
        end
        if most > 0 then
          join_group(group, entries, ceiling)
        end
        if left <= #entries then
          waiting_on[first.trunk] = first
        end
      end
      entries = entries_between(class .. '!', beyond, 1)
    end
  end

  -- Take the claims of this worker out that can go, to be put in again as they are then, and what has
  -- changed.
  function part.step_out(own, can_go)
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

  -- Put claims in as they are, to stand in the queue.
  function part.put(which)
    local entries, texts = {}, {}
    for i, claim in ipairs(which) do
      entries[2 * i - 1], entries[2 * i] = 0, entry_of(claim)
      texts[2 * i - 1], texts[2 * i] = claim.key, text_of(claim)
    end
    written[queue] = in_chunks('ZADD', queue, entries) > 0 or written[queue]
    grow('claims', in_chunks('HSET', claims, texts))
  end

  -- Call the workers of these claims that were not called before, by their keys. Returns when the first
  -- of all was called.
  function part.call(by_key)
    local first
    local entries, times, texts = {}, {}, {}
    for key, claim in pairs(by_key) do
      if claim.called_at == 0 then
        entries[#entries + 1] = entry_of(claim)
        claim.called_at = now
        times[#times + 1] = now
        times[#times + 1] = key
        texts[#texts + 1] = key
        texts[#texts + 1] = text_of(claim)
        the(Messages).keep(string.match(key, '^[^/]*'), { come = true })
      end
      first = math.min(first or claim.called_at, claim.called_at)
    end
    in_chunks('HSET', claims, texts)
    in_chunks('ZREM', queue, entries)
    written[called] = in_chunks('ZADD', called, times) > 0 or written[called]
    return first
  end

  return part
end
