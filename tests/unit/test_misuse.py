"""Whatever is passed or written wrongly is refused at the call, by its name and with the fix."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import functools
import json
import math
import pickle
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

import aiohttp
import httpx
import pytest
import redis
import redis.asyncio

import callguard
from callguard import (
    CallGuardError,
    Gate,
    Lane,
    LimitFetcher,
    LimitsRejected,
    LimitsUnavailable,
    MissingExtra,
    Permit,
    RedisLedger,
    UsageError,
)
from callguard.events import Event
from callguard.testing import ScriptedSource
from callguard.webhooks import handler, receive
from tests.support.virtual_time import run
from tests.unit.gate.support import Refusal, opened
from tests.unit.webhooks.support import KEY as KEY_OF_WEBHOOKS
from tests.unit.webhooks.support import Witness, body_of, now, signed

KEY = "key_x"


async def _async(*_: object) -> bool:
    return True


class AsyncCallable:
    async def __call__(self, *_: object) -> None:
        pass


Case = tuple[str, Any, str]


def _each(name: str, values: Iterable[Any], fix: str) -> list[Case]:
    return [(name, value, fix) for value in values]


def _lanes() -> Iterator[Any]:
    yield "urgent"


LANES: list[tuple[Any, str]] = [
    (["urgent"], r"write Lane\('urgent'\)"),
    (("bulk", Lane("a")), r"write Lane\('bulk'\)"),
    ([Lane("a"), "urgent"], r"write Lane\('urgent'\)"),
    ({"urgent": 1}, r"write Lane\('urgent'\)"),
    (_lanes(), r"write Lane\('urgent'\)"),
    (Lane("urgent"), r"\[Lane"),
    ("urgent", r"\[Lane"),
    (None, r"\[Lane"),
    (5, r"\[Lane"),
    (Lane, r"\[Lane"),
    ([Lane("a"), Lane("a")], "names of their own, and two are 'a'"),
    ([Lane("a", default=True), Lane("b"), Lane("c", default=True)], "one default .*'a' and 'c'"),
    ([Lane], "callguard.Lane only"),
    ([None], "callguard.Lane only"),
    ([["urgent"]], "callguard.Lane only"),
]
SECONDS: list[Any] = ["5", None, [5], True, object(), b"5", 5j, float, Exception()]
RANGE: list[Any] = [-1, math.nan, math.inf, Decimal("NaN"), Decimal(-1), -(10**400)]
NO_FLAG: list[Any] = ["no", 1, 0, "True", [], object()]
NO_WHOLE: list[Any] = ["5", 1.5, True, None, [5], Decimal(5)]

OPEN_GATE: list[Case] = [
    *(("lanes", value, fix) for value, fix in LANES),
    *(
        (name, value, f"{name} must be")
        for name in ("ttl", "max_age", "ring_limit", "counter_lag", "min_interval")
        for value in [*SECONDS, *RANGE]
    ),
    *_each("counts_ringing", NO_FLAG, "True or False"),
    *_each("allow_plain_http", [*NO_FLAG, None], "True or False"),
    *_each("listener", ("x", 5, [5], {"x": 5}, [print, None]), "a plain function of an event"),
    *_each("listener", (_async, AsyncCallable(), [print, _async]), "is async: write"),
    ("listener", functools.partial(_async, 1), "is async: write"),
    *_each("refused", ("x", 429, [429]), "a plain function of an exception"),
    *_each("refused", (_async, AsyncCallable()), "is async: write"),
    *_each("track", ("asks", True, ["ask"], {"ask"}, 5), '"ask" or None'),
    *_each("ledger", (5, b"redis://x", RedisLedger, ["redis"]), "ledger must be"),
    *_each("session", ("x", 5, {}, aiohttp.ClientSession), "aiohttp.ClientSession"),
    ("session", httpx.Client, "aiohttp.ClientSession"),
    *_each("api_key", (5, b"key", ["key"], object(), "k e y", ""), "(?i)api.key"),
    *_each("base_url", (5, b"https://x", ["https://x"], "", "x"), "base_url"),
]


def _named(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("name", "value", "fix"),
        cases,
        ids=[f"{name}-{type(value).__name__}" for name, value, _ in cases],
    )


@_named(OPEN_GATE)
def test_an_argument_of_open_gate_is_refused_at_the_call(name: str, value: Any, fix: str) -> None:
    """A wrong argument would change what the gate promises, or fail far from where it stands."""
    arguments: dict[str, Any] = {"api_key": KEY, name: value}
    with pytest.raises((TypeError, ValueError, UsageError), match=fix) as caught:
        callguard.open_gate(**arguments)
    assert name in str(caught.value) or name == "api_key"


LANE: list[Case] = [
    *_each("default", [*NO_FLAG, None], "lane 'urgent': default must be True or False"),
    *(
        ("name", value, "name must be text")
        for value in ("", None, 5, b"urgent", ["urgent"], "\ud83d")
    ),
    *_each("priority", NO_WHOLE, "whole number"),
    *_each("reserve", [*NO_WHOLE, -1, 2**31], "reserve must be"),
    *_each("burst", [*NO_WHOLE, "some", "ALL", -1, 2**31], "burst"),
    *_each("max_wait", ("5", True, [5], -1, math.nan, object()), "max_wait"),
    *_each("max_waiting", ("5", True, [5], -1, 2.5, 2**31), "max_waiting"),
]


@_named(LANE)
def test_an_argument_of_a_lane_is_refused_at_the_call(name: str, value: Any, fix: str) -> None:
    """A typing error would become a rule that nobody meant."""
    arguments: dict[str, Any] = {"name": "urgent", name: value}
    with pytest.raises((TypeError, ValueError), match=fix):
        Lane(**arguments)


FETCHER: list[Case] = [
    *(
        (name, value, f"{name} must be")
        for name in ("ttl", "timeout", "deadline")
        for value in [*SECONDS, *RANGE, 0]
    ),
    *(case for case in OPEN_GATE if case[0] in {"api_key", "base_url", "session"}),
    *_each("allow_plain_http", NO_FLAG, "True or False"),
]


@_named(FETCHER)
def test_an_argument_of_a_fetcher_is_refused_at_the_call(name: str, value: Any, fix: str) -> None:
    """A fetcher would fail at its first reading, far from where it was made."""
    arguments: dict[str, Any] = {"api_key": KEY, name: value}
    with pytest.raises((TypeError, ValueError, UsageError), match=fix):
        LimitFetcher(**arguments)


@pytest.mark.parametrize("moment", ["5", [5], True, object(), math.nan, math.inf, 10**400])
def test_a_moment_that_never_comes_is_refused(moment: Any) -> None:
    """Whoever asks for a reading from after it would wait for ever."""

    async def main() -> None:
        async with LimitFetcher(KEY) as fetcher:
            with pytest.raises((TypeError, ValueError), match="newer_than must be a moment"):
                await fetcher.get(newer_than=moment)

    run(main())


LEDGER: list[Case] = [
    *(
        (name, value, f"{name} must be")
        for name in ("lease", "timeout")
        for value in [*SECONDS, 0, -1]
    ),
    ("lease", 3.0, "at least twice timeout"),
    *_each("name", (5, "", b"ledger", ["ledger"], "\ud83d"), "name .*must be text"),
    *_each("local_share", ("5", 1.5, True, [1], -1), "local_share must be"),
    ("client", "redis://localhost", r"RedisLedger\.from_url"),
    *(
        ("client", value, r"redis\.asyncio\.Redis")
        for value in (5, None, redis.Redis(), redis.asyncio.Redis)
    ),
]


@_named(LEDGER)
def test_an_argument_of_a_ledger_is_refused_at_the_call(name: str, value: Any, fix: str) -> None:
    """A ledger would fail at its first exchange, or keep its ledger under a name that isn't one."""
    arguments: dict[str, Any] = {"client": redis.asyncio.Redis(), name: value}
    with pytest.raises((TypeError, ValueError), match=fix):
        RedisLedger(**arguments)
    if name != "client":
        with pytest.raises((TypeError, ValueError), match=fix):
            RedisLedger.from_url("redis://localhost", **{name: value})


