"""Checks of the webhooks: their signature, and who takes them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from callguard.doctor.case import Case
from callguard.doctor.deliveries import Answer, Kind, origin, trial_body
from callguard.doctor.finding import Finding
from callguard.errors import UsageError
from callguard.fetcher.settings import checked_api_key, is_loopback
from callguard.simulator.webhooks import sign
from callguard.webhooks import TOLERANCE, WebhookError, verify

__all__ = ["receiver", "signature"]

_SLOW: Final = 5.0
"""Seconds of an answer: half of what the provider waits."""

_REFUSED: Final[dict[Kind, tuple[str, str]]] = {
    "unsigned": ("a delivery without a signature", "error"),
    "forged": ("a delivery that is signed with another key", "error"),
    "old": (f"a delivery that was signed {2 * TOLERANCE:g} s ago", "warning"),
}
"""The deliveries that a receiver has to refuse, and how bad it is if it doesn't."""


def signature(case: Case) -> Iterator[Finding]:
    """Whether a webhook that is signed with the key is verified with it."""
    try:
        key = checked_api_key(case.setup.api_key)
    except UsageError:
        return  # the check of the key says why
    body = trial_body()
    try:
        verify(body, sign(body, key, time.time()), key)
    except WebhookError as error:
        yield Finding(
            "signature",
            "error",
            f"a webhook that is signed with the key isn't verified: {error}",
            "the gate would take no webhook for evidence",
            "report it: this is a defect of callguard",
        )
        return
    yield Finding("signature", "ok", "a webhook that is signed with the key is verified")


def receiver(case: Case) -> Iterator[Finding]:
    """Whether the webhook's address takes genuine deliveries in time, and refuses others."""
    url, answers = case.setup.webhook_url, case.answers
    if url is None or answers is None:
        return
    where = origin(url)
    yield from _unencrypted(url)
    if "genuine" in answers:
        yield _genuine(where, answers["genuine"])
    takes = "genuine" in answers and _took(answers["genuine"])
    for kind, (what, severity) in _REFUSED.items():
        if kind in answers and (takes or _took(answers[kind])):
            yield from _to_refuse(where, what, severity == "error", answers[kind])
    if not takes and _REFUSED.keys() & answers.keys():
        yield Finding(
            "receiver",
            "unknown",
            f"it isn't known whether {where} refuses what isn't genuine",
            "it took no genuine delivery, so a refusal proves nothing",
            "run this again once it takes genuine ones",
        )


def _took(answer: Answer) -> bool:
    return answer.status is not None and 200 <= answer.status < 300


def _unencrypted(url: str) -> Iterator[Finding]:
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        yield Finding(
            "receiver",
            "warning",
            f"{origin(url)} is plain http to another machine",
            "webhooks have numbers and transcripts in them, which anyone on the way can read",
            "give the provider an https address",
        )


def _genuine(where: str, answer: Answer) -> Finding:
    lost = "the provider repeats it three times, and then it is lost; the gate waits for the count"
    if answer.status is None:
        return Finding(
            "receiver",
            "error",
            f"{where} took no delivery: {answer.fault}",
            lost,
            "check that the receiver runs, and can be reached from the provider's network",
        )
    if answer.status in {401, 403}:
        return Finding(
            "receiver",
            "error",
            f"{where} refused a delivery that is signed with this key, with {answer.status}",
            lost,
            "give the receiver the key that has the webhook badge in the provider's dashboard, run "
            "this with the same one, and compare the clocks",
        )
    if not _took(answer):
        return Finding(
            "receiver",
            "error",
            f"{where} answered a genuine delivery with {answer.status}, and not with a 2xx",
            lost,
            "check the path of the address, and the receiver's log; it has to take events that it "
            "doesn't know",
        )
    took = f"{where} took a genuine delivery in {answer.seconds:.2f} s"
    if answer.seconds > _SLOW:
        return Finding(
            "receiver",
            "warning",
            took,
            "the provider waits 10 s, and then sends it again",
            "answer first, and work afterwards",
        )
    return Finding("receiver", "ok", took)


def _to_refuse(where: str, what: str, is_fatal: bool, answer: Answer) -> Iterator[Finding]:
    if answer.status is not None and 400 <= answer.status < 500:
        yield Finding("receiver", "ok", f"{where} refused {what}, with {answer.status}")
    elif _took(answer):
        yield Finding(
            "receiver",
            "error" if is_fatal else "warning",
            f"{where} took {what}",
            "anyone who knows the address can tell the gate that calls are over"
            if is_fatal
            else "whoever has recorded a delivery can send it again",
            "verify each delivery, such as with callguard.webhooks.handler",
        )
    else:
        said = f"answered {answer.status}" if answer.status is not None else answer.fault
        yield Finding(
            "receiver",
            "warning",
            f"{where} did not refuse {what} with a 4xx: {said}",
            "a receiver that fails at what anyone may send can be stopped by it",
            "answer with 401 where the signature isn't right",
        )
