"""The webhooks of a workspace: their events, times, signatures and faults.

Nothing here sends anything. `Deliveries` returns the deliveries that are due by the workspace's
clock, `Courier` asks it for them at the right time, and `serve` posts them.
"""

from __future__ import annotations

import hashlib
import heapq
import hmac
import itertools
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from callguard.simulator.bodies import described
from callguard.simulator.distributions import Constant, Distribution, Uniform, stream
from callguard.simulator.model import Workspace
from callguard.simulator.provider_clock import SimulatedClock
from callguard.simulator.records import Call
from callguard.simulator.settings import is_amount, is_share, require

__all__ = ["Deliveries", "Delivery", "Forgery", "WebhookEvent", "WebhookPlan", "sign"]

WebhookEvent = Literal["call_started", "call_ended", "call_analyzed"]
"""The provider's default three (docs.retellai.com/features/webhook-overview, read 2026-11-22)."""

Forgery = Literal["wrong key", "garbage", "unsigned", "tampered", "replayed"]
"""How a delivery is forged.

In this order: signed with another key; with a header of no known form; without the header; with the
true signature of another body; signed with the right key, but an hour ago.
"""

_FORGERIES: Final[tuple[Forgery, ...]] = get_args(Forgery)
_REPLAYED_SECONDS: Final = 3600.0

