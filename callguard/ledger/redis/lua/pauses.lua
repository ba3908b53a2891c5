-- The pauses for all workers: of everything, a lane, a trunk, or a lane on a trunk.
--
-- Reads  of the ledger's hash and of `paused`, pauses and pauses_version
-- Sets   them: `pauses` is JSON, by scope, of by, reason and since, or of since alone if the scope was resumed;
--        `pauses_version` is how often that has changed, which shows a worker whether it is up to date
--
-- Both are stored twice. Exchanges go by the ledger's hash, which expires, and can be lost. `paused` never
-- expires, and is there for as long as anything is paused: the next ledger begins with it. Where the two
-- differ, the later version holds. A server that has lost both hears of the pauses from the workers that join.
-- For each scope the latest change holds, so no worker undoes a resume that it hasn't heard of.
--
-- `since` is the moment of a scope's latest change, in ms on the server's clock. It only decides which change
-- is later. The ledger's clock would not do: it stands still while there is no worker, and a pause outlives
-- them all.

local RESUMED = 86400000 -- ms for which it is remembered that a scope was resumed

-- The pauses after somebody has paused a scope, or after it was resumed if there is no `by`. A change is dated
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

-- The pauses with the later changes in `known`, or nil if there are none.
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
