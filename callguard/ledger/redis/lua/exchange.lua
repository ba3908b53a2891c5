-- One worker tells what has happened since its last exchange, and is told what it may do now. This
-- is the last part; the parts before it are state, writing, pauses, paused, rates, in_hand, occupancy,
-- permits, claims, workers, readings, slots and happenings.
--
-- KEYS  1 ledger     hash: epoch, the clock, the latest snapshot, who has the right to the next, how many
--                   the parts below have, and for each worker "number/" .. worker -> the number of
--                   its last exchange, below 0 once its lease has run out, and "void/" .. worker ->
--                   the exchange in which it was first told so; and for each trunk that is limited
--                   "trunk/" .. trunk -> what people see of it, and "backoff/" .. trunk, see rates.lua;
--                   and "premise/" .. premise -> "when worker what" it saw that doesn't hold; and
--                   "learnt/" .. worker -> when it learnt what it suggests, 0 if it doubts that again
--       2 workers   sorted set: worker -> when its lease runs out; below 0 when it had, as -time
--       3 sessions  hash: worker -> what people call it
--       4 permits   hash: permit -> "since start lane", where start is "trunk:when", or "-" where the
--                   trunk has no rate; what people see of those in the next two
--       5 dialling  sorted set, by text: the permits whose dial has not returned
--       6 uncounted sorted set: permit -> from when on the counter surely shows its call
--       7 claims    hash: "worker/trunk/lane" -> "priority ceiling count order next_order called_at
--                   since trunk most span calls longest reserved reserve", where next_order is the
--                   order after this one, once the claim was called, and trunk is "-" where nothing
--                   limits that
--       8 queue     sorted set, by text: "priority highest trunk most span calls longest reserved
--                   reserve order worker/trunk/lane", in digits that are ordered as the numbers are;
--                   highest is ceiling and reserved together; the claims that were not called
--       9 called    sorted set: worker/trunk/lane -> when its worker was called to come
--      10 calls     hash: "c" .. call -> permit and "p" .. permit -> call, with a "+" before it where the
--                   call is on a trunk that takes so many
--      11 early     sorted set: "e", "a" or "r" .. call -> when it ended, was answered or was refused; not
--                   placed yet
--      12 starts    sorted set, by text: "trunk when permit"; the latest of each trunk
--      13 occupied  sorted set, by text: who is on the trunks that take so many; see occupancy.lua
--      14 paused    hash: what is paused, for the ledgers to come; see pauses.lua
-- ARGV  1 JSON: see `Request` in wire.py
--       2 words: see `constants` in wire.py
-- Returns JSON: see `Status` and `Answer` in wire.py; what it publishes is `Push`
-- Cost  eight commands, one to four for each permit that is placed or absorbed, one for all that are
--       given and one for all that are given back; and where there may be room four for each priority
--       that anybody waits in, and a look at as many claims as there are slots. For each trunk with a
--       rate that anybody waits for one more, one for all of these, and one for all that start; for each
--       that takes so many calls two, and three for each of its permits that is placed or over
--
-- Times are milliseconds on the ledger's clock, which goes by this server's; see state.lua.

-- Whether the ledger has lost a part without which its count is wrong, or is an older one than this
-- worker has heard of. That it doesn't know a worker who is leaving is no sign of that: the ledger
-- forgets who has left, and a worker that has heard no answer says again that it leaves.
local function is_lost()
  if is_torn('dialling') or is_torn('uncounted') or is_torn('workers')
    or state.occupied > 0 and is_torn('occupied') then
    return true
  elseif state.epoch ~= said.epoch then
    return false
  end
  local heard = math.abs(state.number or (said.leaves and said.acknowledged or 0))
  return heard < said.acknowledged or said.knows > state.began
end

if state.epoch and state.protocol ~= PROTOCOL then
  return cjson.encode({ status = 'foreign', protocol = state.protocol })
end
local lost = is_lost()
if not lost and now >= state.swept + SWEEP then
  the(Workers).sweep()
end
local overtaken = state.number and math.abs(state.number) >= said.number
local in_doubt = lost or state.epoch ~= said.epoch or state.number ~= said.acknowledged
if overtaken or in_doubt and not said.join then
  if not lost then
    save()
  end
  return cjson.encode({ status = overtaken and 'overtaken' or 'unknown' })
end

if said.join then
  the(Workers).join(said.join, lost)
end
if said.renew then
  the(Workers).renew()
end
if said.unsaid then
  the(Workers).withhold()
end
take_in(said.happenings)
if state.ghosts > 0 then
  the(Occupancy).lay_ghosts()
end
if said.reads then
  the(Readings).go_on(said.reads)
end
if said.taken then
  the(Readings).record(said.taken)
end
if state.absorbing > 0 then
  the(Readings).absorb()
end
if said.failed then
  the(Readings).fail(said.failed)
end
local right = said.wants_reading and the(Readings).right() or nil
if is_torn('claims') then
  the(Claims).begin_anew()
end
local ended = said.ends and the(InHand).ended() or 0
local others, grants, again, dues = false
if #said.claims > 0 or state.claims > 0 or state.look_at > 0 then
  local in_use = state.current + state.dialling + state.uncounted - ended
  others, grants, again, dues = the(Slots).give(in_use)
end
if state.absorbing > 0 then
  again = 0 -- there is more to be absorbed
end
if said.leaves then
  the(Workers).leave()
else
  set(number_field, said.number)
end
local void = state[void_field]
if void > 0 and said.acknowledged >= void then
  void = 0
  set(void_field, 0)
end
save()
written[paused] = nil -- they hold until somebody resumes
local keep = KEEP + state.longest
for key in pairs(written) do
  redis.call('PEXPIRE', key, keep)
end

local spent = state.began <= state.spent_until
return cjson.encode({
  status = 'ok', now = now, epoch = state.epoch, void = void > 0 or nil, again = again,
  others = others, counts = { state.dialling, state.uncounted, listed_for and the(Occupancy).own() or nil },
  ended = ended > 0 and ended or nil,
  spent = spent, lost = spent and state.began <= state.lost_until,
  grants = grants, dues = dues, right_to_read = right,
  on_trunks = said.trunks and the(Occupancy).calls_on(said.trunks) or nil,
  due_in = state.due - now, free_in = state.poll_until - now,
  snapshot = state.began > 0 and said.knows ~= state.began and the(Readings).latest() or nil,
  failed = state.failed > 0 and (said.heard or 0) ~= state.failed and the(Readings).failure() or nil,
  pauses = not knows_pauses() and { state.pauses_version, the(Pauses).known(), raw_now } or nil,
  stepped = stepped ~= 0 and stepped or nil, untold = made[Messages] and the(Messages).tell() or nil,
})
