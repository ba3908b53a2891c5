-- How fast calls may start, by trunk: `most` of them in any `span` ms. Both come with each claim, so
-- that the workers alone know them. callguard/pacing.py has the same for gates that share nothing.
--
-- Reads  starts; of the ledger "backoff/" .. trunk and "trunk/" .. trunk
-- Sets   starts; state.backoffs and rates_since, and of the ledger "backoff/" .. trunk
--
-- A start is dated by what has passed on the server's clock, whether or not any worker vouched for it:
-- a ledger's clock that catches up later brings nobody's start forward. Where one may start in a span, a
-- start that is late by a little counts from when it was due.

local LATE_PART, LATE_BY = 0.02, 5 -- of a span, and ms; as in callguard/pacing.py

local FEW = 16 -- starts that one command reads
local MANY = 64 -- starts of all trunks, or entries of calls on trunks: from then on what is over goes

local function Rates()
  local rates = {}
  -- By trunk: how many may start `left` now, the `first` start that keeps others waiting, when the next
  -- is `due`, and from when the latest counts that was taken, `at`.
  local found = {}
  local members, taken = {}, {}

  -- The starts were lost, so assume that as many as may start have started just now.
  if is_torn('starts') then
    redis.call('DEL', starts)
    set('starts', 0)
    set('rates_since', now)
  end

  local function backoff_of(trunk)
    local text = text_in_ledger('backoff/' .. trunk)
    local ends, refusals, at, redeemed, by = string.match(text or '0 0 0 0 -', '(%S+) (%S+) (%S+) (%S+) (%S+)')
    return { ends = tonumber(ends), refusals = tonumber(refusals), at = tonumber(at),
      redeemed = tonumber(redeemed), by = by }
  end

  local function keep_backoff(trunk, backoff)
    set('backoff/' .. trunk, string.format('%d %d %d %d %s', backoff.ends, backoff.refusals, backoff.at,
      backoff.redeemed, backoff.by))
  end

  -- In ms, by how much a start may be late and still count from when it was due.
  local function late_by(span)
    return math.floor(math.min(LATE_PART * span, LATE_BY))
  end

  -- From which moment on a start can matter to the next one, as it stands in the starts.
  local function matters_from(most, span)
    return sortable(now - span + (most == 1 and -late_by(span) or 1))
  end

  -- How many of the starts matter, but for those before the latest `most`, and the oldest of these.
  local function latest(trunk, most, span)
    local from, to = '[' .. trunk .. ' ' .. matters_from(most, span), '(' .. trunk .. '!'
    if most <= FEW then
      local texts = redis.call('ZREVRANGEBYLEX', starts, to, from, 'LIMIT', 0, most)
      return #texts, texts[#texts]
    end
    local count = math.min(most, redis.call('ZLEXCOUNT', starts, from, to))
    return count, redis.call('ZREVRANGEBYLEX', starts, to, from, 'LIMIT', math.max(0, count - 1), 1)[1]
  end

  local function look(trunk, most, span)
    if found[trunk] then
      return found[trunk]
    end
    local count, oldest = latest(trunk, most, span)
    local one = { due = 0 }
    if oldest then
      one.first = tonumber(string.match(oldest, '^%S+ (%d+)')) - 1e12
    end
    if count >= most then
      one.due = one.first + span
    end
    if state.backoffs > 0 then
      one.due = math.max(one.due, backoff_of(trunk).ends)
    end
    if state.rates_since > 0 then
      one.due = math.max(one.due, state.rates_since + span)
    end
    one.left = one.due > now and 0 or most == 1 and 1 or most - count
    found[trunk] = one
    return one
  end

  -- How many calls of a claim may start now, as far as its trunk goes.
  function rates.left(claim)
    return look(claim.trunk, claim.most, claim.span).left
  end

  -- From when on the claim's trunk may start the next call; only where no call may start now.
  function rates.due(claim)
    return look(claim.trunk, claim.most, claim.span).due
  end

  -- A call of the claim starts now, or its worker is to come and start it.
  function rates.take(claim)
    local one = look(claim.trunk, claim.most, claim.span)
    local late = now + raw_now - raw - one.due
    one.at = claim.most == 1 and late <= late_by(claim.span) and one.due or one.due + late
    one.first = claim.most > 1 and one.first or one.at
    one.left = one.left - 1
    if one.left == 0 then
      one.due = one.first + claim.span
    end
  end

  -- The start that was taken just now is charged to a permit; returns what its text has of that.
  function rates.start(claim, id)
    local one = found[claim.trunk]
    if one.shown ~= one.at then -- of many that start together, all but the permit is the same
      one.shown, taken[claim.trunk] = one.at, claim
      one.member = claim.trunk .. ' ' .. sortable(one.at) .. ' '
      one.text = string.format('%s:%d', claim.trunk, one.at)
    end
    members[#members + 1] = 0
    members[#members + 1] = one.member .. id
    return one.text
  end

  -- Starts that matter no more go once there are many.
  function rates.settle()
    for trunk, claim in pairs(state.starts >= MANY and taken or {}) do
      grow('starts', -redis.call('ZREMRANGEBYLEX', starts, '[' .. trunk .. ' ',
        '(' .. trunk .. ' ' .. matters_from(claim.most, claim.span)))
    end
    grow('starts', in_chunks('ZADD', starts, members))
  end

  -- Since when a permit is, its trunk, and when it started there; nil where that has no rate.
  local function start_of(id)
    local text = redis.call('HGET', permits, id)
    local since, trunk, at = string.match(text or '', '^(%d+) (%S+):(%d+) ')
    return tonumber(since), trunk, tonumber(at)
  end

  -- Nobody has dialled with a permit: its start never was, unless that is too long ago to matter.
  function rates.unstart(id)
    local _, trunk, at = start_of(id)
    if trunk then
      grow('starts', -redis.call('ZREM', starts, trunk .. ' ' .. sortable(at) .. ' ' .. id))
      found[trunk], room_made = nil, true
    end
  end

  -- Somebody has dialled with a permit after all, whose start was given back: it is charged now.
  function rates.restart(id, trunk, lane)
    local _, charged = start_of(id)
    if not charged then
      local at = now + raw_now - raw
      grow('starts', redis.call('ZADD', starts, 0, trunk .. ' ' .. sortable(at) .. ' ' .. id))
      redis.call('HSET', permits, id, string.format('%d %s:%d %s', now, trunk, at, lane))
      written[permits] = true
      found[trunk] = nil
    end
  end

  -- The provider refused a dial. Of the refused dials that were under way together, the first counts.
  function rates.push_back(id, trunk, apart)
    local backoff, since = backoff_of(trunk), start_of(id)
    if backoff.refusals > 0 and (since or 0) <= backoff.at then
      return
    end
    if backoff.refusals == 0 then
      backoff.refusals = backoff.by == id and backoff.redeemed or 0
      set('backoffs', state.backoffs + 1)
    end
    local doubled = apart * 2 ^ math.min(backoff.refusals, 30)
    backoff.ends = now + raw_now - raw + math.max(apart, math.min(doubled, the(Few).longest_push_back))
    backoff.refusals, backoff.at = backoff.refusals + 1, now
    keep_backoff(trunk, backoff)
    found[trunk] = nil
  end

  -- The provider refused the dial of a permit, of which only the ledger knows on which trunk it started.
  function rates.push_back_of(id)
    local _, trunk = start_of(id)
    local apart = trunk and cjson.decode(text_in_ledger('trunk/' .. trunk) or '[]')[6]
    if apart then
      rates.push_back(id, trunk, apart)
    end
  end

  -- A dial was not refused: the back-offs are over, if it came after them.
  function rates.succeed(id)
    local since, trunk = start_of(id)
    local backoff = trunk and backoff_of(trunk)
    if backoff and backoff.refusals > 0 and since > backoff.at then
      backoff.refusals, backoff.redeemed, backoff.by = 0, backoff.refusals, id
      keep_backoff(trunk, backoff)
      set('backoffs', state.backoffs - 1)
    end
  end

  return rates
end
