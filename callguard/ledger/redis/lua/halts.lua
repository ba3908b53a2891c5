-- The pauses for all workers: of everything, a lane, a trunk, or a lane on a trunk.
--
-- Reads  of the ledger's hash, halts and halts_version
-- Sets   them: JSON of by, reason and since, by scope, which only workers read; and how often that has
--        changed, by which a worker knows whether what it knows holds
--
-- Since when is in ms on the server's clock, and nothing is decided by it: the ledger's stands still while
-- there is no worker, and a pause outlives them all.

-- The halts once a scope is paused too, or is no more where there is no `halt`.
local function halts_after(text, scope, halt)
  local all = cjson.decode(text or '{}')
  all[scope] = halt
  return cjson.encode(all)
end
