"""The calls that the probe places, each of which is stopped in the end.

What this file holds: a call whose dial has returned its id is in `PlacedCalls.live` until it is
known to be over, or stopped. A dial whose outcome is unknown is never repeated.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from callguard.errors import CallGuardError, LimitsMalformed, LimitsRejected, LimitsUnavailable
from callguard.fetcher import ProviderClient
from callguard.fetcher.calls import LONGEST_CALLS, call_path
from callguard.probe.record import Span, State

__all__ = ["NO_ROOM", "Dialled", "MaybePlaced", "NotPlaced", "PhoneCall", "PlacedCalls"]

NO_ROOM: Final = 429
"""The status that create-phone-call answers if no call fits."""

_STOP_TIMEOUT: Final = 5.0
"""Seconds to try to stop a call before leaving; after Ctrl-C the user waits for this."""

_STOP_AGAIN: Final = 0.5
"""Seconds until a stop that met a transient fault is tried again."""

_STOPS_AT_ONCE: Final = 8
"""The most requests to stop a call that are in flight at once. Our own choice."""

_SECONDS_A_STOP: Final = 0.25
"""Seconds that each further call adds to the time for stopping many. Our own choice."""


class NotPlaced(Exception):
    """The provider refused the call: none was placed.

    Attributes:
        status: the HTTP status of the refusal.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class MaybePlaced(Exception):
    """Nobody knows whether the call was placed, and it wasn't tried again.

    Attributes:
        malformed: whether there was an answer, but a malformed one.
    """

    def __init__(self, message: str, *, malformed: bool) -> None:
        super().__init__(f"{message}; the call may have been placed, and is not tried again")
        self.malformed = malformed


@dataclass(frozen=True, slots=True)
class PhoneCall:
    """The call to place; numbers are E.164, such as ``"+14155550100"``."""

    from_number: str
    to_number: str
    agent_id: str | None = None

    def payload(self) -> dict[str, object]:
        """Make a create-phone-call body, with a new idempotency key each time."""
        body: dict[str, object] = {
            "from_number": self.from_number,
            "to_number": self.to_number,
            "idempotency_key": uuid.uuid4().hex,
        }
        if self.agent_id is not None:
            body["override_agent_id"] = self.agent_id
        return body


@dataclass(frozen=True, slots=True)
class Dialled:
    """A call that was placed, at some moment in `during`."""

    call_id: str
    during: Span


class PlacedCalls:
    """Places calls, asks for them, and stops them.

    Args:
        client: the client that asks the provider.
        say: called with each event, in words.

    Attributes:
        live: the ids of the calls that were placed, and are neither stopped nor known to be over.
    """

    def __init__(self, client: ProviderClient, say: Callable[[str], None]) -> None:
        self.live: list[str] = []
        self._client = client
        self._say = say
        self._time = asyncio.get_running_loop().time

    async def dial(self, call: PhoneCall) -> Dialled:
        """Place one call.

        A cancellation waits for the answer first, because that has the id to stop the call by.

        Raises:
            NotPlaced: the provider refused the call.
            MaybePlaced: there was no answer, or one without the call's id.
        """
        began = self._time()
        request = asyncio.ensure_future(self._placing(call))
        try:
            call_id = await asyncio.shield(request)
        except asyncio.CancelledError:
            await self._await_outcome(request)
            raise
        return Dialled(call_id, Span(began, self._time()))

    async def ask(self, call_id: str) -> State:
        """Ask for the state of a call.

        Raises:
            LimitsUnavailable: there was no answer.
            LimitsRejected: the provider refused the question.
            LimitsMalformed: the answer can't be right.
        """
        began = self._time()
        body = await self._client.get(call_path(call_id), longest=LONGEST_CALLS)
        fields, during = _fields(body), Span(began, self._time())
        status, reason = fields.get("call_status"), fields.get("disconnection_reason")
        if not isinstance(status, str):
            raise LimitsMalformed("the provider's answer to get-call has no call_status")
        why = self._client.quoted(reason) if isinstance(reason, str) else None
        state = State(during, self._client.quoted(status), why)
        if state.is_over:
            self._forget(call_id)
        return state

    async def stop(self, call_ids: Sequence[str]) -> None:
        """Stop these calls as far as possible; raises nothing but a second cancellation."""
        ids = tuple(call_ids)  # it may be `live` itself, from which each stop removes its call
        turns = asyncio.Semaphore(_STOPS_AT_ONCE)
        patience = _STOP_TIMEOUT + _SECONDS_A_STOP * (len(ids) - 1)
        ends = self._time() + patience
        faults = await asyncio.gather(*(self._stop(each, ends, turns) for each in ids))
        stopped = [each for each, fault in zip(ids, faults, strict=True) if fault is None]
        if stopped:
            one = len(stopped) == 1
            self._say(f"stopped {self.named(stopped[0]) if one else f'{len(stopped)} calls'}")
        failed = {each: fault for each, fault in zip(ids, faults, strict=True) if fault is not None}
        if failed:
            named = ", ".join(map(self.named, failed))
            why = next(filter(None, failed.values()), f"no answer within {patience:g} s")
            self._say(f"could not stop {named}, which may still go on: {why}")

    def named(self, call_id: str) -> str:
        """The call, in words."""
        return f"call {self._client.quoted(call_id)}"

    async def _stop(self, call_id: str, ends: float, turns: asyncio.Semaphore) -> str | None:
        """Stop one call until `ends`; return why it failed, "" for no answer, or None."""
        fault, path = "", f"/v2/stop-call/{quote(call_id, safe='')}"
        try:
            async with asyncio.timeout_at(ends), turns:
                while True:
                    try:
                        await self._client.post(path, {})
                        break
                    except LimitsUnavailable as error:
                        fault = str(error)
                    await asyncio.sleep(_STOP_AGAIN)
        except TimeoutError:
            return fault
        except CallGuardError as error:
            return str(error)
        self._forget(call_id)
        return None

    async def _placing(self, call: PhoneCall) -> str:
        try:
            body = await self._client.post("/v2/create-phone-call", call.payload())
        except LimitsRejected as error:
            raise NotPlaced(str(error), error.status) from None
        except CallGuardError as error:
            if isinstance(error, LimitsUnavailable) and error.status == NO_ROOM:
                raise NotPlaced(str(error), NO_ROOM) from None
            malformed = isinstance(error, LimitsMalformed)
            raise MaybePlaced(str(error), malformed=malformed) from None
        call_id = _fields(body).get("call_id")
        if not isinstance(call_id, str) or not call_id:
            raise MaybePlaced("the answer to the dial has no call_id", malformed=True)
        self.live.append(call_id)
        return call_id

    async def _await_outcome(self, request: asyncio.Future[str]) -> None:
        """Wait for the answer to a dial that was sent, so that its call can be stopped."""
        await asyncio.wait([request])
        try:
            request.result()
        except (NotPlaced, MaybePlaced) as error:
            self._say(str(error))

    def _forget(self, call_id: str) -> None:
        if call_id in self.live:
            self.live.remove(call_id)


def _fields(body: bytes) -> Mapping[str, object]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
