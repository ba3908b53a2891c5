"""README's table of what the end of a dial means, through the real clients and a real server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import httpx
import pytest
import requests
import tenacity
from aiohttp import web

import callguard
from callguard.gate import dialling
from tests.support.virtual_time import run

KEY = "key_test"
DIAL = "/v2/create-phone-call"
FROM, TO = "+14157774444", "+12137774445"
LONG, SHORT = 30.0, 1.0
"""Seconds that a client waits for an answer, and for one that never comes."""

Client = Callable[[str, str, float], Awaitable[Any]]
"""Dials at an address with an idempotency key, and a time to wait for the answer."""


class Service:
    """Answers requests as it is told: by a status, ``"hang"``, ``"cut"`` or ``"bug"``.

    The last answer stays.
    """

    def __init__(self, *answers: int | str) -> None:
        self.answers = list(answers)
        self.url = ""
        self.keys: list[object] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/get-concurrency":
            return web.json_response({"current_concurrency": 0, "concurrency_limit": 20})
        self.keys.append((await request.json()).get("idempotency_key"))
        how = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if how == "hang":
            await asyncio.sleep(3600)
        if how == "cut":
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if how in {201, "bug"}:
            return web.json_response({"call_id": "call_1"}, status=201)
        assert isinstance(how, int)
        body = {"status": "error", "message": "No."}
        return web.json_response(body, status=how, headers={"retry-after-ms": "1"})


@asynccontextmanager
async def serving(*answers: int | str) -> AsyncIterator[Service]:
    """A service on a port of its own, which is gone when the block is left."""
    service = Service(*answers)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        service.url = f"http://127.0.0.1:{site.port}"
        yield service
    finally:
        await runner.cleanup()


@asynccontextmanager
async def by_retell_sdk() -> AsyncIterator[Client]:
    from retell import AsyncRetell, DefaultAsyncHttpxClient

    async with DefaultAsyncHttpxClient(verify=False) as http:

        async def dial(url: str, key: str, timeout: float) -> object:
            retell = AsyncRetell(api_key=KEY, base_url=url, http_client=http)
            return await retell.call.create_phone_call(
                from_number=FROM, to_number=TO, idempotency_key=key, timeout=timeout
            )

        yield dial


@asynccontextmanager
async def by_httpx() -> AsyncIterator[Client]:
    async with httpx.AsyncClient(verify=False) as client:

        async def dial(url: str, key: str, timeout: float) -> object:
            response = await client.post(url + DIAL, json=_body(key), timeout=timeout)
            return response.raise_for_status().json()

        yield dial


@asynccontextmanager
async def by_aiohttp() -> AsyncIterator[Client]:
    async with aiohttp.ClientSession(raise_for_status=True) as session:

        async def dial(url: str, key: str, timeout: float) -> object:
            patience = aiohttp.ClientTimeout(timeout)
            async with session.post(url + DIAL, json=_body(key), timeout=patience) as response:
                return await response.json()

        yield dial


@asynccontextmanager
async def by_requests() -> AsyncIterator[Client]:
    with requests.Session() as session:

        def post(url: str, key: str, timeout: float) -> object:
            response = session.post(url + DIAL, json=_body(key), timeout=timeout)
            response.raise_for_status()
            return response.json()

        yield lambda url, key, timeout: asyncio.to_thread(post, url, key, timeout)


def _body(key: str) -> dict[str, str]:
    return {"from_number": FROM, "to_number": TO, "idempotency_key": key}


CLIENTS = {
    "retell-sdk": by_retell_sdk,
    "httpx": by_httpx,
    "aiohttp": by_aiohttp,
    "requests": by_requests,
}


class Row(NamedTuple):
    """One end of a dial, and what README says of it."""

    end: str
    outcome: str
    place: str


def _rows() -> list[Row]:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## What the end of a dial means")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    return [
        Row(end, outcome, place)
        for ends, outcome, place in rows[1:]
        for end in re.split(r", | and ", ends)
    ]


ROWS = _rows()

ENDS: dict[str, tuple[int | str, ...]] = {
    "a result": (201,),
    "the rest of the 4xx": (405, 410, 415, 451),
    "the rest of the 5xx": (501, 520, 529),
    "a timeout": ("hang",),
    "a broken connection": ("cut",),
    "any other exception": ("bug",),
}
"""What README's words stand for here."""

