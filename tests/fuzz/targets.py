"""What is fuzzed: each target takes bytes, and lets nothing out but callguard's own errors.

Whatever else it raises, a hang, or memory without bound, is a defect.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any
from unittest.mock import patch

from typer.testing import CliRunner

from callguard import CallGuardError, LimitFetcher, Limits, LimitsError
from callguard.cli.app import app
from callguard.fetcher.calls import call_path, list_payload, parse_call, parse_list
from callguard.fetcher.retry_after import retry_after
from callguard.webhooks import WebhookError, parse, verify
from tests.fuzz.gates import answers_to_a_gate, arguments_of_a_gate
from tests.fuzz.ledgers import answers_of_a_ledger
from tests.support.fake_network import FakeSession, Handler, Reply
from tests.support.virtual_time import run

COMMANDS = ("demo", "status", "simulator", "probe", "ps", "--version", "--help", "")
STATUSES = (200, 201, 204, 301, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504, 599)


def limits(data: bytes) -> None:
    """A body that is said to be the limits."""
    with suppress(LimitsError):
        found = Limits.from_json(data)
        assert found.current_concurrency >= 0
        assert found.concurrency_limit >= 0


def event(data: bytes) -> None:
    """A body that is said to be a delivery."""
    with suppress(WebhookError):
        parse(data)


def signature(data: bytes) -> None:
    """A signature, and the body that it is said to belong to; never made with the key."""
    header, _, body = data.partition(b"\n")
    try:
        verify(body, header.decode("latin-1"), "key_fuzzed", now=lambda: 1.7e9)
    except WebhookError:
        return
    raise AssertionError("a delivery was taken that nobody signed")


def call(data: bytes) -> None:
    """A body that is said to be a call, and an id that is said to be one's."""
    with suppress(LimitsError):
        parse_call(data, "call_1")
    with suppress(LimitsError):
        assert set(parse_list(data, ["call_1"])) <= {"call_1"}
    json.dumps(list_payload([data.decode("latin-1")]))
    assert call_path(data.decode("latin-1")).isascii()


def asked_to_wait(data: bytes) -> None:
    """The two headers that say how long to wait."""
    header, _, date = data.decode("latin-1").partition("\n")
    seconds = retry_after({"Retry-After": header, "Date": date})
    assert seconds is None or 0.0 <= seconds < float("inf")


def answers(data: bytes) -> None:
    """The HTTP face of the fetcher: any status, any headers, any body, one after the other."""
    chunks = itertools.cycle(data.split(b"\0") or [b""])

    def handler(*_: object) -> Reply:
        chunk = next(chunks)
        status = STATUSES[chunk[0] % len(STATUSES)] if chunk else 200
        header = chunk[1:9].decode("latin-1")
        return Reply(status, chunk[1:], {"Retry-After": header, "Content-Type": header})

    run(_read(handler))


async def _read(handler: Handler) -> None:
    async with LimitFetcher("key_fuzzed", session=FakeSession(handler), deadline=5.0) as fetcher:
        for ask in (fetcher.get, lambda: fetcher.ask("call_1")):
            with suppress(LimitsError):
                async with asyncio.timeout(60.0):
                    await ask()


def arguments(data: bytes) -> None:
    """What is typed behind ``callguard``; what the command would do is not done."""
    command, *typed = data.decode("utf-8", "replace").split("\0")
    chosen = COMMANDS[len(command) % len(COMMANDS)]
    with (
        patch("callguard.cli.running._cancelled_by_sigterm", _not_run),
        patch.dict("os.environ", {"RETELL_API_KEY": "key_fuzzed"}),
        suppress(CallGuardError),
    ):
        result = CliRunner().invoke(app, [part for part in (chosen, *typed) if part])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert "Traceback" not in result.output


async def _not_run(command: Coroutine[Any, Any, Any]) -> int:
    command.close()
    return 0


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        limits,
        event,
        signature,
        call,
        asked_to_wait,
        answers,
        arguments,
        answers_to_a_gate,
        arguments_of_a_gate,
        answers_of_a_ledger,
    )
}
