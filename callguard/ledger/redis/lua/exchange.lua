-- One worker tells what has happened since its last exchange, and is told what it may do now. This
-- is the last part; the parts before it are state, permits, workers, readings and places.
--
-- KEYS  1 books     hash: epoch, the latest reading, whose turn the next one is, and
--                   "number/" .. worker -> the number of its last exchange
--       2 workers   sorted set: worker -> when its lease runs out
--       3 sessions  hash: worker -> what people call it
--       4 permits   hash: permit -> "since lane"; all that are dispatching or unseen
--       5 unseen    sorted set: permit -> from when on the counter surely shows its call
--       6 claims    hash: "worker/lane" -> "priority ceiling count turn following called since",
--                   where following is the turn after this one, once the lane was called
--       7 calls     hash: "c" .. call -> permit and "p" .. permit -> call
--       8 early     sorted set: "e" or "a" .. call -> when it ended or was answered; not placed yet
-- ARGV  1 JSON, made by conversation.py: see its `request`
--       2 "worker channel visible_after counter_lag ttl min_interval max_age lease grace", where
--         channel is what every channel's name begins with
-- Returns JSON, read by conversation.py: see its `accept`
-- Cost  nine commands, one to four for each permit that is placed or absorbed, one for all that are
--       given and one for all that are given back; and a look at each claim if there may be room
--
-- Times are milliseconds on this server's clock.

local crew = (said.join or said.renew or said.leaves or now >= state.swept + SWEEP) and Workers()
if now >= state.swept + SWEEP then
  crew.sweep()
end
if state.number and state.number >= said.number then
  return cjson.encode({ status = 'overtaken' })
end
if not said.join and (state.epoch ~= said.epoch or state.number ~= said.acknowledged) then
  return cjson.encode({ status = 'unknown' })
end

local void = said.join and crew.join(said.join) or nil
if said.renew then
  crew.renew()
end
take_in(said.happenings)

local behind = said.knows ~= state.began
local readings = (said.taken or said.failed or said.wants_reading or behind) and Readings()
if said.taken then
  readings.record(said.taken)
end
if said.failed then
  readings.fail(said.failed)
end
local turn = said.wants_reading and readings.turn() or nil

local held = redis.call('HLEN', permits)
local others, grants, again = give_places(state.current + held)
save()
if said.leaves then
  crew.bury(me)
end
keep_for_a_while()

local placed = redis.call('ZCARD', unseen)
return cjson.encode({
  status = 'ok', now = now, epoch = state.epoch, void = void, again = again, others = others,
  counts = { held + (grants and #grants or 0) - placed, placed },
  spent = state.began <= state.spent_until, grants = grants, turn_to_read = turn,
  due_in = math.max(state.due, state.poll_until) - now,
  late_in = math.max(state.due + TTL, state.poll_until) - now,
  reading = state.began > 0 and said.knows ~= state.began and readings.latest() or nil,
})
