from __future__ import annotations

import aiohttp
import pytest
import tenacity

from callguard import CallGuardError, LimitsUnavailable, UsageError
from callguard.fetcher import LimitFetcher
from tests.support.fake_network import FakeSession, Reply, in_turn
from tests.support.virtual_time import run
from tests.unit.fetcher.faults import exception_classes, instance_of
from tests.unit.fetcher.leaks import KEY, assert_keyless, assert_silent

LASTING = {
    # The request itself is wrong, or its session.
    aiohttp.InvalidURL,
    aiohttp.InvalidUrlClientError,
    aiohttp.InvalidUrlRedirectClientError,
    aiohttp.NonHttpUrlClientError,
    aiohttp.NonHttpUrlRedirectClientError,
    aiohttp.RedirectClientError,
    # Nothing that asks for the limits can raise these, but for a session that is wrong.
    aiohttp.EofStream,
    aiohttp.WebSocketError,
    aiohttp.WSMessageTypeError,
    tenacity.RetryError,
    tenacity.TryAgain,
}
"""What another attempt won't mend. Whatever is not here has to be a transient fault."""

ALL = exception_classes()


async def read(fault: Exception, *, in_body: bool) -> None:
    outcome = Reply(body=b"{", fault=fault) if in_body else fault
    async with LimitFetcher(KEY, session=FakeSession(in_turn(outcome))) as fetcher:
        await fetcher.get()


def test_the_exceptions_were_found() -> None:
    """If this fails, the tests below look at nothing."""
    names = {kind.__name__ for kind in ALL}
    assert {"ClientError", "UnixClientConnectorError", "LineTooLong", "RetryError"} <= names
    assert set(aiohttp.client_exceptions.__all__) <= names
    assert len(ALL) >= 45
    assert set(ALL) >= LASTING


@pytest.mark.parametrize("in_body", [False, True], ids=["request", "body"])
@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_exception_of_aiohttp_and_tenacity_is_mapped(
    kind: type[Exception], in_body: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """If this fails, a library's exception reaches the caller, is taken for another, or leaks."""
    caplog.set_level("DEBUG")
    with pytest.raises(CallGuardError) as caught:
        run(read(instance_of(kind), in_body=in_body))
    assert type(caught.value) is (UsageError if kind in LASTING else LimitsUnavailable)
    assert kind.__name__ in str(caught.value)
    assert_keyless(caught.value)
    assert_silent(caplog)
