-- How the parts below write: so that what was lost is noticed, and what nobody needs any more expires.
--
-- Reads  how many the parts of the ledger have
-- Sets   the ledger's hash; when keys expire; tells what others are to hear

-- Keys that were written to; what a silent workspace leaves behind has to expire.
local written = {}

-- The parts of the ledger that can be evicted one by one: how many each has stands in the ledger.
local COUNTED = { dialling = dialling, uncounted = uncounted, workers = workers, claims = claims,
  starts = starts, occupied = occupied }

-- A write to a part says by how many it has grown or, below 0, shrunk. A key that was empty expires
-- from now on; any other does so already.
local function grow(name, by)
  if by > 0 and state[name] == 0 then
    written[COUNTED[name]] = true
  end
  if by ~= 0 then
    set(name, state[name] + by)
  end
end

-- Whether a part is not as the last exchange left it: it was evicted, or that exchange failed half
-- way.
local function is_torn(name)
  return redis.call(name == 'claims' and 'HLEN' or 'ZCARD', COUNTED[name]) ~= state[name]
end

-- The last of the writes, in one command, and of it depends whether the others count: without it the
-- next exchange finds the ledger torn.
local function save()
  set('clock', now)
  set('raw', kept and string.format('%d.0', raw) or raw)
  local flat = {}
  for name, value in pairs(changed) do
    flat[#flat + 1] = name
    flat[#flat + 1] = type(value) == 'number' and string.format('%d', value) or value
  end
  if begun_anew then
    redis.call('DEL', ledger)
  end
  redis.call('HSET', ledger, unpack(flat))
end

-- The messages for other workers, published after the last write, which must not depend on them.
local function Messages()
  local messages, kept = {}, {}

  function messages.keep(to, message)
    kept[#kept + 1] = { the(Few).channel .. to, cjson.encode(message) }
  end

  -- Tell others. Returns the server's words where it doesn't let this worker.
  function messages.tell()
    local denied
    for _, message in ipairs(kept) do
      local answer = redis.pcall('PUBLISH', message[1], message[2])
      denied = type(answer) == 'table' and answer.err or denied
    end
    return denied
  end

  return messages
end

-- One command for many items; Lua's stack holds some thousand. Returns how many were new, or gone.
local function in_chunks(command, key, flat)
  local count = 0
  for from = 1, #flat, 1000 do
    count = count + redis.call(command, key, unpack(flat, from, math.min(from + 999, #flat)))
  end
  return count
end

-- Members of a sorted set, each behind the same score.
local function scored(score, members)
  local flat = {}
  for i, member in ipairs(members) do
    flat[2 * i - 1], flat[2 * i] = score, member
  end
  return flat
end

-- A number as text that is ordered as the number is; none is further from 0 than 2^31, but for the
-- order, which counts from 1, and moments.
local function sortable(number)
  return string.format('%013d', number + 1e12)
end

local function id_of(number)
  return me .. '-' .. string.format('%d', number)
end
