-- What every part of the exchange works on: the keys, what was said, the time, and the state of the
-- books, which is read once and saved once.

local books, workers, sessions, permits, unseen, claims, calls, early = unpack(KEYS)
local said = cjson.decode(ARGV[1])
local me = ARGV[2]
local channel = ARGV[3]
local VISIBLE_AFTER, COUNTER_LAG, TTL, MIN_INTERVAL, MAX_AGE, LEASE, GRACE = unpack(ARGV, 4)

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local number_field = 'number/' .. me

-- The numbers of the books, 0 where there is none; `number` is this worker's, nil where unknown.
local state, changed = {}, {}
do
  local found = redis.call('HMGET', books, 'epoch', 'limits', 'reader', number_field, 'began',
    'received', 'current', 'spent_until', 'changed', 'due', 'poll', 'poll_until', 'turn',
    'visible_after', 'swept', 'lease')
  local function number(index)
    return tonumber(found[index] or 0)
  end
  state = {
    epoch = found[1], limits = found[2], reader = found[3], number = tonumber(found[4] or nil),
    began = number(5), received = number(6), current = number(7), spent_until = number(8),
    changed = number(9), due = number(10), poll = number(11), poll_until = number(12),
    turn = number(13), visible_after = number(14), swept = number(15),
    lease = number(16),
  }
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

local function of_worker(worker, ids)
  local own, prefix = {}, #worker
  for _, id in ipairs(ids) do
    if string.sub(id, 1, prefix) == worker then
      own[#own + 1] = id
    end
  end
  return own
end
