"""Whether an inbound call goes on, by the provider's list."""

from __future__ import annotations

import json

import pytest

from callguard.errors import LimitsMalformed
from callguard.fetcher import ProviderClient
from callguard.probe.inbound import has_inbound
from tests.support.fake_network import FakeSession, Reply
from tests.support.virtual_time import jumping


def listed(*calls: dict[str, str]) -> bytes:
    return json.dumps({"items": list(calls), "has_more": False}).encode()


async def answered(body: bytes) -> bool:
    session = FakeSession(lambda *_: Reply(404), lambda *_: Reply(200, body))
    return await has_inbound(ProviderClient("key_of_this_test", session=session))


@pytest.mark.parametrize(
    ("direction", "status", "is_there"),
    [
        ("inbound", "ongoing", True),
        ("inbound", "ended", False),
        ("inbound", "registered", False),
        ("outbound", "ongoing", False),
    ],
)
@jumping
async def test_only_an_inbound_call_in_progress_is_one(
    direction: str, status: str, is_there: bool
) -> None:
    """If this fails, a rule is concluded from a call that takes no room, or isn't inbound."""
    web = {"call_type": "web_call", "call_status": "ongoing"}
    call = {"direction": direction, "call_status": status}
    assert await answered(listed(web, call)) is is_there
    assert not await answered(listed(web))


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"items": 7}', b'{"items": [7]}', b'{"items": [{"direction": 1}]}'],
)
@jumping
async def test_an_answer_that_is_no_list_is_malformed(body: bytes) -> None:
    """If this fails, an answer that can't be right is taken for no inbound call, or crashes."""
    with pytest.raises(LimitsMalformed):
        await answered(body)
