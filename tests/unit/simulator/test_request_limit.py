"""How many requests are answered in a minute."""

from __future__ import annotations

import pytest

from callguard.simulator import InvalidSetting, RequestLimit


def test_no_limit_by_default() -> None:
    """A simulator that nobody asked for a limit would refuse requests."""
    limit = RequestLimit()
    assert all(limit.has_room("/get-concurrency", 0.0) for _ in range(10_000))
    assert limit.answered == {"/get-concurrency": 10_000}
    assert not limit.refused


def test_the_minute_rolls_and_all_endpoints_share_it() -> None:
    """A client would get more or fewer answers than the limit says."""
    limit = RequestLimit(per_minute=3)
    came = [
        ("/a", 0.0, True),
        ("/b", 30.0, True),
        ("/a", 59.0, True),
        ("/a", 59.9, False),
        ("/b", 59.9, False),
        ("/b", 60.0, True),  # the first is a minute old
        ("/a", 89.9, False),
        ("/a", 90.0, True),
    ]
    assert [limit.has_room(endpoint, at) for endpoint, at, _ in came] == [fits for *_, fits in came]
    assert (limit.answered, limit.refused) == ({"/a": 3, "/b": 2}, {"/a": 2, "/b": 1})


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "300"])
def test_limits_that_can_not_be(number: object) -> None:
    """A slip would be a provider that answers nothing, or everything."""
    with pytest.raises(InvalidSetting, match="requests_per_minute must be a whole number"):
        RequestLimit(number)  # type: ignore[arg-type]
