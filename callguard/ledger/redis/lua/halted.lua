-- The pauses, in an exchange; see halts.lua.

local function Halts()
  local halts = {}

  function halts.known()
    return text_in_ledger('halts') or '{}'
  end

  -- A worker pauses a scope, or resumes it where nobody is named.
  function halts.change(scope, by, reason)
    local halt = by and { by = by, reason = reason, since = raw_now } or nil
    set('halts', halts_after(halts.known(), scope, halt))
    set('halts_version', state.halts_version + 1)
    the(Messages).keep('all', { come = true })
  end

  return halts
end

-- Whether the worker knows what is paused. Until it does, it gets no slots: its claims may be of what is.
local function knows_halts()
  return (said.halts or 0) == state.halts_version
end