@pytest.mark.parametrize("url", [5, None, b"redis://localhost", ["redis://localhost"], ""])
def test_an_address_that_is_none_is_refused(url: Any) -> None:
    """An address of another type would fail inside of redis-py."""
    with pytest.raises((TypeError, UsageError), match="address"):
        RedisLedger.from_url(url)


WITH_LANE: dict[str, Callable[[Gate, Any], object]] = {
    "admit": lambda gate, lane: gate.admit(lane),
    "try_admit": lambda gate, lane: gate.try_admit(lane),
    "explain": lambda gate, lane: gate.explain(lane),
    "place": lambda gate, lane: gate.place(_dial, lane=lane).send(None),
}


async def _dial(_permit: Permit) -> None:
    pass


@pytest.mark.parametrize("lane", [5, 5.0, ["urgent"], {"urgent"}, b"urgent", Lane, True, object()])
@pytest.mark.parametrize("way", WITH_LANE)
def test_a_lane_that_is_none_is_refused_at_the_call(way: str, lane: Any) -> None:
    """A timeout in the lane's place would be told in words that don't help."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            with pytest.raises(TypeError, match=r"lane must be .*timeout=\.\.\."):
                WITH_LANE[way](gate, lane)

    run(main())


IN_PLACE_OF_ENTERING: dict[str, tuple[Callable[[Gate], Any], str]] = {
    "await admit": (lambda gate: gate.admit(), r"async with gate\.admit\(\) as permit:"),
    "await try_admit": (
        lambda gate: gate.try_admit(),
        r"async with gate\.try_admit\(\) as permit:",
    ),
    "await open_gate": (
        lambda _: callguard.open_gate(KEY),
        r"async with callguard\.open_gate\(\) as gate:",
    ),
}


async def _await(what: Any) -> None:
    await what


async def _wait_for(what: Any) -> None:
    await asyncio.wait_for(what, 5.0)


async def _with(what: Any) -> None:
    with what:
        pass


async def _if(what: Any) -> None:
    if what:
        pass


@pytest.mark.parametrize("slip", [_await, _wait_for, _with, _if])
@pytest.mark.parametrize("what", IN_PLACE_OF_ENTERING)
def test_what_is_not_entered_says_how(what: str, slip: Callable[[Any], Any]) -> None:
    """Who forgets `async with` would dial past the gate, or learn nothing from Python's error."""
    make, how = IN_PLACE_OF_ENTERING[what]

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            with pytest.raises(UsageError, match=how):
                await slip(make(gate))
            assert gate.statistics().admitted == 0

    run(main())