CASES = [
    pytest.param(end, row, id=f"{end}")
    for row in ROWS
    for end in ENDS.get(row.end) or (int(row.end),)
]

REPEATED = [
    pytest.param(case.values[0], id=case.id)
    for case in CASES
    if isinstance(case.values[1], Row) and case.values[1].place.endswith("if `idempotent`")
]

every_client = pytest.mark.parametrize("client", CLIENTS)
every_end = pytest.mark.parametrize(("end", "row"), CASES)


@asynccontextmanager
async def gate_at(url: str | None) -> AsyncIterator[callguard.Gate]:
    async with callguard.open_gate(
        KEY, base_url=url, cps=None, ttl=0.05, min_interval=0.0, counter_lag=2.0
    ) as gate:
        yield gate


async def dial_to(end: int | str, dial: Client, provider: Service, key: str) -> Any:
    """Dial at a provider that was told how the first call ends."""
    is_first = not provider.keys
    result = await dial(provider.url, key, SHORT if end == "hang" and is_first else LONG)
    if end == "bug":
        raise KeyError("a bug in the caller's code")
    return result


async def error_of(happening: Awaitable[object]) -> Exception | None:
    """What the caller gets to see instead of a result: never one of callguard's own."""
    try:
        await happening
    except callguard.CallGuardError:
        raise
    except Exception as error:  # noqa: BLE001 - whichever the client has
        return error
    return None


async def through_a_block(gate: callguard.Gate, *dials: Callable[[str], Awaitable[object]]) -> None:
    """Enter, and dial once or more."""
    async with gate.admit() as permit:
        for dial in dials:
            await dial(permit.id)


def run_with(client: str, main: Coroutine[Any, Any, None]) -> None:
    """Run what dials by `client`, on a clock that jumps: a server that hangs has got the dial
    before the client's time is over, however busy the machine is.

    requests waits in a thread, whose clock is the machine's.
    """
    (asyncio.run if client == "requests" else run)(main)


def outcome_of(gate: callguard.Gate) -> str:
    """What the gate took the one call for."""
    statistics, spent = gate.statistics(), gate.explain().constraint == "snapshot spent"
    match statistics.usage.total, statistics.refused, spent:
        case 1, 0, False:
            return "placed"
        case 0, 1, True:
            return "refused"
        case 0, 0, False:
            return "not placed"
    raise AssertionError(f"no outcome: {statistics}, {gate.explain()}")


def test_readmes_table_says_something_of_every_status() -> None:
    """A row that README lost would lose its tests too."""
    ends = {row.end for row in ROWS}
    assert ends > set(ENDS)
    assert ends > {"400", "401", "402", "403", "404", "408", "409", "422", "425", "429", "500"}
    assert {row.outcome for row in ROWS} == {"placed", "refused", "not placed", "unknown"}


@every_client
@every_end
def test_a_block_is_left_as_readme_says(end: int | str, row: Row, client: str) -> None:
    """A slot would be given back under a live call, or kept by one that never was."""

    async def main() -> None:
        async with (
            serving(end) as provider,
            CLIENTS[client]() as dial,
            gate_at(provider.url) as gate,
        ):
            leaving = through_a_block(gate, lambda key: dial_to(end, dial, provider, key))
            assert (await error_of(leaving) is None) == (row.outcome == "placed")
            assert outcome_of(gate) == ("placed" if row.outcome == "unknown" else row.outcome)

    run_with(client, main())


