"""Test deliveries to a webhook's address: a genuine one, and some that are to be refused."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

import aiohttp

from callguard.simulator.webhooks import sign
from callguard.webhooks import SIGNATURE_HEADER, TOLERANCE

__all__ = ["Answer", "Kind", "origin", "send", "trial_body"]

Kind: TypeAlias = Literal["genuine", "unsigned", "forged", "old"]
"""What a delivery is: signed with the key, not signed, signed with another key, or signed with the
key longer ago than the tolerance."""

_PATIENCE: Final = 10.0
"""Seconds for an answer, as the provider waits (docs.retellai.com/features/webhook-overview, read
2026-11-22)."""

_EVENT: Final = "callguard_doctor"
"""An event that the provider doesn't have, so that no receiver acts on it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one delivery.

    Attributes:
        status: its HTTP status; None if there was no answer.
        seconds: how long it took.
        fault: why there was no answer; empty if there was one.
    """

    status: int | None
    seconds: float
    fault: str = ""


def origin(url: str) -> str:
    """The part of a webhook's address that is no secret: the scheme, the host and the port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def trial_body() -> bytes:
    """A delivery's body, in the provider's form, about a call that nobody placed."""
    call = {"call_id": f"call_{_EVENT}_{secrets.token_hex(8)}", "call_status": "registered"}
    return json.dumps({"event": _EVENT, "call": call}).encode()


async def send(url: str, api_key: str) -> Mapping[Kind, Answer]:
    """Send each kind of delivery once, one after the other; cancelling leaves nothing behind.

    If there is no answer to the genuine one, the others aren't sent.

    Args:
        url: the webhook's address.
        api_key: the key that the provider signs with.
    """
    body, now = trial_body(), time.time()
    signatures: Mapping[Kind, str | None] = {
        "genuine": sign(body, api_key, now),
        "unsigned": None,
        "forged": sign(body, secrets.token_hex(16), now),
        "old": sign(body, api_key, now - 2 * TOLERANCE),
    }
    answers: dict[Kind, Answer] = {}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_PATIENCE)) as session:
        for kind, signature in signatures.items():
            answers[kind] = await _sent(session, url, body, signature)
            if answers[kind].status is None:
                break
    return answers


async def _sent(
    session: aiohttp.ClientSession, url: str, body: bytes, signature: str | None
) -> Answer:
    headers = {"Content-Type": "application/json"}
    if signature is not None:
        headers[SIGNATURE_HEADER] = signature
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            return Answer(response.status, clock() - began)
    except TimeoutError:
        return Answer(None, clock() - began, f"it gave no answer in {_PATIENCE:g} s")
    except (aiohttp.ClientError, OSError) as fault:  # whose text may have the address in it
        return Answer(None, clock() - began, f"it gave no answer ({type(fault).__name__})")
