-- How claims stand on the server. A claim is what one worker wants for its callers on one lane and
-- trunk.
--
-- Reads  claims
-- Sets   claims, queue and called, where a worker's claims end

-- The key says whose claim it is; what it wants stands in `claims`, and where it stands in one of two
-- sets: in `queue`, in order, until its worker is called, and in `called` from then on.
local CLAIM = string.rep('(%S+) ', 9) .. '(%S+)'

local function claim_of(key, text)
  local priority, ceiling, count, order, next_order, called_at, since, trunk, most, span =
    string.match(text, CLAIM)
  return { key = key, priority = tonumber(priority), ceiling = tonumber(ceiling),
    count = tonumber(count), order = tonumber(order), next_order = tonumber(next_order),
    called_at = tonumber(called_at), since = tonumber(since), served = 0,
    trunk = trunk, most = tonumber(most), span = tonumber(span) }
end

local function text_of(claim)
  return string.format('%d %d %d %d %d %d %d %s %d %d', claim.priority, claim.ceiling, claim.count,
    claim.order, claim.next_order, claim.called_at, claim.since, claim.trunk, claim.most, claim.span)
end

-- The claims of one priority, ceiling and trunk stand together in the queue, in their order.
local function class_of(claim)
  return string.format('%s %s %s %d %d', sortable(claim.priority), sortable(claim.ceiling),
    claim.trunk, claim.most, claim.span)
end

local function entry_of(claim)
  return class_of(claim) .. ' ' .. sortable(claim.order) .. ' ' .. claim.key
end

local ENTRY = '^(%d+) (%d+) (%S+) (%d+) (%d+) %d+ (.*)$'

-- Of an entry in the queue what tells its class, and the key of its claim.
local function parts_of(entry)
  local priority, ceiling, trunk, most, span, key = string.match(entry, ENTRY)
  return { priority = priority - 1e12, ceiling = ceiling - 1e12, trunk = trunk,
    most = tonumber(most), span = tonumber(span) }, key
end

-- The claims of these keys, in their order; false for one that there is not.
local function stored_claims(keys)
  local found = {}
  for from = 1, #keys, 1000 do
    local to = math.min(from + 999, #keys)
    for i, text in ipairs(redis.call('HMGET', claims, unpack(keys, from, to))) do
      local key = keys[from + i - 1]
      found[#found + 1] = text and claim_of(key, text)
    end
  end
  return found
end

-- Claims that end, or wait for nothing any more. With the last of them goes whatever is left of claims.
local function end_claims(keys)
  grow('claims', -in_chunks('HDEL', claims, keys))
  if #keys > 0 and state.claims == 0 then
    redis.call('DEL', queue, called)
  end
end

-- Where claims were lost, all come anew; that costs a little patience.
local function mend_claims()
  if is_torn('claims') then
    redis.call('DEL', claims, queue, called)
    set('claims', 0)
  end
end

-- A worker that is gone, or has come anew, waits for nothing.
local function forget_claims(worker)
  local keys, entries, flat = {}, {}, redis.call('HGETALL', claims)
  for i = 1, #flat, 2 do
    if string.sub(flat[i], 1, #worker + 1) == worker .. '/' then
      keys[#keys + 1] = flat[i]
      entries[#entries + 1] = entry_of(claim_of(flat[i], flat[i + 1]))
    end
  end
  in_chunks('ZREM', queue, entries)
  in_chunks('ZREM', called, keys)
  end_claims(keys)
end
