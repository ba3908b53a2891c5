-- The happenings that a worker reports, and their effects; see `Happening` in wire.py.
--
-- Reads  the reported happenings
-- Sets   what the parts above set, and of the ledger "premise/" .. premise and "learnt/" .. worker

local function take_in(happenings)
  for _, happening in ipairs(happenings) do
    local kind, what, more = happening[1], happening[2], happening[3]
    if kind == 'release' then
      the(Permits).release(id_of(what))
    elseif kind == 'place' then
      the(Permits).place(id_of(what), more)
    elseif kind == 'adopt' then
      the(Permits).adopt(id_of(what), more)
    elseif kind == 'hold' then
      the(Permits).hold(id_of(what), more)
    elseif kind == 'withdraw' then
      the(Calls).drop(id_of(what), 0)
    elseif kind == 'answered' then
      the(Calls).answered(id_of(what), now)
    elseif kind == 'bind' then
      the(Calls).bind(id_of(what), more)
    elseif kind == 'note_answered' then
      the(Calls).note_answered(what)
    elseif kind == 'note_ended' then
      the(Calls).note_ended(what, said.epoch == state.epoch and more or 0) -- a moment of that ledger's clock
    elseif kind == 'note_refused' then
      the(Calls).note_refused(what)
    elseif kind == 'note_change' then
      the(Readings).note_change()
    elseif kind == 'refuse' then
      the(Readings).spend()
    elseif kind == 'pause' then
      the(Pauses).change(what, more, happening[4])
    elseif kind == 'unstart' then
      the(Rates).unstart(id_of(what))
    elseif kind == 'restart' then
      the(Permits).settle_released() -- this one may be among them
      the(Rates).restart(id_of(what), more, happening[4])
    elseif kind == 'join' then
      the(Permits).settle_released() -- likewise
      the(Occupancy).join(id_of(what), more, happening[4])
    elseif kind == 'push_back' then
      the(Rates).push_back(id_of(what), more, happening[4])
    elseif kind == 'premise' then
      set('premise/' .. what, now .. ' ' .. me .. ' ' .. more) -- for people; see premises.py
    elseif kind == 'learnt' then
      set('learnt/' .. me, what == 1 and now or 0) -- likewise; see suggestions.py
    end
  end
  if made[Calls] then
    the(Calls).forget_old()
  end
  if made[Permits] then
    the(Permits).settle_released()
  end
end
