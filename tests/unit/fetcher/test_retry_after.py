from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callguard.fetcher.retry_after import LONGEST_RETRY_AFTER, retry_after

DATE = "Sun, 22 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0.5", 0.5),
        ("60", 60.0),
        ("61", 60.0),
        ("86400", 60.0),
        ("9" * 5000, 60.0),
        ("Sun, 22 Nov 2026 10:00:09 GMT", 9.0),
        ("Sunday, 22-Nov-26 10:00:09 GMT", 9.0),
        ("Sun Nov 22 10:00:09 2026", 9.0),
        ("Sun, 22 Nov 2026 09:59:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 60.0),
        ("", None),
        ("-1", None),
        ("+5", None),
        ("1e3", None),
        ("nan", None),
        ("inf", None),
        ("٣", None),
        ("5, 6", None),
        ("soon", None),
        ("Sun, 99 Nov 2026 10:00:09 GMT", None),
        ("Sun, 22 Nov 99999999999999999999 10:00:09 GMT", None),
    ],
)
def test_seconds_and_dates(asked: str, seconds: float | None) -> None:
    """If this fails, a Retry-After is not honoured, or an absurd one is."""
    assert retry_after({"Retry-After": asked, "Date": DATE}) == seconds


@pytest.mark.parametrize("date", [None, "", "today", "Sun, 22 Nov 2026 10:00:00"])
def test_a_date_is_measured_against_the_answers_own(date: str | None) -> None:
    """If this fails, the wall clock decides how long the provider is left alone."""
    headers = {"Retry-After": "Sun, 22 Nov 2026 10:00:09 GMT"}
    if date is not None:
        headers["Date"] = date
    assert retry_after(headers) == (9.0 if date and date.startswith("Sun") else None)


@pytest.fixture
def _far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "JST-9")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone can't be set here")
@pytest.mark.usefixtures("_far_from_utc")
def test_a_date_without_a_zone_is_in_utc() -> None:
    """If this fails, the machine's own time zone decides how long the provider is left alone."""
    assert retry_after({"Retry-After": "Sun Nov 22 10:00:09 2026", "Date": DATE}) == 9.0


def test_no_header_asks_for_nothing() -> None:
    """If this fails, an answer without a Retry-After breaks the retry."""
    assert retry_after({}) is None


_LETTERS = st.text(alphabet='SunMoNvGT0123456789:,;-+ ()\\"@.\x00é', max_size=40)


@settings(max_examples=200)
@given(asked=_LETTERS | st.text(max_size=40), date=_LETTERS | st.just(DATE))
def test_nonsense_breaks_nothing(asked: str, date: str) -> None:
    """If this fails, a header can crash the fetcher or silence it for ever."""
    seconds = retry_after({"Retry-After": asked, "Date": date})
    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER
