-- The common state of all parts of the exchange: the keys, the request, the ledger's state, of which
-- only what is needed is read, and the time.
--
-- Reads  the ledger's hash
-- Sets   state.distrusted

local ledger, workers, sessions, permits, dialling, uncounted, claims, queue, called, calls, early,
  starts, occupied, paused = unpack(KEYS)
local said = cjson.decode(ARGV[1])
-- In ms, but for the last, which is permits; see `constants` in wire.py.
local me, COUNTED_AFTER, MAX_AGE, LEASE, JITTER, AT_ONCE, more =
  string.match(ARGV[2], '(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) ()')
AT_ONCE = tonumber(AT_ONCE) -- permits that one exchange grants, absorbs or buries, so that others need not wait

local PROTOCOL = 2 -- what this script, and what is said to it, are written for
local KEEP = '3600000' -- a workspace that has been silent for so long is forgotten

-- Parts of the script, each of which is made when it is first needed: the server makes every function
-- anew at every call of the script, and most exchanges need few of them.
local made = {}

local function the(Part)
  local part = made[Part] or Part()
  made[Part] = part
  return part
end

-- The constants that few exchanges need: in ms, but for `early`, which is calls, and `in_hand`, snapshots.
local function Few()
  local few = {}
  few.channel, few.counter_lag, few.ttl, few.min_interval, few.grace, few.least_backoff, few.longest_backoff,
    few.patience, few.early_for, few.longest_push_back, few.window, few.early, few.in_hand =
    string.match(ARGV[2], string.rep('(%S+) ', 12) .. '(%S+)', more)
  return few
end

-- Whether anything has made room for one more call in this exchange.
local room_made = false

local begun_anew = false -- what stands in the ledger is of a ledger that is no more

-- For how many ms a call can go on, where this worker has its calls listed; see occupancy.lua.
local listed_for = said.apart or said.ends

-- The numbers of the ledger. What most exchanges need is read at once, and any other number when it is
-- asked for; a number that is not there is 0.
local number_field, void_field = 'number/' .. me, 'void/' .. me
local found = redis.call('HMGET', ledger, 'epoch', 'protocol', 'clock', 'raw', 'dialling', 'uncounted',
  'workers', 'claims', 'began', 'current', 'spent_until', 'due', 'poll_until', 'failed', 'order', 'swept',
  'absorbing', 'look_at', 'pauses_version', number_field, void_field, 'occupied', 'longest', 'unknown_since',
  'starts', 'backoffs', 'rates_since', 'ghosts')
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
  pauses_version = tonumber(found[19] or 0),
  number = found[20] and tonumber(found[20]), -- false for a worker that the ledger doesn't know
  [void_field] = tonumber(found[21] or 0),
  occupied = tonumber(found[22] or 0),
  longest = tonumber(found[23] or 0),
  unknown_since = tonumber(found[24] or 0),
  starts = tonumber(found[25] or 0),
  backoffs = tonumber(found[26] or 0),
  rates_since = tonumber(found[27] or 0),
  ghosts = tonumber(found[28] or 0),
}
local changed = {}

-- Whether the last exchange kept the window of in_hand.lua. Every exchange writes `raw`, and one that keeps
-- the window writes it with a point, which any other leaves out.
local kept = said.ends and string.find(found[4] or '', '.', 1, true) ~= nil

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
-- a clock that is behind absorbs a call late, and a clock that leaps absorbs it early.
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
    kept = false
  end
end
