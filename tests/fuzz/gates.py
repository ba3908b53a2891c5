"""What is fuzzed of a gate: the provider's answers to it, and what its own callers pass in.

Whatever happens, nobody is left in the queue, no slot is lost, and the next caller is admitted.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Generator, Iterator
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from typing import Any

from callguard import CallGuardError, Gate, Lane, LimitFetcher, LimitsRejected, Permit, open_gate
from callguard.ledger import RedisLedger
from tests.support.fake_network import FakeSession, Handler, Reply, hang, in_turn, limits_reply
from tests.support.virtual_time import run

__all__ = ["answers_to_a_gate", "arguments_of_a_gate"]

FULL, ROOM = limits_reply(current=1, limit=1), limits_reply(current=0, limit=1)

PATIENCE = 200.0
"""Seconds that one odd answer may cost: a reading's deadline, a pause that the provider asks for,
and some more."""

STATUSES = (
    *(200, 201, 204, 206, 301, 302, 304, 307, 400, 401, 402, 403, 404, 405, 407, 408, 409, 410),
    *(418, 422, 425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 511, 520, 599),
)
HEADERS: tuple[dict[str, str], ...] = (
    {},
    {"Retry-After": "0"},
    {"Retry-After": "30"},
    {"Retry-After": "99999999999"},
    {"Retry-After": "-1"},
    {"Location": "https://elsewhere.example"},
    {"Content-Encoding": "gzip"},
    {"Date": "Thu, 01 Jan 1970 00:00:00 GMT"},
)
FAULTS: tuple[Exception | Handler, ...] = (hang, ConnectionResetError(), TimeoutError(), OSError())


def answers_to_a_gate(data: bytes) -> None:
    """Any answers in a row, of which the first is to the opening, and good ones from then on.

    A 401 is final where it comes first, or twice in a row; all else is an outage that passes.
    """
    script = list(_answers(data))
    rejects = [isinstance(each, Reply) and each.status == 401 for each in script]
    twice = any(one and other for one, other in itertools.pairwise(rejects))
    final = twice or rejects[:1] == [True]
    run(_outlast(script, final=final))


def _answers(data: bytes) -> Iterator[Reply | Exception | Handler]:
    for chunk in data.split(b"\0")[:12]:
        kind, body = chunk[:1], chunk[1:]
        number = kind[0] if kind else 0
        if number < len(STATUSES):
            yield Reply(STATUSES[number], body, HEADERS[len(body) % len(HEADERS)])
        elif number % 2:
            yield FULL
        else:
            yield FAULTS[number % len(FAULTS)]


async def _outlast(script: list[Reply | Exception | Handler], *, final: bool) -> None:
    session = FakeSession(in_turn(*script, ROOM))
    try:
        async with asyncio.timeout(PATIENCE * (len(script) + 1)):
            async with open_gate("key_fuzzed", session=session) as gate, gate.admit() as permit:
                permit.cancel()
    except LimitsRejected:
        assert final, "an outage was taken for a key that is refused"


class Awkward:
    """Raises in all that is asked of it."""

    def _raise(self, *_: object, **__: object) -> Any:
        raise ArithmeticError("asked")

    __repr__ = __str__ = __float__ = __index__ = __bool__ = __len__ = __iter__ = __eq__ = _raise
    __call__ = __getitem__ = __lt__ = __await__ = __aenter__ = _raise
    __hash__ = object.__hash__


async def _async(*_: object) -> object:
    return {"call_id": "call_1"}


class Soon:
    """May be awaited, and is no coroutine."""

    def __await__(self) -> Generator[Any, Any, dict[str, str]]:
        yield from asyncio.sleep(0).__await__()
        return {"call_id": "call_2"}


ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 5, 2**31, 2**63, -(2**63), 10**400),
    *(0.0, 0.5, -0.5, 1e-320, 1e308, float("nan"), float("inf"), -float("inf"), 1j),
    *(Decimal(5), Decimal("NaN"), Decimal("sNaN"), Decimal("1e999"), Fraction(1, 3)),
    *("", "5", "all", "ask", "local", "default", "urgent", "\ud800", "\0", "x" * 70_000, b"", b"x"),
    *((), [], {}, [1], ["urgent"], {"call_id": 5}, [Lane("urgent")], Lane("urgent"), object()),
    *(int, len, Lane, _async, lambda *_: None, lambda *_: Soon(), ArithmeticError("odd")),
    *(
        iter([]),
        range(3),
        Awkward(),
        Awkward,
        "redis://",
        "redis://:pw@x:99999",
        "unix://",
        "http:",
    ),
)
"""What a caller might pass by mistake, or on purpose."""


def arguments_of_a_gate(data: bytes) -> None:
    """Any arguments of anything that callers say; only errors that are theirs come out."""
    run(_say_odd_things(data))


async def _say_odd_things(data: bytes) -> None:
    session = FakeSession(in_turn(limits_reply(current=0, limit=1)))
    lanes = [Lane("urgent", default=True), Lane("default", max_waiting=2)]
    async with open_gate("key_fuzzed", session=session, lanes=lanes) as gate:
        for first in range(0, min(len(data), 60), 6):
            chosen = data[first : first + 6]
            say, *usual = SAYINGS[chosen[0] % len(SAYINGS)]
            given = [
                ODD[byte % len(ODD)] if byte > 127 else value
                for byte, value in zip(chosen[1:].ljust(5, b"\0"), usual, strict=False)
            ]
            await _say(gate, say(gate, *given), stops=chosen[0] > 127)
        statistics = gate.statistics()
        assert not any(statistics.waiting.values()), statistics
        assert statistics.usage.dialling == 0, statistics


async def _say(gate: Gate, saying: Coroutine[Any, Any, None], *, stops: bool) -> None:
    """Say it while the gate is full, and make room then, or stop who says it."""
    async with gate.admit(timeout=PATIENCE) as holder:
        said = asyncio.get_running_loop().create_task(saying)
        await asyncio.wait([said], timeout=5.0)
        if stops:
            said.cancel()
        holder.cancel()
    _, waiting = await asyncio.wait([said], timeout=600.0)
    assert not waiting, "somebody waits for ever"
    try:
        said.result()
    except (CallGuardError, TypeError, ValueError, asyncio.CancelledError):
        return
    except ArithmeticError as error:
        if str(error) not in {"asked", "odd"}:
            raise


async def _admit(gate: Gate, lane: Any, timeout: Any) -> None:
    async with gate.admit(lane, timeout=timeout) as permit:
        permit.cancel()


async def _try_admit(gate: Gate, lane: Any) -> None:
    gate.explain(lane)
    async with gate.try_admit(lane) as permit:
        permit.cancel()


async def _place(gate: Gate, dial: Any, lane: Any, timeout: Any, attempts: Any, again: Any) -> None:
    await gate.place(dial, lane=lane, timeout=timeout, attempts=attempts, idempotent=again)


async def _note(gate: Gate, started: Any, ended: Any, refused: Any) -> None:
    with suppress(TypeError, ValueError):
        gate.note_answered(started)
    gate.note_ended(ended, refused=refused)


async def _permit(gate: Gate, call_id: Any, other: Any, status: Any) -> None:
    permit: Permit
    async with gate.admit("urgent", timeout=60) as permit:
        with suppress(TypeError, ValueError):
            permit.placed(call_id)
        with suppress(CallGuardError, TypeError, ValueError):
            permit.placed(other)
        permit.refused(status)
    permit.ended()


async def _lane(_gate: Gate, name: Any, priority: Any, reserve: Any, burst: Any, wait: Any) -> None:
    session = FakeSession(in_turn(limits_reply(current=0, limit=3)))
    lane = Lane(name, priority=priority, reserve=reserve, burst=burst, max_wait=wait)
    await _open_with(session, lanes=[lane, Lane("default", max_waiting=5, default=True)])
    Lane("urgent", max_waiting=priority, default=reserve)


async def _open(_gate: Gate, odd: Any) -> None:
    session = FakeSession(in_turn(limits_reply(current=0, limit=3)))
    for name in OF_OPEN_GATE:
        await _open_with(session, **{name: odd})


OF_OPEN_GATE = (
    *("lanes", "ttl", "max_age", "counts_ringing", "listener", "track", "refused"),
    *("ring_limit", "counter_lag", "min_interval"),
)


async def _open_with(session: FakeSession, **arguments: Any) -> None:
    with suppress(CallGuardError, TypeError, ValueError):
        async with open_gate("key_fuzzed", session=session, **arguments) as gate:
            with suppress(CallGuardError, ArithmeticError):
                async with gate.admit("default", timeout=60) as permit:
                    permit.cancel()


async def _fetch(_gate: Gate, key: Any, url: Any, ttl: Any, timeout: Any, newer_than: Any) -> None:
    session = FakeSession(in_turn(limits_reply()))
    with suppress(CallGuardError, TypeError, ValueError):
        LimitFetcher(key, base_url=url, session=session, ttl=ttl, deadline=timeout)
    async with LimitFetcher("key_fuzzed", session=session) as fetcher:
        with suppress(TimeoutError):  # a moment in the future is waited for
            async with asyncio.timeout(1.0):
                await fetcher.get(newer_than=newer_than)


async def _ledger(_gate: Gate, url: Any, name: Any, lease: Any, timeout: Any) -> None:
    with suppress(CallGuardError, TypeError, ValueError):
        RedisLedger(url, name=name, lease=lease, timeout=timeout)
    RedisLedger.from_url(url, name=name, lease=lease, timeout=timeout)


SAYINGS: tuple[tuple[Any, ...], ...] = (
    (_admit, "urgent", None),
    (_admit, "default", 60.0),
    (_try_admit, "urgent"),
    (_place, _async, "urgent", None, 3, False),
    (_place, _async, None, 60.0, 3, True),
    (_note, "call_1", "call_2", False),
    (_permit, "call_1", None, None),
    (_lane, "urgent", 0, 0, 0, None),
    (_open, "redis://localhost"),
    (_fetch, "key_fuzzed", None, 1.0, 5.0, None),
    (_ledger, "redis://localhost", None, 10.0, 2.0),
)
"""What a caller says, and what it usually gives."""
