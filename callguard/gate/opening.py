"""`open_gate`: checks its arguments, and opens a gate that has read its limits."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import partial, wraps
from inspect import iscoroutinefunction
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, ParamSpec

from callguard.arguments import (
    checked_callbacks,
    checked_choice,
    checked_flag,
    checked_seconds,
)
from callguard.errors import UsageError
from callguard.fetcher import FixedLimit, LimitFetcher
from callguard.fetcher.settings import checked_api_key, checked_base_url
from callguard.gate.asking import Questions
from callguard.gate.assembly import Parts, assemble
from callguard.gate.entered import Entered
from callguard.gate.gate import Gate
from callguard.gate.refusal import Judge
from callguard.lanes import Lane, checked_lanes
from callguard.ledger import MemoryLedger, Times, workspace_hash
from callguard.showing import shown
from callguard.source import LimitSource
from callguard.trunks import Trunk, checked_trunks

if TYPE_CHECKING:
    import aiohttp

    from callguard.events import Listener
    from callguard.ledger import RedisLedger

__all__ = ["OPENS_WITHIN", "connect", "open_gate"]

logger = logging.getLogger("callguard")

OPENS_WITHIN: Final = 2.0
"""Seconds that opening waits for the first snapshot: longer than a healthy provider takes to
answer, but short for somebody who starts a program. Our own choice."""


def open_gate(
    api_key: str | None = None,
    *,
    base_url: str | None = None,
    session: aiohttp.ClientSession | None = None,
    source: LimitSource | None = None,
    lanes: Iterable[Lane] = (),
    cps: float | None = 1.0,
    trunks: Iterable[Trunk] = (),
    ttl: float = 1.0,
    max_age: float = 15.0,
    counts_ringing: bool | None = None,
    ring_limit: float = 30.0,
    counter_lag: float = 2.0,
    min_interval: float = 0.25,
    reserved_inbound: Literal["total", "outbound"] = "total",
    ends_free_at_once: bool = False,
    refused: Callable[[Exception], bool] | None = None,
    listener: Listener | Iterable[Listener] | None = None,
    track: Literal["ask"] | None = "ask",
    ledger: RedisLedger | str | None = None,
    allow_plain_http: bool = False,
) -> Opening:
    """Open a gate in front of one workspace: ``async with callguard.open_gate() as gate:``.

    It reads the limits once, and waits for them up to 2 s, or with a shared ledger up to its
    `timeout` more. During an outage the gate opens too, and callers wait until the outage is over.
    Leaving the block, or cancelling it, raises `GateClosed` in callers that still wait, and ends
    every background task.

    Args:
        api_key: the workspace's key; else the environment's `RETELL_API_KEY`.
        base_url: the provider's address; else the environment's `RETELL_BASE_URL`, else the
            production server.
        session: an aiohttp session to use, which stays open; else the gate makes its own.
        source: the source of the limits, for a workspace of another provider, or a `FixedLimit`.
            It excludes `api_key` and `session`, and a shared ledger then needs a name.
            None for the gate's own `LimitFetcher`.
        lanes: the classes of calls. If there are any, each call names its lane, or uses the one
            with ``default=True``; if not, there is one plain lane, ``"default"``.
        cps: calls that may start per second, evenly spaced, on the default trunk, which is the one
            of calls that name none; None for any number. The default is the provider's, for all of
            its trunks (docs.retellai.com/deploy/outbound-call, read 2026-11-22).
        trunks: further ways to the telephone network, each with its own rate, and the most calls
            that it takes at once; see `Trunk`.
        ttl: seconds between two readings while somebody waits; in an outage the wait doubles with
            each failure, up to 5 s.
        max_age: seconds that a snapshot may be trusted if it can't be renewed.
        counts_ringing: whether the provider's count includes calls that still ring. None, for
            unknown, is as safe as False, and a gate with a ledger of its own then learns from
            evidence whether it does (the event `RingingLearnt`). True and False switch that off.
        ring_limit: seconds that a call rings at most. The default is the provider's (SDK 6.2.13,
            `ring_duration_ms`); an agent may be set to ring for up to 300 s.
        counter_lag: seconds by which the provider's count is late, at most. The provider publishes
            nothing; the default is twice the second that the simulator assumes.
        min_interval: seconds between two readings, at least, even if one is brought forward, and
            from a reading's request to a second one if the answer is late.
        reserved_inbound: which calls leave the slots free that are reserved for inbound calls:
            ``"total"`` for all together, which is safe; ``"outbound"`` for the gate's own alone, so
            that inbound calls in progress cost outbound ones nothing. The provider documents the
            second (docs.retellai.com/deploy/concurrency, read 2026-11-22), but a gate can't find
            out whether it is so (``callguard probe --at-the-limit`` can), and gives it up at the
            first refusal (the event `GivenUp`). It assumes that what others add is inbound: web
            calls and batches are not. It needs evidence of ends. On a shared ledger it has an
            effect while all gates set it.
        ends_free_at_once: whether a call that is known to be over makes room at once, and not when
            the count falls. It needs the provider's own time of the end, from webhooks
            (``end_timestamp``, docs.retellai.com/features/webhook-overview, read 2026-11-22) or
            asking, and the ``Date`` of the provider's answers. It assumes that the provider refuses
            calls by those that are really going on, or that its count falls at once. A gate can't
            find that out (``callguard probe`` can), and gives the setting up at the first refusal
            (the event `GivenUp`). With a `FixedLimit` it changes nothing. On a shared ledger all
            gates should set it: one that doesn't goes by the count, and makes the others forget
            which calls are over.
        refused: a function that says whether an exception from the block means that the provider
            refused the call, for dials through another address or another client. None for a
            status of 429 in the provider's own answer to the dial, as in the exceptions of
            retell-sdk, httpx, aiohttp and requests; the answer of another service is no refusal.
        listener: called with every event; or several, such as a list; see `callguard.events`.
        track: ``"ask"`` to ask the provider, while callers wait, about the placed calls that a
            reading may have missed: one list-calls for each reading, and no more than about one a
            second. None not to ask. A gate with a `source` of its own asks nobody.
        ledger: a ledger that gates in other processes share: a `RedisLedger`, or its server's
            address, such as ``redis://localhost:6379``. None for a ledger in memory.
        allow_plain_http: whether the key may travel unencrypted to another machine.

    Raises:
        LimitsRejected: the provider refused the key. Later, while callers wait, that takes two
            refusals in a row; any other answer of the provider is an outage.
        UsageError: there is no key, or the address can't be used.
        TypeError: an argument has the wrong type; raised at the call, before anything is opened.
        ValueError: a time is not a number of seconds in its range, a rate can't be right, two lanes
            or trunks share a name, or two lanes are the default.
    """
    times = _checked_times(ttl, max_age, counts_ringing, ring_limit, counter_lag, min_interval)
    times = _times_of(source, times)
    checked_choice("track", track, "ask", None)
    listeners = () if listener is None else checked_callbacks("listener", listener, "an event")
    every_trunk = checked_trunks(trunks, cps)
    _check_ledger(ledger)
    beliefs = _checked_beliefs(reserved_inbound, ends_free_at_once, source)
    if source is None:
        origin = _of_retell(api_key, base_url, session, times, track, allow_plain_http)
    else:
        nothing = {"api_key": api_key, "session": session}
        origin = _of_the_user(source, base_url, nothing, ledger)
    parts = partial(
        assemble,
        lanes=checked_lanes(lanes),
        trunks=every_trunk,
        times=times,
        judge=Judge(origin.base_url, refused),
        listeners=listeners,
        questions=origin.questions,
        clock=None if origin.fetcher is None else origin.fetcher.clock,
    )
    own = _ledger_at(ledger) if isinstance(ledger, str) else None
    shared = own if isinstance(ledger, str) else ledger
    kept = shared or MemoryLedger(times, every_trunk, **beliefs)
    return Opening(partial(_opened, parts, origin, times, kept, own, every_trunk, beliefs))


@dataclass(slots=True, eq=False, repr=False)  # so that nobody shows the secret
class _Origin:
    """The origin of the limits.

    Attributes:
        source: reads the limits.
        fetcher: the source, if it is the gate's own, to be closed with it.
        secret: the secret from which the name of an unnamed shared ledger is made.
        base_url: the provider's address.
        questions: asks about calls; None not to ask.
    """

    source: LimitSource
    fetcher: LimitFetcher | None
    secret: str
    base_url: str
    questions: Questions | None


def _of_retell(
    api_key: str | None,
    base_url: str | None,
    session: aiohttp.ClientSession | None,
    times: Times,
    track: str | None,
    allow_plain_http: bool,
) -> _Origin:
    key = checked_api_key(api_key)
    fetcher = LimitFetcher(
        key,
        base_url=base_url,
        session=session,
        ttl=times.ttl,
        attempts=1,
        min_interval=times.min_interval,
        allow_plain_http=allow_plain_http,
    )
    return _Origin(fetcher, fetcher, key, fetcher.base_url, fetcher if track else None)


def _of_the_user(
    source: LimitSource,
    base_url: str | None,
    nothing: Mapping[str, object],
    ledger: RedisLedger | str | None,
) -> _Origin:
    if isinstance(source, type) or not iscoroutinefunction(getattr(source, "get", None)):
        raise TypeError(
            "source must have a method `async def get(*, newer_than=None)`, see "
            f"callguard.LimitSource; got {shown(source)}"
        )
    for name, value in nothing.items():
        if value is not None:
            raise UsageError(f"{name} is for reading Retell AI's limits, and source=... reads them")
    if isinstance(ledger, str) or (ledger is not None and not ledger.is_named):
        raise UsageError(
            "no API key names the ledger of a source: give it a name that all workers know, as in "
            'callguard.RedisLedger.from_url(url, name="production")'
        )
    return _Origin(source, None, "", checked_base_url(base_url, allow_plain_http=True), None)


def _checked_times(
    ttl: float,
    max_age: float,
    counts_ringing: bool | None,
    ring_limit: float,
    counter_lag: float,
    min_interval: float,
) -> Times:
    ttl = checked_seconds("ttl", ttl, above_zero=True)
    max_age = checked_seconds("max_age", max_age, above_zero=True)
    ring_limit = checked_seconds("ring_limit", ring_limit, above_zero=False)
    counter_lag = checked_seconds("counter_lag", counter_lag, above_zero=False)
    min_interval = checked_seconds("min_interval", min_interval, above_zero=False)
    if counts_ringing is not None:
        checked_flag("counts_ringing (unless None)", counts_ringing)
    if max_age < ttl:
        raise ValueError(f"max_age must be at least ttl, {ttl!r} s, got {max_age!r}")
    return Times(
        counted_after=counter_lag if counts_ringing else ring_limit + counter_lag,
        counter_lag=counter_lag,
        ttl=ttl,
        min_interval=min_interval,
        max_age=max_age,
        ring_limit=ring_limit,
        learns=counts_ringing is None,
    )


def _checked_beliefs(
    reserved_inbound: str,
    ends_free_at_once: bool,
    source: LimitSource | None,
) -> dict[str, bool]:
    """What a ledger believes of the provider, by the names of its arguments."""
    checked_choice("reserved_inbound", reserved_inbound, "total", "outbound")
    checked_flag("ends_free_at_once", ends_free_at_once)
    has_count = not isinstance(source, FixedLimit)  # without a count ends free at once anyway
    ends_free = ends_free_at_once and has_count
    return {"inbound_apart": reserved_inbound == "outbound", "ends_free": ends_free}


def _times_of(source: LimitSource | None, times: Times) -> Times:
    if isinstance(source, FixedLimit):  # its snapshots never count a call
        longest = source.longest_call
        return times._replace(counted_after=longest, counter_lag=longest, learns=False)
    return times


class Opening(Entered, AbstractAsyncContextManager[Gate, None]):
    """The context manager that `open_gate` returns. Entering it, once, opens the gate."""

    __slots__ = ("_gate", "_open", "_used")

    _how = "async with callguard.open_gate() as gate:"

    def __init__(self, opens: Callable[[], Awaitable[Gate]]) -> None:
        self._open = opens
        self._used = False
        self._gate: Gate | None = None

    async def __aenter__(self) -> Gate:
        if self._used:
            raise UsageError("one open_gate() opens one gate, and was entered before: call it anew")
        self._used = True
        self._gate = await self._open()
        return self._gate

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._gate is not None:
            await self._gate.aclose()


P = ParamSpec("P")


def _connecting(opens: Callable[P, Opening]) -> Callable[P, Coroutine[Any, Any, Gate]]:
    @wraps(opens)
    async def connect(*args: P.args, **options: P.kwargs) -> Gate:
        return await opens(*args, **options).__aenter__()

    connect.__name__ = connect.__qualname__ = "connect"
    connect.__doc__ = """Open a gate without a block: ``gate = await callguard.connect()``.

    This is for frameworks with start and stop hooks. It takes the arguments of `open_gate`, and
    raises the same errors. The caller has to close the gate: ``await gate.aclose()``. Cancelling
    this leaves nothing behind.
    """
    return connect


connect = _connecting(open_gate)


async def _opened(
    parts_of: Callable[..., Parts],
    origin: _Origin,
    times: Times,
    ledger: RedisLedger | MemoryLedger,
    own: RedisLedger | None,
    trunks: Sequence[Trunk],
    beliefs: Mapping[str, bool],
) -> Gate:
    """Open a gate with its parts, which are closed with it, except a ledger that isn't its `own`.

    The gate has read its limits, or opens without them during an outage.
    """
    async with AsyncExitStack() as stack:
        if origin.fetcher is not None:
            await stack.enter_async_context(origin.fetcher)
        if own is not None:
            await stack.enter_async_context(own)
        if isinstance(ledger, MemoryLedger):
            workspace = workspace_hash(origin.secret)
            parts = parts_of(origin.source, ledger, workspace=workspace)
        else:
            from callguard.gate.sharing import assembled_among_many

            sharing = assembled_among_many(
                parts_of,
                origin.source,
                origin.secret,
                times,
                ledger,
                trunks,
                **beliefs,
            )
            parts = await stack.enter_async_context(sharing)
        stack.push_async_callback(parts.aclose)
        await parts.read_first(OPENS_WITHIN)
        default = trunks[0]
        if default.cps is not None:
            logger.info(
                "calls start on the default trunk at %g a second at most; `cps` sets another rate",
                default.cps,
            )
        closing = AsyncExitStack()
        gate = Gate(parts, closing)
        if parts.reporter.teller is not None:
            parts.reporter.teller.opened(gate)
        closing.push_async_callback(stack.pop_all().aclose)
        return gate


def _ledger_at(address: str) -> RedisLedger:
    from callguard.ledger import RedisLedger

    return RedisLedger.from_url(address)


def _check_ledger(ledger: object) -> None:
    if ledger is None:
        return
    from callguard.ledger import RedisLedger

    if not isinstance(ledger, RedisLedger | str):
        raise TypeError(
            f"ledger must be an address, a RedisLedger or None, got {shown(ledger)}; a client of "
            "redis-py goes into RedisLedger(client)"
        )
