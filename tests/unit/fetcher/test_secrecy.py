"""The API key stays where it is needed: no public attribute and no repr has it."""

from __future__ import annotations

from collections.abc import Iterator

import callguard
from callguard.fetcher import ProviderClient
from tests.support.fake_network import FakeSession, in_turn, limits_reply
from tests.support.virtual_time import run
from tests.unit.fetcher.leaks import KEY


def shown(thing: object) -> Iterator[str]:
    """What anybody can read off a thing, and off what it shows."""
    seen: set[int] = set()
    things = [thing]
    while things:
        each = things.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield repr(each)
        yield str(each)
        if type(each).__module__.startswith("callguard"):
            names = [name for name in dir(each) if not name.startswith("_")]
            things += [getattr(each, name) for name in names]


def test_nobody_can_read_the_key_off_what_is_public() -> None:
    """A log line, a debugger or a template would give the workspace away."""

    async def main() -> None:
        session = FakeSession(in_turn(limits_reply()))
        opening = callguard.open_gate(KEY, session=session)
        assert KEY not in repr(opening._open)  # what a debugger shows of a frame
        things: list[object] = [opening, ProviderClient(KEY, session=session)]
        async with opening as gate, gate.admit() as permit:
            async with callguard.LimitFetcher(KEY, session=session) as fetcher:
                things += [gate, permit, fetcher, await fetcher.get()]
                for thing in things:
                    assert [text for text in shown(thing) if KEY in text] == []

    run(main())