def test_the_short_form_needs_async_too() -> None:
    """`with gate:` would fail in words about protocols."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            with pytest.raises(UsageError, match="async with gate:"):
                await _with(gate)

    run(main())


@pytest.mark.parametrize("name", ["admit", "try_admit", "place", "statistics", "explain", "id"])
def test_what_open_gate_gives_is_no_gate_yet(name: str) -> None:
    """Who forgets to enter would be told of an attribute of a class that nobody knows."""
    with pytest.raises(AttributeError, match=r"async with callguard\.open_gate\(\) as gate:"):
        getattr(callguard.open_gate(KEY), name)


@pytest.mark.parametrize(
    "name",
    ["placed", "answered", "ended", "refused", "cancel", "id", "number", "tier", "lost"],
)
def test_an_admission_is_no_permit_yet(name: str) -> None:
    """Who forgets to enter would be told of an attribute of a class that nobody knows."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            with pytest.raises(UsageError, match=r"async with gate\.admit\(\) as permit:"):
                found = getattr(gate.admit(), name)
                found()

    run(main())


def test_one_open_gate_opens_one_gate() -> None:
    """A second gate would share what the first one closes."""

    async def main() -> None:
        opening = callguard.open_gate(KEY, base_url="http://localhost:1", session=_Unplugged())  # type: ignore[arg-type]
        async with opening:
            with pytest.raises(UsageError, match="call it anew"):
                await opening.__aenter__()
        with pytest.raises(UsageError, match="call it anew"):
            await opening.__aenter__()

    run(main())


class _Unplugged:
    def get(self, *_: object, **__: object) -> Any:
        raise OSError("no network")


