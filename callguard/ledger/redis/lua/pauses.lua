-- The pauses for all workers: of everything, a lane, a trunk, or a lane on a trunk.
--
-- Reads  of the ledger's hash and of `paused`, pauses and pauses_version
-- Sets   them: JSON of by, reason and since, by scope, which only workers read; and how often that has
--        changed, by which a worker knows whether what it knows holds
--
-- They stand twice. Exchanges go by the ledger's hash, which expires, and can be lost. `paused` never expires,
-- and is there for as long as anything is paused: the ledger that comes next begins with it. Where the two
-- differ, the later version holds.
--
-- Since when is in ms on the server's clock, and nothing is decided by it: the ledger's stands still while
-- there is no worker, and a pause outlives them all.

-- The pauses once a scope is paused too, or is no more where there is no `pause`.
local function pauses_after(text, scope, pause)
  local all = cjson.decode(text or '{}')
  all[scope] = pause
  return cjson.encode(all)
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
  if text == '{}' then
    redis.call('DEL', paused)
  else
    redis.call('HSET', paused, 'pauses_version', version, 'pauses', text)
  end
end
