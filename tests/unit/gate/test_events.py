"""What every event says, and how it can be passed on."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import get_args

import pytest

import callguard.events
from callguard import LimitsUnavailable, Snapshot, open_gate
from callguard.events import Event
from callguard.limits import Limits
from callguard.simulator import serve
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import Refusal, opened

KINDS = get_args(Event)

FACTS: dict[str, object] = {
    "str": "text",
    "str | None": None,
    "Literal['cancelled', 'closed', 'rejected']": "closed",
    "int": 3,
    "bool": True,
    "int | None": 429,
    "float": 0.5,
    "float | None": None,
    "Limits": Limits(3, 20),
    "Snapshot": Snapshot(Limits(3, 20), 1.0, 1.1),
}
"""A fact of each type that an event may be made of."""


def test_every_class_of_event_is_in_the_union_and_in_the_list() -> None:
    """Whoever goes through the events by type would miss one."""
    listed = {vars(callguard.events)[name] for name in callguard.events.__all__}
    assert set(KINDS) == {kind for kind in listed if hasattr(kind, "__dataclass_fields__")}


def test_the_documentation_lists_every_event_with_its_facts() -> None:
    """Whoever writes a listener would learn of an event by chance."""
    text = (Path(__file__).parents[3] / "docs" / "events.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    listed = {
        row[1].strip(" `"): re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", row[3])) for row in rows
    }
    always = {"gate", "workspace"}
    assert listed == {
        kind.__name__: [field.name for field in fields(kind) if field.name not in always]
        for kind in KINDS
    }


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_can_be_stored_and_sent(kind: type) -> None:
    """A log of events as JSON, or a queue to another process, would fail on some day's event."""
    event = kind(**{field.name: FACTS[str(field.type)] for field in fields(kind)})
    told = json.loads(json.dumps(asdict(event)))
    assert told.keys() == {field.name for field in fields(kind)}
    assert told.keys() >= {"gate", "workspace"}
    assert copy.deepcopy(event) == pickle.loads(pickle.dumps(event)) == event


def test_an_outage_is_told_in_words() -> None:
    """An event would hold an exception, which no JSON can say."""
    heard: list[Event] = []

    async def main() -> None:
        fetcher = ScriptedSource(limit=1)
        fetcher.error = LimitsUnavailable("HTTP 503")
        async with opened(fetcher, listener=heard.append):
            pass

    run(main())
    told = [asdict(event) for event in heard]
    assert [each["error"] for each in told] == ["LimitsUnavailable"] * len(told)
    assert [each["reason"] for each in told] == ["HTTP 503"] * len(told)
    assert len(told) > 1


async def _events_of_a_gate(url: str, key: str, **options: object) -> tuple[str, list[Event]]:
    heard: list[Event] = []
    async with open_gate(key, base_url=url, listener=heard.append, **options) as gate:  # type: ignore[arg-type]
        with suppress(Refusal):
            async with gate.admit():
                raise Refusal
        async with gate.admit() as permit:
            permit.placed("call_1")
    return gate.id, heard


def _names(heard: list[Event]) -> Iterator[tuple[str, str]]:
    return ((event.gate, event.workspace) for event in heard)


async def test_every_event_names_its_gate_and_its_workspace_and_not_the_key(redis_url: str) -> None:
    """Events of several workers could not be told apart, or would give the key away."""
    async with serve(limit=5, api_key="key_that_is_secret") as server:
        url, key = server.url, server.api_key
        (one, first), (other, second) = await asyncio.gather(
            _events_of_a_gate(url, key), _events_of_a_gate(url, key, ledger=redis_url)
        )
    assert {gate for gate, _ in _names(first)} == {one}
    assert {gate for gate, _ in _names(second)} == {other}
    (workspace,) = {workspace for _, workspace in _names(first + second)}
    assert len(workspace) == 24
    assert "secret" not in json.dumps([asdict(event) for event in first + second])


async def test_a_ledger_with_a_name_is_the_workspace(redis_url: str, workspace_key: str) -> None:
    """Workers with different keys of one workspace would pass for two."""
    workspaces = set()
    for key in ("key_one", "key_two"):
        async with (
            serve(limit=5, api_key=key) as server,
            callguard.RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        ):
            _, heard = await _events_of_a_gate(server.url, key, ledger=ledger)
        workspaces |= {workspace for _, workspace in _names(heard)}
    assert workspaces == {ledger.workspace_hash("any key")}
