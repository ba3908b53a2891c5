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

local number_field, void_field = 'number/' .. me, 'void/' .. me

local now, raw_now, raw -- the ledger's time, the server's, and so much of that as the ledger's has gone

local state, changed = {}, {}
-- Whether anything has made room for one more call in this exchange.
local room_made = false

local begun_anew = false -- what stands in the ledger is of a ledger that is no more

-- Read numbers of the ledger; one that is not there is 0. Returns them as they are written.
local function read(...)
  local found = begun_anew and {} or redis.call('HMGET', ledger, ...)
  for i, name in ipairs({ ... }) do
    if changed[name] == nil then
      state[name] = tonumber(found[i] or 0)
    end
  end
  return found
end

local function set(name, value)
  state[name] = value
  changed[name] = value
end

-- Keys that were written to; what a silent workspace leaves behind has to expire.
local written = {}

local function keep_for_a_while()
  for key in pairs(written) do
    redis.call('PEXPIRE', key, KEEP)
  end
end

-- The parts of the ledger that can be evicted one by one: how many each has stands in the ledger.
local PARTS = { dialling = { 'ZCARD', dialling }, uncounted = { 'ZCARD', uncounted },
  workers = { 'ZCARD', workers }, claims = { 'HLEN', claims }, starts = { 'ZCARD', starts } }

-- A write to a part says by how many it has grown or, below 0, shrunk. A key that was empty expires
-- from now on; any other does so already.
local function grow(name, by)
  if by > 0 and state[name] == 0 then
    written[PARTS[name][2]] = true
  end
  if by ~= 0 then
    set(name, state[name] + by)
  end
end

-- Whether a part is not as the last exchange left it: it was evicted, or that exchange failed half
-- way.
local function is_torn(name)
  return redis.call(unpack(PARTS[name])) ~= state[name]
end

-- The last of the writes, in one command, and of it depends whether the others count: without it the
-- next exchange finds the ledger torn.
local function save()
  set('clock', now)
  set('raw', raw)
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

-- What others are to hear, once everything is written: being allowed to tell is no part of it.
local messages = {}

local function publish(to, message)
  messages[#messages + 1] = { channel .. to, cjson.encode(message) }
end

-- Tell others. Returns the server's words where it doesn't let this worker.
local function tell()
  local denied
  for _, message in ipairs(messages) do
    local answer = redis.pcall('PUBLISH', message[1], message[2])
    denied = type(answer) == 'table' and answer.err or denied
  end
  return denied
end

-- One command for many items; Lua's stack holds some thousand. Returns how many were new, or gone.
local function in_chunks(command, key, flat)
  local found = 0
  for from = 1, #flat, 1000 do
    found = found + redis.call(command, key, unpack(flat, from, math.min(from + 999, #flat)))
  end
  return found
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

state.epoch = read('epoch', 'protocol', 'clock', 'raw', 'dialling', 'uncounted', 'workers', 'claims', 'began',
  'current', 'spent_until', 'lost_until', 'due', 'poll', 'poll_until', 'failed', 'failures', 'order', 'swept',
  'tried', 'distrusted', 'absorbing', 'look_at', 'starts', 'pauses', 'rates_since', 'halts_version', number_field, void_field)[1]
state.number = state[number_field] ~= 0 and state[number_field] or nil

-- The ledger's clock goes as far as the server's has gone, and the server's is a wall clock: it may
-- step. So the ledger's never goes back, and goes no further than the worker's own clock says that it
-- may have; a worker that has just come has no word in it, and doesn't move it at all while others
-- live. What a worker doesn't vouch for, because its exchange was late, the next one may; so much at
-- once that no exchange is as late is a step, and that is dropped, and so is what a step back takes:
-- a clock that is behind absorbs a call late, and one that leaps absorbs it early.
local unvouched = 0 -- of what has passed, in an exchange without a word in it

local function time_passed()
  local passed = math.max(0, raw_now - state.raw)
  if said.sent and said.epoch == state.epoch then
    if state.clock + passed > said.sent + JITTER then
      passed = math.max(0, said.sent - state.clock)
    end
  elseif redis.call('ZCOUNT', workers, '(' .. state.clock, '+inf') > 0 then
    unvouched = math.min(passed, LEASE)
    passed = 0
  end
  return passed
end

-- Whether the ledger's clock has fallen behind the word of a worker: it has lost what passed.
local function is_behind()
  return said.sent and said.epoch == state.epoch and now + JITTER < said.sent
end

local server_time = redis.call('TIME')
raw_now = server_time[1] * 1000 + math.floor(server_time[2] / 1000)
now, raw = raw_now, raw_now
local stepped = 0 -- by which the server's clock went and the ledger's never will
if state.clock > 0 then
  local passed = time_passed()
  now = state.clock + passed
  raw = state.raw + passed
  if raw_now < raw or unvouched == 0 and raw_now > raw + LEASE / 2 then
    stepped = raw_now - raw
    raw = raw_now
  end
  if stepped ~= 0 or is_behind() then
    -- Readings under way are dated by what has passed on a worker's clock since it got the right.
    set('distrusted', state.poll + 1)
  end
end
