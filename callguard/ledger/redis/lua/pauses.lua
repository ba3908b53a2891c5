-- The pauses for all workers: of everything, a lane, a trunk, or a lane on a trunk.
--
-- Reads  of the ledger's hash, pauses and pauses_version
-- Sets   them: JSON of by, reason and since, by scope, which only workers read; and how often that has
--        changed, by which a worker knows whether what it knows holds
--
-- Since when is in ms on the server's clock, and nothing is decided by it: the ledger's stands still while
-- there is no worker, and a pause outlives them all.

-- The pauses once a scope is paused too, or is no more where there is no `pause`.
local function pauses_after(text, scope, pause)
  local all = cjson.decode(text or '{}')
  all[scope] = pause
  return cjson.encode(all)
end
