-- What every part of the exchange works on: the keys, what was said, the state of the ledger, of
-- which no more is read than is asked for, and which is saved once, and the time.
--
-- Reads  the ledger's hash, and how many the parts have
-- Sets   the ledger's hash; state.clock, raw and distrusted; when keys expire; tells what others are to
--        hear

local ledger, workers, sessions, permits, dialling, uncounted, claims, queue, called, calls, early,
  starts = unpack(KEYS)
local said = cjson.decode(ARGV[1])
-- In ms, but for EARLY, which is calls; see `constants` in wire.py.
local me, channel, COUNTED_AFTER, COUNTER_LAG, TTL, MIN_INTERVAL, MAX_AGE, LEASE, GRACE, JITTER, PAUSE,
  LONGEST_PAUSE, PATIENCE, EARLY_FOR, LONGEST_REST, EARLY =
  string.match(ARGV[2], string.rep('(%S+) ', 15) .. '(%S+)')

local PROTOCOL = 2 -- what this script, and what is said to it, are written for
local AT_ONCE = 250 -- permits that one exchange absorbs or buries, so that others need not wait
local KEEP = 3600000 -- a workspace that has been silent for so long is forgotten

-- Parts of the script, each of which is made when it is first needed: the server makes every function
-- anew at every call of the script, and most exchanges need few of them.
local made = {}

local function the(Part)
  local part = made[Part] or Part()
  made[Part] = part
  return part
end

-- Whether anything has made room for one more call in this exchange.
local room_made = false

local begun_anew = false -- what stands in the ledger is of a ledger that is no more

-- The numbers of the ledger. What most exchanges need is read at once, and any other number when it is
-- asked for; one that is not there is 0.
local number_field, void_field = 'number/' .. me, 'void/' .. me
local found = redis.call('HMGET', ledger, 'epoch', 'protocol', 'clock', 'raw', 'dialling', 'uncounted',
  'workers', 'claims', 'began', 'current', 'spent_until', 'due', 'poll_until', 'failed', 'order', 'swept',
  'absorbing', 'look_at', 'halts_version', number_field, void_field)
local state = {
  epoch = found[1],
  protocol = tonumber(found[2] or 0),
  clock = tonumber(found[3] or 0),
  raw = tonumber(found[4] or 0),
  dialling = tonumber(found[5] or 0),
  uncounted = tonumber(found[6] or 0),
  workers = tonumber(found[7] or 0),
  claims = tonumber(found[8] or 0),
  began = tonumber(found[9] or 0),
  current = tonumber(found[10] or 0),
  spent_until = tonumber(found[11] or 0),
  due = tonumber(found[12] or 0),
  poll_until = tonumber(found[13] or 0),
  failed = tonumber(found[14] or 0),
  order = tonumber(found[15] or 0),
  swept = tonumber(found[16] or 0),
  absorbing = tonumber(found[17] or 0),
  look_at = tonumber(found[18] or 0),
  halts_version = tonumber(found[19] or 0),
  number = found[20] and tonumber(found[20]), -- false for a worker that the ledger doesn't know
  [void_field] = tonumber(found[21] or 0),
}
local changed = {}

local function text_in_ledger(name)
  return changed[name] or not begun_anew and redis.call('HGET', ledger, name) or nil
end

setmetatable(state, { __index = function(_, name)
  local value = tonumber(text_in_ledger(name) or 0)
  state[name] = value
  return value
end })

local function set(name, value)
  state[name] = value
  changed[name] = value
end

-- The ledger's clock goes as far as the server's has gone, and the server's is a wall clock: it may
-- step. So the ledger's never goes back, and goes no further than the worker's own clock says that it
-- may have; a worker that has just come has no word in it, and doesn't move it at all while others
-- live. What a worker doesn't vouch for, because its exchange was late, the next one may; so much at
-- once that no exchange is as late is a step, and that is dropped, and so is what a step back takes:
-- a clock that is behind absorbs a call late, and one that leaps absorbs it early.
local server_time = redis.call('TIME')
local raw_now = server_time[1] * 1000 + math.floor(server_time[2] / 1000)
local now, raw = raw_now, raw_now -- the ledger's time, and so much of the server's as that has gone
local unvouched = 0 -- of what has passed, in an exchange without a word in it
local stepped = 0 -- by which the server's clock went and the ledger's never will
if state.clock > 0 then
  local word = said.epoch == state.epoch and said.sent or nil
  local passed = math.max(0, raw_now - state.raw)
  if word then
    if state.clock + passed > word + JITTER then
      passed = math.max(0, word - state.clock)
    end
  elseif redis.call('ZCOUNT', workers, '(' .. state.clock, '+inf') > 0 then
    unvouched = math.min(passed, LEASE)
    passed = 0
  end
  now = state.clock + passed
  raw = state.raw + passed
  if raw_now < raw or unvouched == 0 and raw_now > raw + LEASE / 2 then
    stepped = raw_now - raw
    raw = raw_now
  end
  -- A ledger's clock that has fallen behind the word of a worker has lost what passed.
  if stepped ~= 0 or word and now + JITTER < word then
    -- Readings under way are dated by what has passed on a worker's clock since it got the right.
    set('distrusted', state.poll + 1)
  end
end

-- Keys that were written to; what a silent workspace leaves behind has to expire.
local written = {}

-- The parts of the ledger that can be evicted one by one: how many each has stands in the ledger.
local COUNTED = { dialling = dialling, uncounted = uncounted, workers = workers, claims = claims,
  starts = starts }

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
  local flat = { 'clock', now, 'raw', raw }
  for name, value in pairs(changed) do
    flat[#flat + 1] = name
    flat[#flat + 1] = type(value) == 'number' and string.format('%d', value) or value
  end
  if begun_anew then
    redis.call('DEL', ledger)
  end
  redis.call('HSET', ledger, unpack(flat))
end

-- What others are to hear, once everything is written: being allowed to tell is no part of it.
local function Messages()
  local messages, kept = {}, {}

  function messages.keep(to, message)
    kept[#kept + 1] = { channel .. to, cjson.encode(message) }
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
