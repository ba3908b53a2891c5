-- What every part of the exchange works on: the keys, what was said, the time, and the state of the
-- books, of which no more is read than is asked for, and which is saved once.

local books, workers, sessions, permits, unseen, claims, calls, early = unpack(KEYS)
local said = cjson.decode(ARGV[1])
local me, channel, VISIBLE_AFTER, COUNTER_LAG, TTL, MIN_INTERVAL, MAX_AGE, LEASE, GRACE =
  string.match(ARGV[2], '(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)')

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local number_field = 'number/' .. me

local state, changed = {}, {}

-- Read numbers of the books; one that is not there is 0. Returns them as they are written.
local function read(...)
  local found = redis.call('HMGET', books, ...)
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

local function save()
  local flat = { number_field, said.number }
  for name, value in pairs(changed) do
    flat[#flat + 1] = name
    flat[#flat + 1] = type(value) == 'number' and string.format('%d', value) or value
  end
  redis.call('HSET', books, unpack(flat))
end

-- Keys that were written to; what a silent workspace leaves behind has to expire.
local written = {}

local KEEP = 3600000 -- a workspace that has been silent for so long is forgotten

local function keep_for_a_while()
  for key in pairs(written) do
    redis.call('PEXPIRE', key, KEEP)
  end
end

local function publish(to, message)
  redis.call('PUBLISH', channel .. to, cjson.encode(message))
end

-- One command for many items; Lua's stack holds some thousand.
local function in_chunks(command, key, flat)
  for from = 1, #flat, 1000 do
    redis.call(command, key, unpack(flat, from, math.min(from + 999, #flat)))
  end
end

local function id_of(lease)
  return me .. '-' .. string.format('%d', lease)
end

state.epoch = read('epoch', 'began', 'current', 'spent_until', 'due', 'poll_until', 'turn', 'swept',
  'tried', number_field)[1]
state.number = state[number_field] > 0 and state[number_field] or nil
