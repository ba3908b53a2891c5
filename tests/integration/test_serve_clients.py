"""Unchanged Python programs and curl dial through ``callguard serve``, all processes."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.commands import KEY, QUICK_GATE, QUICK_WORLD, serving, simulator
from tests.support.dialers import Program, dialling

LEADS = range(20, 44)


@pytest.mark.slow
@pytest.mark.parametrize("program", ["dial_threads.py", "dial_async.py", "dial.sh"])
async def test_a_program_that_only_knows_another_address_calls_each_lead_once(
    program: Program,
) -> None:
    """A dialer would have to be changed for the gate, or its calls would be refused or lost."""
    leads = LEADS if program != "dial.sh" else LEADS[:6]
    async with simulator(*QUICK_WORLD, "--limit", "4") as workspace:
        async with serving(workspace.url, "--cps", "none", workspace=QUICK_GATE) as proxy:
            dialled = [each async for each in dialling(program, proxy.url, leads, at_once=12)]
            await proxy.end()
        calls = await workspace.calls()
        truth = await workspace.truth()
    assert sorted(each.lead for each in dialled) == list(leads)
    assert {each.error for each in dialled} == {None}
    assert {each.call_id for each in dialled} == {call["call_id"] for call in calls}
    assert Counter(call["to_number"] for call in calls).most_common(1)[0][1] == 1
    assert (truth["placed"], truth["refusals"]) == (len(leads), 0)
    assert KEY not in proxy.output
