-- What is paused, in an exchange; see halts.lua.

local function known_halts()
  return changed.halts or not begun_anew and redis.call('HGET', ledger, 'halts') or '{}'
end

-- A worker pauses a scope, or resumes it where nobody is named.
local function change_halts(scope, by, reason)
  local halt = by and { by = by, reason = reason, since = raw_now } or nil
  set('halts', halts_after(known_halts(), scope, halt))
  set('halts_version', state.halts_version + 1)
  publish('all', { come = true })
end

-- Whether the worker knows what is paused. Until it does, it gets no slots: its claims may be of what is.
local function knows_halts()
  return (said.halts or 0) == state.halts_version
end
