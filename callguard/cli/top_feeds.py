"""Where ``callguard top`` looks: at a server of ``callguard serve``, or at a shared ledger."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import aiohttp

from callguard.cli.contents import absence, advice_on_absence, key_of_ledger
from callguard.cli.pause import opened
from callguard.errors import CallGuardError, UsageError
from callguard.fetcher.settings import checked_base_url
from callguard.ledger import RedisLedger
from callguard.ledger.process import this_process
from callguard.serve.journal import Journal
from callguard.serve.parsing import overview_from
from callguard.serve.shared import overview_of_ledger
from callguard.serve.views import Overview

__all__ = ["Feed", "LedgerFeed", "ServerAway", "UrlFeed", "feed_of"]

URL: Final = "http://127.0.0.1:8790"
"""Where ``callguard serve`` listens by default."""

REASON: Final = "from top"
"""The reason of a pause that is made here."""

_TIMEOUT: Final = 5.0
"""Seconds for an answer of the server's, which has it in memory. Our own choice."""

_STALE: Final = 15.0
"""Seconds after which a count is no longer drawn, as `max_age` of the gates is by default."""

_MOST_BYTES: Final = 16 * 1024 * 1024
"""Bytes of an answer at most: a hundred times what 1,000 calls make."""


class ServerAway(CallGuardError):
    """There is no answer, or none that can be shown.

    Attributes:
        advice: what to do about it.
    """

    def __init__(self, what: str, advice: str = "check --url") -> None:
        super().__init__(what)
        self.advice = advice


class Feed(Protocol):
    """Something to look at."""

    @property
    def name(self) -> str:
        """What is looked at, for people."""

    async def look(self) -> Overview:
        """What goes on now.

        Raises:
            CallGuardError: nobody answers, or not so; it may be otherwise a second later.
        """

    async def pause(self) -> None:
        """Pause everything; raises as `look` does."""

    async def resume(self) -> bool:
        """Lift the pause of everything; whether there was one. Raises as `look` does."""


class UrlFeed:
    """A server of ``callguard serve``.

    Args:
        session: makes the requests; it stays open.
        url: the server's address, without a slash at its end.
        token: the server's token; None if it needs none.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str | None) -> None:
        self.name = url
        self._session = session
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    async def look(self) -> Overview:
        """What goes on at the server's own workspace."""
        answer = await self._ask("GET", "/v1/status")
        try:
            return overview_from(answer)
        except ValueError as error:
            raise ServerAway(
                f"the answer is not an overview of `callguard serve` ({error})"
            ) from None

    async def pause(self) -> None:
        """Pause everything."""
        await self._ask("POST", "/v1/pause", {"reason": REASON})

    async def resume(self) -> bool:
        """Lift the pause of everything."""
        answer = await self._ask("POST", "/v1/resume", {})
        return isinstance(answer, dict) and answer.get("resumed") is not False

    async def _ask(self, method: str, path: str, body: object = None) -> Any:
        limit = aiohttp.ClientTimeout(total=_TIMEOUT)
        try:
            async with self._session.request(
                method,
                self.name + path,
                json=body,
                headers=self._headers,
                timeout=limit,
                allow_redirects=False,
            ) as response:
                return await _answer(response, has_token=bool(self._headers))
        except aiohttp.ClientConnectorError:
            raise ServerAway(f"nobody answers at {self.name}", self._advice) from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            why = str(error) or f"no answer in {_TIMEOUT:g} s"
            raise ServerAway(f"the server can't be reached: {why}", self._advice) from None

    @property
    def _advice(self) -> str:
        """What to do where nobody answers."""
        if self.name == URL:
            return "start `callguard serve`, or pass --url or --ledger redis://…"
        return "check --url, and that `callguard serve` runs there"


async def _answer(response: aiohttp.ClientResponse, *, has_token: bool) -> Any:
    """The decoded body of an answer that is no error."""
    if response.status == 401:
        wrong = "refuses the token of CALLGUARD_TOKEN" if has_token else "wants its token"
        raise ServerAway(f"the server {wrong}", "set CALLGUARD_TOKEN to the server's own")
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise ServerAway("the answer is too long for one of `callguard serve`")
    if response.status < 300:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise ServerAway("the answer is no JSON, as of `callguard serve`") from None
    said: object = body.decode("utf-8", "replace")
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        said = json.loads(body)["detail"]
    raise ServerAway(f"the server answers HTTP {response.status}: {str(said)[:200]}")


class LedgerFeed:
    """A shared ledger.

    Its chart begins with the first look, since a ledger keeps no history.

    Args:
        ledger: the ledger; it stays open.
        key: the API key that names the ledger; empty if it has a name of its own.
        host: where its server is.
    """

    def __init__(self, ledger: RedisLedger, key: str, host: str) -> None:
        self.name = f"ledger on {host}"
        self._ledger = ledger
        self._key = key
        self._chart = Journal()

    async def look(self) -> Overview:
        """What goes on at all gates on the ledger."""
        contents = await self._ledger.look(self._key)
        workspace = self._ledger.workspace_hash(self._key)
        if not contents.known:
            raise ServerAway(absence(workspace), advice_on_absence(named=not self._key))
        seen = overview_of_ledger(contents, workspace, time.time())
        stale = seen.snapshot_age is not None and seen.snapshot_age > _STALE
        self._chart.mark(seen.usage, seen.limits, stale=stale)
        return replace(seen, chart=self._chart.points())

    async def pause(self) -> None:
        """Pause everything at all gates."""
        await self._ledger.pause(self._key, by=this_process(), reason=REASON)

    async def resume(self) -> bool:
        """Lift the pause of everything at all gates."""
        return bool(await self._ledger.resume(self._key))


@asynccontextmanager
async def feed_of(
    url: str | None, ledger: str | None, name: str | None, *, allow_plain_http: bool
) -> AsyncIterator[Feed]:
    """What the options say, to look at during the block; nothing is sent before the first look.

    The token for a server is the environment's ``CALLGUARD_TOKEN``.

    Raises:
        MissingExtra: redis-py is not installed.
        UsageError: an option can't be right.
    """
    if url is None and ledger:
        key = key_of_ledger(name)
        async with opened(ledger, name) as shared:
            yield LedgerFeed(shared, key, urlsplit(ledger).hostname or "this machine")
        return
    token = os.environ.get("CALLGUARD_TOKEN") or None
    try:
        address = checked_base_url(url or URL, allow_plain_http=allow_plain_http or token is None)
    except UsageError as error:
        raise UsageError(error.problem, subject="--url", missing=error.missing) from None
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield UrlFeed(session, address, token)