@pytest.mark.parametrize(
    "call_id", [5, b"call_1", ["call_1"], {"call_id": "call_1"}, object(), "", "\ud83d"]
)
def test_an_id_that_is_none_is_refused_at_the_call(call_id: Any) -> None:
    """An answer in the place of its id would never be found again, or break the ledger."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            async with gate.admit() as permit:
                for say in (permit.placed, gate.note_answered, gate.note_ended):
                    with pytest.raises(
                        (TypeError, ValueError), match=r"call_id must be text.*call\.call_id"
                    ):
                        say(call_id)
                assert gate.statistics().usage.dialling == 1
                permit.cancel()
            assert gate.statistics().usage.total == 0

    run(main())


@pytest.mark.parametrize("flag", NO_FLAG)
def test_a_flag_of_another_type_is_refused_at_the_call(flag: Any) -> None:
    """ "no" would be taken for yes: a call would be dialled twice, or a refusal noted."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            with pytest.raises(TypeError, match="idempotent must be True or False"):
                await gate.place(_dial, idempotent=flag)
            with pytest.raises(TypeError, match="refused must be True or False"):
                gate.note_ended("call_1", refused=flag)
            assert gate.statistics().admitted == 0

    run(main())


@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        *(({"body": each}, "body must be the bytes") for each in ("{}", None, 5, {"event": "x"})),
        *(({"signature": each}, "signature must be") for each in (b"v=1", 5, ["v=1"])),
        *(({"gate": each}, "gate must be an open gate") for each in ("x", None, Gate.admit)),
        ({"tolerance": "300"}, "tolerance must be"),
    ],
)
def test_what_is_no_delivery_is_refused_by_name(arguments: dict[str, Any], fix: str) -> None:
    """A parsed body would be called forged, and the fault be looked for at the provider."""
    body = body_of("call_ended")
    given = {"gate": Witness(), "body": body, "signature": signed(body), "now": now, **arguments}
    with pytest.raises(TypeError, match=fix):
        receive(api_key=KEY_OF_WEBHOOKS, **given)


def test_a_route_needs_a_gate_that_is_open() -> None:
    """Every delivery would fail, and only in the provider's log."""
    for gate in ("x", None, callguard.open_gate(KEY)):
        with pytest.raises(TypeError, match="gate must be an open gate"):
            handler(gate, api_key=KEY)  # type: ignore[arg-type]


NUMBERS = ["+14155550100", "+1 (415) 555-0100", "14155550100", "415.555.0100", "+49 30 901820 10"]


def _never(number: str, text: str) -> None:
    assert number not in text
    digits = "".join(filter(str.isdigit, number))
    assert digits not in "".join(filter(str.isdigit, text))


