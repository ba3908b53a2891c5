-- The pauses, in an exchange; see pauses.lua.

local function Pauses()
  local pauses = {}

  function pauses.known()
    return text_in_ledger('pauses') or '{}'
  end

  -- A worker pauses a scope, or resumes it where nobody is named.
  function pauses.change(scope, by, reason)
    local pause = by and { by = by, reason = reason, since = raw_now } or nil
    set('pauses', pauses_after(pauses.known(), scope, pause))
    set('pauses_version', state.pauses_version + 1)
    the(Messages).keep('all', { come = true })
  end

  return pauses
end

-- Whether the worker knows what is paused. Until it does, it gets no slots: its claims may be of what is.
local function knows_pauses()
  return (said.pauses or 0) == state.pauses_version
end