_LATE = Constant(0.1)
_ANALYSIS_TIME = Constant(2.0)
_HELD_BACK = Uniform(0.0, 60.0)
_ON_TIME = SimulatedClock()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookPlan:
    """How the webhooks of a simulated workspace come, and how they go wrong.

    An answered call sends a ``call_started``. A call that is over sends a ``call_ended`` and, some
    time later, a ``call_analyzed``. As with the provider, a call that nobody answers sends no
    ``call_started``. Each delivery is signed when it is sent, so a late one has a fresh signature.
    How late the provider's webhooks are isn't published; the defaults are only plausible.

    Args:
        late: seconds from the event to its delivery. If they vary, the order may change.
        analysis_time: seconds from a call's end to the event of its analysis.
        lost: the share of events that are never delivered, from 0 to 1.
        duplicated: the share of the other events that are delivered twice, each delivery with its
            own draw from `late`.
        shuffled: the share of deliveries that are held back, so that later ones overtake them.
        held_back: how long the shuffled deliveries are held back, in seconds, on top of `late`.
        forged: the share of events at which a third party at once sends a lie about the call,
            besides the provider's delivery. When the call was just answered, the lie says that it
            was refused and is over; when it is over, that it was just answered. Each is forged in
            one of the ways of `Forgery`.
        retry_wait: seconds until a delivery that was not accepted is posted again; used by
            `serve` only.
        seed: the seed of every draw. No setting changes the draws of another.

    Raises:
        InvalidSetting: a value can't be right; a ValueError.
    """

    late: Distribution = _LATE
    analysis_time: Distribution = _ANALYSIS_TIME
    lost: float = 0.0
    duplicated: float = 0.0
    shuffled: float = 0.0
    held_back: Distribution = _HELD_BACK
    forged: float = 0.0
    retry_wait: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for field in ("late", "analysis_time", "held_back"):
            require(self, field, callable, "a distribution such as Constant(12.0)")
        for field in ("lost", "duplicated", "shuffled", "forged"):
            require(self, field, is_share, "a share from 0 to 1")
        require(self, "retry_wait", is_amount, "a finite number of seconds, at least 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One webhook, ready to be sent.

    Attributes:
        event: the event that it reports.
        call_id: the id of the call that it is about.
        body: the raw bytes that are signed.
        signature: the header ``X-Retell-Signature``; None for a request without one.
        forgery: how the delivery is forged; None for a true one.
    """

    event: WebhookEvent
    call_id: str
    body: bytes
    signature: str | None
    forgery: Forgery | None = None

    @classmethod
    def of(
        cls,
        event: WebhookEvent,
        call: Call,
        *,
        api_key: str = "key_simulated",
        wall_clock: Callable[[], float] = time.time,
        provider_clock: SimulatedClock = _ON_TIME,
    ) -> Delivery:
        """A true delivery about `call` as it stands, signed now.

        Args:
            event: the event to report.
            call: the call that it is about.
            api_key: the key to sign with.
            wall_clock: the clock of the signature's date, in seconds since 1970.
            provider_clock: the clock of the call's stamps; by default the workspace's.
        """
        body = _body(event, described(call, provider_clock))
        signature = sign(body, api_key, wall_clock())
        return cls(event=event, call_id=call.call_id, body=body, signature=signature)

    @property
    def headers(self) -> dict[str, str]:
        """The headers to send with the body."""
        headers = {"Content-Type": "application/json"}
        if self.signature is not None:
            headers["X-Retell-Signature"] = self.signature
        return headers


@dataclass(frozen=True, slots=True)
class _Planned:
    event: WebhookEvent
    call: Call
    forgery: Forgery | None = None


class Deliveries:
    """The deliveries of a workspace, each due at a time on the workspace's clock.

    ::

        deliveries = Deliveries(workspace, WebhookPlan(lost=0.2), wall_clock=clock)
        clock.now = 60.0
        for delivery in deliveries.due(): ...

    It watches the workspace's calls from its creation on, and keeps each delivery until `due`
    returns it.

    Args:
        workspace: the workspace whose calls the deliveries are about.
        plan: how webhooks come, and how they go wrong; None for the defaults.
        api_key: the key that true deliveries are signed with.
        wall_clock: the clock of the signatures' dates, in seconds since 1970. For a reproducible
            simulation, pass any clock that the receiver reads too.
    """

    def __init__(
        self,
        workspace: Workspace,
        plan: WebhookPlan | None = None,
        *,
        api_key: str = "key_simulated",
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._workspace = workspace
        self._plan = plan or WebhookPlan()
        self._api_key = api_key
        self._wall_clock = wall_clock
        self._queue: list[tuple[float, int, _Planned]] = []
        self._order = itertools.count()
        seed = self._plan.seed
        self._late = stream(seed, "webhooks late")
        self._analyses = stream(seed, "webhooks analyses")
        self._losses = stream(seed, "webhooks lost")
        self._duplicates = stream(seed, "webhooks duplicated")
        self._shuffles = stream(seed, "webhooks shuffled")
        self._held_back = stream(seed, "webhooks held back")
        self._forged = stream(seed, "webhooks forged")
        self._forgeries = stream(seed, "webhooks forgeries")
        workspace.watch(self._note)

    @property
    def next_at(self) -> float | None:
        """When to call `due` next, in seconds on the workspace's clock; None if nothing is planned.

        Nothing is due earlier, unless a call is placed or stopped in the meantime; see
        `Workspace.watch`.
        """
        queued = self._queue[0][0] if self._queue else None
        times = [at for at in (queued, self._workspace.next_event_at) if at is not None]
        return min(times, default=None)

    def due(self) -> list[Delivery]:
        """Return the deliveries that are due and were not returned before, earliest first."""
        now = self._workspace.now
        due = []
        while self._queue and self._queue[0][0] <= now:
            _, _, planned = heapq.heappop(self._queue)
            due.append(self._sealed(planned))
        return due

    def _note(self, call: Call) -> None:
        if call.ended_at is not None:
            self._happened("call_ended", call, call.ended_at)
            analysis_time = self._plan.analysis_time(self._analyses)
            self._happened("call_analyzed", call, call.ended_at + analysis_time)
        elif call.answered_at is not None:
            self._happened("call_started", call, call.answered_at)

    def _happened(self, event: WebhookEvent, call: Call, at: float) -> None:
        plan = self._plan
        # Every draw is made for every event, used or not, so that no setting shifts later draws.
        lost = self._losses.random() < plan.lost
        duplicated = self._duplicates.random() < plan.duplicated
        first, second = self._lateness(), self._lateness()
        forged = self._forged.random() < plan.forged
        forgery = self._forgeries.choice(_FORGERIES)
        if not lost:
            self._enqueue(at + first, _Planned(event, call))
        if duplicated and not lost:
            self._enqueue(at + second, _Planned(event, call))
        if forged:
            self._enqueue(at, _Planned(event, call, forgery))

    def _lateness(self) -> float:
        late = self._plan.late(self._late)
        held_back = self._plan.held_back(self._held_back)
        shuffled = self._shuffles.random() < self._plan.shuffled
        return late + held_back if shuffled else late

    def _enqueue(self, at: float, planned: _Planned) -> None:
        heapq.heappush(self._queue, (at, next(self._order), planned))

    def _sealed(self, planned: _Planned) -> Delivery:
        clock = self._workspace.provider_clock
        true = Delivery.of(
            planned.event,
            planned.call,
            api_key=self._api_key,
            wall_clock=self._wall_clock,
            provider_clock=clock,
        )
        if planned.forgery is None:
            return true
        event, body = _lie(planned.event, described(planned.call, clock))
        return Delivery(
            event=event,
            call_id=planned.call.call_id,
            body=body,
            signature=self._forged_signature(planned.forgery, body, true),
            forgery=planned.forgery,
        )

    def _forged_signature(self, forgery: Forgery, body: bytes, true: Delivery) -> str | None:
        now = self._wall_clock()
        match forgery:
            case "wrong key":
                return sign(body, "key_of_somebody_else", now)
            case "garbage":
                return "v=now,d=trust-me"
            case "unsigned":
                return None
            case "tampered":
                return true.signature
            case "replayed":
                return sign(body, self._api_key, now - _REPLAYED_SECONDS)


def sign(body: bytes, api_key: str, at: float) -> str:
    """The header ``X-Retell-Signature`` for `body`, in the form of retell-sdk 6.2.13.

    Args:
        body: the raw bytes of the request.
        api_key: the key to sign with.
        at: the signature's date, in seconds since 1970.
    """
    stamp = str(int(at * 1000))
    digest = hmac.new(api_key.encode(), body + stamp.encode(), hashlib.sha256).hexdigest()
    return f"v={stamp},d={digest}"


def _body(event: WebhookEvent, call: Mapping[str, object]) -> bytes:
    return json.dumps({"event": event, "call": call}).encode()


def _lie(event: WebhookEvent, call: Mapping[str, object]) -> tuple[WebhookEvent, bytes]:
    """A false event about the call, and its body."""
    if event == "call_started":
        over = {**call, "disconnection_reason": "concurrency_limit_reached"}
        return "call_ended", _body("call_ended", over)
    return "call_started", _body("call_started", call)
