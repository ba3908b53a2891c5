"""The OpenAPI document says what the server does, and all of it."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, get_args

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from openapi_spec_validator import validate
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from callguard import Limits, Pause
from callguard.serve import views
from callguard.serve.application import application
from callguard.serve.held import HeldState
from callguard.serve.settings import ServeSettings
from tests.support.virtual_time import jumping
from tests.unit.serve.described import DOCUMENT
from tests.unit.serve.support import UNRATED, asking

SCHEMAS = DOCUMENT["components"]["schemas"]

OURS = ("/v1/", "/healthz", "/metrics", "/openapi.json", "/webhooks/")
"""How the paths begin that the document is about; others are the page's, or are forwarded."""


def test_the_document_follows_its_own_standard() -> None:
    """No tool could read it."""
    validate(DOCUMENT)


def test_every_route_is_described_and_every_description_has_a_route() -> None:
    """A client would miss what the server can do, or ask for what it can't."""
    described = {
        (method.upper(), path)
        for path, item in DOCUMENT["paths"].items()
        for method in item
        if method != "parameters"
    }
    routes = {
        (route.method, route.resource.canonical)
        for route in application(ServeSettings()).router.routes()
        if route.resource is not None and route.method not in {"*", "HEAD"}
    }
    assert described == {each for each in routes if each[1].startswith(OURS)}


@jumping
async def test_the_server_sends_the_document_that_is_shipped() -> None:
    """A client would read the description of another server."""
    async with asking() as client:
        answer = await client.ask("GET", "/openapi.json")
        assert (answer.status, answer.body) == (200, DOCUMENT)


@pytest.mark.parametrize(
    "kind",
    [
        views.Burst,
        views.Happening,
        views.Holder,
        views.LaneView,
        views.Overview,
        views.Point,
        views.PremiseView,
        views.TrunkView,
        Limits,
        Pause,
    ],
)
def test_an_object_has_the_fields_that_are_described(kind: type) -> None:
    """A field would be added, or renamed, and nobody told."""
    schema = SCHEMAS[kind.__name__]
    schema = schema["oneOf"][0] if "oneOf" in schema else schema
    names = [field.name for field in dataclasses.fields(kind)]
    assert set(schema["properties"]) == set(schema["required"]) == set(names)


def test_the_states_of_a_permit_are_those_that_are_described() -> None:
    """A client would meet a state that it doesn't know."""
    assert SCHEMAS["PermitState"]["enum"] == list(get_args(HeldState))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a server in a thread, because schemathesis doesn't await."""
    ready: Future[str] = Future()
    over = threading.Event()

    async def main() -> None:
        brief = ServeSettings(workspace=UNRATED, wait=0.01)
        async with asking(limit=3, settings=brief) as client:
            ready.set_result(client.url)
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    try:
        yield ready.result(timeout=30)
    finally:
        over.set()
        thread.join()


SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
TESTED = SCHEMA.exclude(path="/v1/events").exclude(path="/v1/drain")
"""All but a stream that doesn't end, and what would end all others."""

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.mark.slow
@TESTED.parametrize()
@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_the_server_answers_as_is_described(case: schemathesis.Case[Any], url: str) -> None:
    """A client that was made from the document would meet an answer that it can't read."""
    case.call_and_validate(base_url=url, checks=CHECKS)
