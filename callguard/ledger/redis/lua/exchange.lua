-- One worker tells what has happened since its last exchange, and is told what it may do now. This
-- is the last part; the parts before it are state, permits, workers, readings and places.
--
-- KEYS  1 books     hash: epoch, the latest reading, whose turn the next one is, and
--                   "number/" .. worker -> the number of its last exchange
--       2 workers   sorted set: worker -> when its lease runs out
--       3 sessions  hash: worker -> what people call it
--       4 permits   hash: permit -> "since lane"; all that are dispatching or unseen
--       5 unseen    sorted set: permit -> from when on the counter surely shows its call
--       6 claims    hash: "worker/lane" -> "priority ceiling count turn called since"
--       7 calls     hash: "c" .. call -> permit and "p" .. permit -> call
--       8 early     sorted set: "e" or "a" .. call -> when it ended or was answered; not placed yet
-- ARGV  1 JSON, made by conversation.py: see its `request`
--       2 the worker  3 what every channel's name begins with
--       4 visible_after  5 counter_lag  6 ttl  7 min_interval  8 max_age  9 lease  10 grace
-- Returns JSON, read by conversation.py: see its `accept`
-- Cost  eight commands, one to four for each permit that is placed or absorbed, one for all that are
--       given and one for all that are given back; and a look at each worker that waits
--
-- Times are milliseconds on this server's clock.

sweep()
if state.number and state.number >= said.number then
  return cjson.encode({ status = 'overtaken' })
end
if not said.join and (state.epoch ~= said.epoch or state.number ~= said.acknowledged) then
  return cjson.encode({ status = 'unknown' })
end

local void = said.join and join(said.join) or nil
if said.renew then
  renew()
end
take_in(said.happenings)
if said.taken then
  record(said.taken)
end
if said.failed then
  fail(said.failed)
end
local turn = said.wants_reading and turn_to_read() or nil

local held = redis.call('HLEN', permits)
local grants, again, others = give_places(state.current + held)
save()
if said.leaves then
  bury(me)
end

local placed = redis.call('ZCARD', unseen)
return cjson.encode({
  status = 'ok', now = now, epoch = state.epoch, void = void, again = again, others = others,
  counts = { held + (grants and #grants or 0) - placed, placed },
  spent = state.began <= state.spent_until, grants = grants, turn_to_read = turn,
  due_in = math.max(state.due, state.poll_until) - now,
  reading = state.began > 0 and said.knows ~= state.began and reading() or nil,
})