@pytest.mark.parametrize("number", NUMBERS)
def test_a_phone_number_is_in_no_error(number: str) -> None:
    """A number passed in the wrong place would end in somebody's error tracker."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5), Lane("urgent")) as gate:
            attempts: list[Callable[[], object]] = [
                lambda: gate.admit(number),
                lambda: gate.admit(timeout=number),  # type: ignore[arg-type]
                lambda: gate.try_admit(number),
                lambda: gate.explain(number),
                lambda: gate.admit({"to_number": number}),  # type: ignore[arg-type]
                lambda: gate.note_ended({"from_number": number}),  # type: ignore[arg-type]
                lambda: callguard.open_gate(KEY, ttl=number),  # type: ignore[arg-type]
                lambda: callguard.open_gate(KEY, lanes=[number]),  # type: ignore[list-item]
                lambda: callguard.open_gate(KEY, lanes=[{"from_number": number}]),  # type: ignore[list-item]
                lambda: callguard.open_gate(KEY, track=number),  # type: ignore[arg-type]
                lambda: callguard.open_gate(KEY, listener=number),  # type: ignore[arg-type]
                lambda: callguard.open_gate(number + " "),
                lambda: callguard.open_gate(KEY, base_url=number),
                lambda: callguard.open_gate(KEY, ledger=number),
                lambda: Lane(number, reserve=-1),
                lambda: Lane("a", burst=number),  # type: ignore[arg-type]
                lambda: receive(gate, number.encode(), None, api_key=KEY),
            ]
            for attempt in attempts:
                with pytest.raises((TypeError, ValueError, callguard.CallGuardError)) as caught:
                    attempt()
                _never(number, str(caught.value))
            for dial in (number, {"to_number": number}):
                with pytest.raises(TypeError) as caught:
                    await gate.place(dial)  # type: ignore[arg-type]
                _never(number, str(caught.value))

    run(main())


@pytest.mark.parametrize("number", NUMBERS)
def test_a_phone_number_is_in_no_log_line(number: str, caplog: pytest.LogCaptureFixture) -> None:
    """What a user's callback or exception holds would end in the log of everybody's calls."""

    @dataclasses.dataclass
    class Campaign:
        from_number: str

        def listen(self, event: Event) -> None:
            raise KeyError(self.from_number)

        def refused(self, error: Exception) -> bool:
            raise ValueError(f"what of {self.from_number}?")

    campaign = Campaign(number)

    async def main() -> None:
        judge = functools.partial(campaign.refused)
        async with opened(
            ScriptedSource(limit=5), listener=functools.partial(campaign.listen), refused=judge
        ) as gate:
            with pytest.raises(RuntimeError):
                async with gate.admit():
                    raise RuntimeError(f"400: to_number {number} is not valid")

    run(main())
    assert "listen failed on Admitted" in caplog.text
    assert "refused failed on RuntimeError" in caplog.text
    assert "KeyError" in caplog.text
    _never(number, caplog.text)


def _there_and_back(it: Any) -> Any:
    return pickle.loads(pickle.dumps(it))


def test_statistics_are_plain_data() -> None:
    """Somebody's dashboard could not send, keep or copy a gate's numbers."""

    async def main() -> None:
        fetcher = ScriptedSource()
        fetcher.answer(limit=20, current=3, burst_limit=60)
        async with opened(fetcher, Lane("urgent", burst=5)) as gate:
            with pytest.raises(Refusal):
                async with gate:
                    raise Refusal
            picture = gate.statistics()
            as_dict = dataclasses.asdict(picture)
            assert json.loads(json.dumps(as_dict)) == as_dict
            assert as_dict["usage"]["reported"] == 3
            assert as_dict["ceilings"]["urgent"]["burst"] == 25
            for way in (copy.copy, copy.deepcopy, _there_and_back):
                assert way(picture) == picture
            assert dataclasses.replace(picture, admitted=7).admitted == 7
            picture.waiting["urgent"] = 99  # type: ignore[index]
            picture.readings["taken"] = 99  # type: ignore[index]
            assert gate.statistics().waiting["urgent"] == 0
            assert gate.statistics().readings["taken"] == 1

    run(main())


def test_what_is_shown_is_plain_data() -> None:
    """A decision, an event or an error could not be sent to another process, or logged."""
    heard: list[Event] = []

    async def main() -> None:
        async with opened(ScriptedSource(limit=1), listener=heard.append) as gate:
            decision = gate.explain()
            async with gate:
                with pytest.raises(callguard.AdmissionTimeout) as caught:
                    async with gate.admit(timeout=0.5):
                        pass
            heard.append(decision)  # type: ignore[arg-type]
            error = pickle.loads(pickle.dumps(caught.value))
            assert str(error) == str(copy.copy(caught.value)) == str(caught.value)
            assert error.decision == caught.value.decision

    run(main())
    for each in heard:
        assert pickle.loads(pickle.dumps(each)) == each
        assert copy.deepcopy(each) == each
        json.dumps(dataclasses.asdict(each))


@pytest.mark.parametrize(
    "error",
    [
        LimitsUnavailable("HTTP 503", 7.0, 503),
        LimitsRejected("HTTP 404", 404),
        UsageError("is wrong", subject="base_url", missing="api_key", remedy="pass api_key"),
        MissingExtra("a ledger needs redis-py", "redis", "pip install redis"),
    ],
)
def test_what_an_error_knows_survives_a_copy(error: CallGuardError) -> None:
    """A caller in the crowd, or of a process pool, would get an error without its data, or none."""
    for again in (copy.copy(error), copy.deepcopy(error), _there_and_back(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)