@every_client
@every_end
def test_place_does_what_readme_says(end: int | str, row: Row, client: str) -> None:
    """A lead would be lost that could be dialled again, or be called twice."""

    async def main() -> None:
        async with (
            serving(end, 201) as provider,
            CLIENTS[client]() as dial,
            gate_at(provider.url) as gate,
        ):
            placing = gate.place(lambda permit: dial_to(end, dial, provider, permit.id))
            assert (await error_of(placing) is None) == (not row.place.startswith("raised"))
            dials = 2 if row.place.startswith("dialled again") else 1
            assert len(provider.keys) == len(set(provider.keys)) == dials
            usage = gate.statistics().usage
            assert (usage.dialling, usage.uncounted) == (0, row.outcome != "not placed")

    run_with(client, main())


@every_client
@pytest.mark.parametrize("end", REPEATED)
def test_an_idempotent_dial_is_repeated_where_readme_says_so(
    end: int | str, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that may be placed would be given up, or be dialled again under another key."""
    monkeypatch.setattr(dialling, "_BACKOFF", tenacity.wait_none())

    async def main() -> None:
        async with (
            serving(end, 201) as provider,
            CLIENTS[client]() as dial,
            gate_at(provider.url) as gate,
        ):
            await gate.place(
                lambda permit: dial_to(end, dial, provider, permit.id), idempotent=True
            )
            assert len(provider.keys) == 2
            assert len(set(provider.keys)) == 1
            assert outcome_of(gate) == "placed"

    run_with(client, main())


@every_client
@pytest.mark.parametrize("status", [400, 404, 422, 429])
async def test_another_services_answer_leaves_the_call_placed(status: int, client: str) -> None:
    """A CRM on the same machine would speak for the provider."""
    async with (
        serving(201) as provider,
        serving(status) as crm,
        CLIENTS[client]() as dial,
        gate_at(provider.url) as gate,
    ):
        leaving = through_a_block(
            gate,
            lambda key: dial(provider.url, key, LONG),
            lambda key: dial(crm.url, key, LONG),
        )
        assert await error_of(leaving) is not None
        assert outcome_of(gate) == "placed"


@every_client
@pytest.mark.parametrize("status", [400, 422, 429])
async def test_no_answer_takes_back_what_placed_said(status: int, client: str) -> None:
    """A second dial in the block that fails would give the first one's slot away."""

    async def dial_twice(gate: callguard.Gate, dial: Client, url: str) -> None:
        async with gate.admit() as permit:
            await dial(url, permit.id, LONG)
            permit.placed("call_1")
            await dial(url, permit.id, LONG)

    async with (
        serving(201, status) as provider,
        CLIENTS[client]() as dial,
        gate_at(provider.url) as gate,
    ):
        assert await error_of(dial_twice(gate, dial, provider.url)) is not None
        assert outcome_of(gate) == "placed"


async def test_the_environments_address_is_the_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A workspace behind `RETELL_BASE_URL` would have each refusal counted as placed."""
    async with serving(429) as provider, by_retell_sdk() as dial:
        monkeypatch.setenv("RETELL_BASE_URL", provider.url)
        async with gate_at(None) as gate:
            leaving = through_a_block(gate, lambda key: dial(provider.url, key, LONG))
            assert await error_of(leaving) is not None
            assert outcome_of(gate) == "refused"


@pytest.mark.parametrize("retries", [0, 2])
async def test_what_comes_after_the_sdks_own_retries_is_unknown(retries: int) -> None:
    """A web call that the SDK dialled three times would be disowned by the answer to the last."""
    from retell import AsyncRetell, RateLimitError

    async with (
        serving(500 if retries else 429, 429) as provider,
        gate_at(provider.url) as gate,
        AsyncRetell(api_key=KEY, base_url=provider.url, max_retries=retries) as retell,
    ):
        with pytest.raises(RateLimitError):
            async with gate.admit():
                await retell.call.create_web_call(agent_id="agent_1")
        assert len(provider.keys) == retries + 1
        assert outcome_of(gate) == ("placed" if retries else "refused")
