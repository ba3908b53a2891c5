-- The pauses for all workers: of everything, a lane, a trunk, or a lane on a trunk.
--
-- Reads  of the ledger's hash and of `paused`, pauses and pauses_version
-- Sets   them: JSON of by, reason and since, by scope; of since alone for a scope that was resumed; and how
--        often that has changed, by which a worker knows whether what it knows holds
--
-- They stand twice. Exchanges go by the ledger's hash, which expires, and can be lost. `paused` never expires,
-- and is there for as long as anything is paused: the ledger that comes next begins with it. Where the two
-- differ, the later version holds. A server that has lost both is told by the workers that join: of each
-- scope the latest change holds, so none undoes a resume that it hasn't heard of.
--
-- Since when is in ms on the server's clock, and is the moment of the latest change of a scope. Nothing is
-- decided by it but which change is later: the ledger's clock stands still while there is no worker, and a
-- pause outlives them all.

local RESUMED = 86400000 -- since a scope was resumed, until nobody knows of that any more

-- The pauses once somebody pauses a scope too, or once it is resumed where there is no `by`. A change is
-- later than the one before it, whatever the server's clock did.
local function pauses_after(text, scope, moment, by, reason)
  local all = cjson.decode(text or '{}')
  for other, change in pairs(all) do
    if not change.by and change.since < moment - RESUMED then
      all[other] = nil
    end
  end
  local before = all[scope]
  all[scope] = { by = by, reason = reason, since = math.max(moment, before and before.since + 1 or 0) }
  return cjson.encode(all)
end

-- The pauses with what else is known of them, or nil if that is nothing new.
local function pauses_with(text, known)
  local all, is_new = cjson.decode(text), false
  for scope, change in pairs(cjson.decode(known)) do
    if not all[scope] or all[scope].since < change.since then
      all[scope], is_new = change, true
    end
  end
  return is_new and cjson.encode(all) or nil
end

local function is_paused(text, scope)
  local change = cjson.decode(text)[scope]
  return change ~= nil and change.by ~= nil
end

local function is_anything_paused(text)
  for _, change in pairs(cjson.decode(text)) do
    if change.by then
      return true
    end
  end
  return false
end

-- The version and the pauses that hold, where the ledger's hash has these, or 0 and nothing.
local function latest_pauses(paused, version, text)
  local kept_version, kept = unpack(redis.call('HMGET', paused, 'pauses_version', 'pauses'))
  if kept_version and tonumber(kept_version) > version then
    return tonumber(kept_version), kept
  end
  return version, text or '{}'
end

-- Keep the pauses for the ledgers that come after this one.
local function keep_pauses(paused, version, text)
  if is_anything_paused(text) then
    redis.call('HSET', paused, 'pauses_version', version, 'pauses', text)
  else
    redis.call('DEL', paused)
  end
end
