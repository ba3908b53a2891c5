-- The pauses, in an exchange; see pauses.lua.

local function Pauses()
  local pauses = {}

  function pauses.known()
    return text_in_ledger('pauses') or '{}'
  end

  local function put(text)
    set('pauses', text)
    set('pauses_version', state.pauses_version + 1)
    keep_pauses(paused, state.pauses_version, text)
    the(Messages).keep('all', { come = true })
  end

  -- A worker pauses a scope, or resumes it where nobody is named.
  function pauses.change(scope, by, reason)
    put(pauses_after(pauses.known(), scope, raw_now, by, reason))
  end

  -- A worker comes from another ledger, and reports what it knew of pauses there.
  function pauses.learn(known)
    local text = pauses_with(pauses.known(), known)
    if text then
      put(text)
    end
  end

  -- What is paused now is paused in the ledger that begins as `begin` wipes this one.
  function pauses.outlast(begin)
    local version, text = latest_pauses(paused, state.pauses_version, pauses.known())
    begin()
    if version > 0 then
      set('pauses', text)
      set('pauses_version', version)
      keep_pauses(paused, version, text)
    end
  end

  return pauses
end

-- Whether the worker knows what is paused. Until it does, it gets no slots: its claims may be of what is.
local function knows_pauses()
  return (said.pauses or 0) == state.pauses_version
end
