"""An independent workspace: it knows nothing of the library, and the truth at every instant."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any, Protocol

from tests.support.fake_network import Reply, hang
from tests.world.plan import LASTING, LATE_LIST, CallPlan, DialPlan, Plan, Rules

__all__ = ["Call", "DialError", "Provider", "Reading", "Refusal", "Watch"]

DIAL_TIMEOUT = 6.0
"""Seconds for which a caller waits for the answer to a request to place a call."""


KEY_REFUSED = 401


class DialError(Exception):
    """The provider failed; the call may have been placed."""

    status_code = 500


class Refusal(Exception):
    """The provider refused a call."""

    status_code = 429
    request = SimpleNamespace(url="https://api.retellai.com/v2/create-phone-call", method="POST")


@dataclass(slots=True, eq=False)
class Call:
    """A call as it really is; `key` is the idempotency key, "" where somebody else has dialled."""

    number: int
    key: str
    plan: CallPlan
    placed_at: float
    answered_at: float | None = None
    ended_at: float | None = None
    refused: bool = False
    timer: asyncio.TimerHandle | None = None

    @property
    def id(self) -> str:
        return f"call_{self.number}"

    @property
    def going_on(self) -> bool:
        return self.ended_at is None


@dataclass(slots=True, eq=False)
class Reading:
    """One request for the limits, and what it was answered.

    Attributes:
        outcome: "" while it is under way, then "ok", "transient" or "lasting".
        counted: the numbers of the calls that the count is made of.
        over_at: when the outcome was known.
        retry_after: seconds that the answer asked for.
        rejects: whether it says that the key is refused.
    """

    serial: int
    began: float
    outcome: str = ""
    counted: frozenset[int] = frozenset()
    rules: Rules | None = None
    over_at: float = 0.0
    retry_after: float = 0.0
    rejects: bool = False


class Watch(Protocol):
    """Who is told what happens, at the instant at which it does."""

    def call_began(self, call: Call) -> None: ...
    def call_answered(self, call: Call) -> None: ...
    def call_ended(self, call: Call) -> None: ...
    def dial_refused(self, key: str, *, for_room: bool) -> None: ...
    def reading_began(self, reading: Reading) -> None: ...
    def reading_over(self, reading: Reading) -> None: ...
    def call_told(self, call: Call) -> None: ...


@dataclass
class Provider:
    """The workspace, its counter, and its faults until `calm` is told.

    Attributes:
        calls: every call so far; a call's number is its index.
        going_on: the calls that go on, by number.
        rules: what the workspace allows now.
    """

    plan: Plan
    watch: Watch
    loop: asyncio.AbstractEventLoop
    calls: list[Call] = field(default_factory=list)
    going_on: dict[int, Call] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)
    is_calm: bool = False

    def __post_init__(self) -> None:
        self.rules = self.plan.rules[0][1]
        self._placed: dict[str, Call] = {}
        self._asked = 0

    # Calls ---------------------------------------------------------------------------------------

    async def dial(self, key: str, dial: DialPlan) -> str:
        """Ask for a call. Cancelling this doesn't call the request back."""
        if dial.kind == "no connection" and not self.is_calm:
            raise ConnectionRefusedError("no connection")
        reply: asyncio.Future[str] = self.loop.create_future()
        self.loop.call_later(dial.flight, self._arrive, key, dial, reply)
        async with asyncio.timeout(DIAL_TIMEOUT):
            return await reply

    def call_by_somebody_else(self) -> Call:
        """A call that nobody here has dialled; nobody stops it."""
        return self._begin("")

    def call_in_step_with(self, call: Call) -> Call:
        """A call by somebody else that begins now, and ends as this one ceases to ring."""
        plan = call.plan
        return self._begin("", CallPlan(0.0, True, plan.rings, plan.rise, plan.rise, (), ()))

    def call_of(self, key: str) -> Call | None:
        """The call that was placed under `key`."""
        return self._placed.get(key)

    def recorded(self, at: float | None) -> float | None:
        """A moment by the provider's own clock, where its records say any."""
        ahead = self.plan.ahead
        return None if at is None or ahead is None else at + ahead + self.plan.stamps_ahead

    def room(self) -> int:
        """Outbound calls that the provider still admits."""
        rules = self.rules
        bursts = rules.burst_enabled and rules.burst_limit > rules.limit
        most = rules.burst_limit if bursts else rules.limit
        room = most - len(self.going_on)
        if self.plan.refuses_by_count:
            now = self.loop.time()
            room -= sum(not each.going_on and self._shows(each, now) for each in self.calls)
        if not self.plan.inbound_apart:
            return room - rules.reserved_inbound
        outbound = sum(bool(call.key) for call in self.going_on.values())
        return min(room, most - rules.reserved_inbound - outbound)

    def become_calm(self, rules: Rules) -> None:
        """End all faults and all calls; those that come from now on are short."""
        self.is_calm = True
        self.rules = rules
        for call in list(self.going_on.values()):
            if call.timer is not None:
                call.timer.cancel()
            self._end(call)

    def _arrive(self, key: str, dial: DialPlan, reply: asyncio.Future[str]) -> None:
        kind = "ok" if self.is_calm else dial.kind
        call = self._placed.get(key)
        if kind in {"rate", "500 before"}:
            if kind == "rate":
                self.watch.dial_refused(key, for_room=False)
            self._answer(dial, reply, Refusal() if kind == "rate" else DialError())
            return
        if call is None and self._refuses():
            self.watch.dial_refused(key, for_room=True)
            if not self.plan.refuses_late:
                self._answer(dial, reply, Refusal())
                return
            call = self._end_at_once(key)
        if call is None:
            call = self._begin(key)
        if kind == "reset after":
            self._answer(dial, reply, ConnectionResetError("reset"))
        elif kind == "500 after":
            self._answer(dial, reply, DialError())
        elif kind != "reply lost":
            self._answer(dial, reply, call.id)

    def _refuses(self) -> bool:
        enforces = self.plan.enforces and self.loop.time() >= self.plan.misleads_until
        return enforces and self.room() < 1

    def _answer(self, dial: DialPlan, reply: asyncio.Future[str], what: str | Exception) -> None:
        def arrive() -> None:
            if reply.done():
                return
            if isinstance(what, str):
                reply.set_result(what)
            else:
                reply.set_exception(what)

        self.loop.call_later(dial.back, arrive)

    def _new(self, key: str, plan: CallPlan | None = None) -> Call:
        number = len(self.calls)
        plan = plan or self.plan.calls[number % len(self.plan.calls)]
        call = Call(number, key, plan, self.loop.time())
        self.calls.append(call)
        if key:
            self._placed[key] = call
        return call

    def _begin(self, key: str, plan: CallPlan | None = None) -> Call:
        call = self._new(key, plan)
        self.going_on[call.number] = call
        rings = min(call.plan.rings, 1.0) if self.is_calm else call.plan.rings
        call.timer = self.loop.call_later(rings, self._rung_out, call)
        self.watch.call_began(call)
        return call

    def _end_at_once(self, key: str) -> Call:
        call = self._new(key)
        call.refused = True
        call.ended_at = call.placed_at
        self.watch.call_ended(call)
        return call

    def _rung_out(self, call: Call) -> None:
        if not call.plan.answered:
            self._end(call)
            return
        call.answered_at = self.loop.time()
        talks = min(call.plan.talks, 2.0) if self.is_calm else call.plan.talks
        call.timer = self.loop.call_later(talks, self._end, call)
        self.watch.call_answered(call)

    def _end(self, call: Call) -> None:
        call.ended_at = self.loop.time()
        call.timer = None
        del self.going_on[call.number]
        self.watch.call_ended(call)

    # The counter ---------------------------------------------------------------------------------

    async def answer(self, method: str, url: str, headers: Mapping[str, str]) -> Reply:
        """The answer to any request of the gate's."""
        if "/v2/get-call/" in url:
            return await self._describe(url.rpartition("/")[2])
        reading = Reading(len(self.readings), self.loop.time())
        self.readings.append(reading)
        self.watch.reading_began(reading)
        there, back = self.plan.latencies[reading.serial % len(self.plan.latencies)]
        outcome = "transient"
        try:
            await _pass(there)
            fault = self._fault(reading.serial)
            reply = await self._reply(reading, fault)
            await _pass(back)
            outcome = _outcome(fault)
            if outcome == "transient":
                reading.retry_after = float(reply.headers.get("Retry-After", 0))
        finally:
            reading.outcome, reading.over_at = outcome, self.loop.time()
            self.watch.reading_over(reading)
        return reply

    async def _reply(self, reading: Reading, fault: str) -> Reply:
        match fault:
            case "hang":
                return await hang("GET", "", {})
            case "cut":
                raise ConnectionResetError("cut")
            case "500" | "503":
                return Reply.json({"status": "error"}, int(fault))
            case "429":
                return Reply.json({}, 429, Retry_After=f"{self.plan.retry_after:g}")
            case kind if kind in LASTING and (odd := self._odd(reading)):
                reading.rejects = odd == KEY_REFUSED
                return Reply.json({"status": "error"}, odd, Location="https://odd.test")
            case "401":
                reading.rejects = True
                return Reply.json({"status": "error", "message": "Invalid API Key."}, KEY_REFUSED)
            case "broken json":
                return Reply(body=b'{"current_concurrency": ')
            case "a list":
                return Reply.json([])
        payload = self._limits(reading)
        _spoil(payload, fault)
        if self.plan.ahead is None:
            return Reply.json(payload)
        date = formatdate(self.loop.time() + self.plan.ahead, usegmt=True)
        return Reply.json(payload, Date=date)

    def _odd(self, reading: Reading) -> int:
        return self.plan.odd[reading.serial % len(self.plan.odd)]

    def _limits(self, reading: Reading) -> dict[str, Any]:
        """The published fields; one from which nothing is decided carries the reading's number."""
        rules = reading.rules = self.rules
        as_of = self._as_of()
        counted = [call.number for call in self.calls if self._shows(call, as_of)]
        reading.counted = frozenset(counted)
        return {
            "current_concurrency": len(counted),
            "concurrency_limit": rules.limit,
            "reserved_inbound_concurrency": rules.reserved_inbound,
            "concurrency_burst_enabled": rules.burst_enabled,
            "concurrency_burst_limit": rules.burst_limit,
            "remaining_purchase_limit": reading.serial,
        }

    def _shows(self, call: Call, as_of: float) -> bool:
        since = call.placed_at if self.plan.counts_ringing else call.answered_at
        if since is None or call.refused or since + call.plan.rise >= as_of:
            return False
        return call.ended_at is None or as_of < call.ended_at + call.plan.fall

    def _as_of(self) -> float:
        now = self.loop.time()
        if not self.is_calm:
            for window in self.plan.windows:
                if window.kind == "stale" and window.begins <= now < window.ends:
                    return window.begins
        return now

    def _fault(self, serial: int) -> str:
        if self.is_calm:
            return ""
        now = self.loop.time()
        for window in self.plan.windows:
            if window.kind != "stale" and window.begins <= now < window.ends:
                return window.kind
        return self.plan.sporadic[serial % len(self.plan.sporadic)]

    async def _describe(self, call_id: str) -> Reply:
        self._asked += 1
        there, back = self.plan.latencies[self._asked % len(self.plan.latencies)]
        await _pass(there)
        if self._fault(self._asked):
            await _pass(back)
            return Reply.json({"status": "error"}, 500)
        call = self.calls[int(call_id.removeprefix("call_"))]
        told, is_over = self._described(call), not call.going_on
        await _pass(back)
        if is_over:
            self.watch.call_told(call)
        return Reply.json(told)

    async def list_calls(self, _url: str, _headers: Mapping[str, str], body: bytes) -> Reply:
        """The answer to a list-calls request."""
        self._asked += 1
        there, back = self.plan.latencies[self._asked % len(self.plan.latencies)]
        await _pass(there)
        kind = "all" if self.is_calm else self.plan.lists[self._asked % len(self.plan.lists)]
        ids = json.loads(body)["filter_criteria"]["call_id"]["value"]
        asked = [self.calls[int(each.removeprefix("call_"))] for each in ids]
        told = [call for call in asked if kind in {"all", "late"} or _status(call) != "registered"]
        items: list[Any] = [self._described(call) for call in told]
        over = [call for call in told if not call.going_on]
        await _pass(back + LATE_LIST * (kind == "late"))
        match kind:
            case "refused" | "429":
                return Reply.json({"status": "error"}, 404 if kind == "refused" else 429)
            case "rubbish":
                return Reply(body=b'{"items": [{"call_id": ')
            case "nothing":
                return Reply.json({"items": []})
            case "strange":
                others = (call.id for call in self.calls if call.id not in ids)
                items += [{"call_id": each, "call_status": "ended"} for each in others]
                items += [None, 7, {"call_id": ["x"]}, {"call_status": "ended"}]
        for call in over:
            self.watch.call_told(call)
        return Reply.json({"items": items, "has_more": False})

    def _described(self, call: Call) -> dict[str, Any]:
        told = {"call_id": call.id, "call_status": _status(call)}
        if call.refused:
            told["disconnection_reason"] = "concurrency_limit_reached"
        stamps = {"start_timestamp": call.answered_at, "end_timestamp": call.ended_at}
        recorded = {name: self.recorded(at) for name, at in stamps.items()}
        return {**told, **{name: at * 1000 for name, at in recorded.items() if at is not None}}


async def _pass(seconds: float) -> None:
    if seconds:
        await asyncio.sleep(seconds)


def _status(call: Call) -> str:
    if call.refused:
        return "error"
    if call.going_on:
        return "registered" if call.answered_at is None else "ongoing"
    return "not_connected" if call.answered_at is None else "ended"


def _outcome(fault: str) -> str:
    if not fault:
        return "ok"
    return "transient" if fault in {"500", "503", "429"} else "lasting"


def _spoil(payload: dict[str, Any], fault: str) -> None:
    """Make a field one that can't be right."""
    count = payload["current_concurrency"]
    match fault:
        case "missing count":
            del payload["current_concurrency"]
        case "null limit":
            payload["concurrency_limit"] = None
        case "null count" | "text count" | "fraction count" | "negative count" | "true count":
            wrong = {
                "null count": None,
                "text count": str(count),
                "fraction count": count + 0.5,
                "negative count": -1 - count,
                "true count": True,
            }
            payload["current_concurrency"] = wrong[fault]
