"""Sessions and the token of forms."""

from __future__ import annotations

import pytest

from callguard.serve.page.sessions import LASTS, Sessions
from tests.support.overviews import NOW

TOKEN = "correct-horse-battery-staple"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def test_a_session_says_whether_its_owner_has_signed_in() -> None:
    """Everybody would be signed in, or nobody."""
    sessions = Sessions(TOKEN, Clock())
    for signed_in in (True, False):
        session = sessions.read(sessions.new(signed_in=signed_in).cookie)
        assert session is not None
        assert session.signed_in is signed_in


@pytest.mark.parametrize("cookie", [None, "", ".", "a.b.c.d", "é.1.1.", "\0", "x" * 9000])
def test_what_is_no_cookie_of_ours_is_no_session(cookie: str | None) -> None:
    """A stranger's bytes would be a session, or an error."""
    assert Sessions(TOKEN, Clock()).read(cookie) is None


def test_no_cookie_can_be_changed() -> None:
    """Whoever has not signed in would change a digit and be in."""
    sessions = Sessions(TOKEN, Clock())
    cookie = sessions.new(signed_in=False).cookie
    name, ends, signed_in, signature = cookie.split(".")
    assert signed_in == "0"
    assert sessions.read(f"{name}.{ends}.1.{signature}") is None
    assert sessions.read(f"{name}.{int(ends) + 9}.0.{signature}") is None
    assert Sessions("another", Clock()).read(cookie) is None
    assert Sessions(None, Clock()).read(Sessions(None, Clock()).new(signed_in=True).cookie) is None


def test_sessions_end() -> None:
    """A cookie that was copied once would open the page for ever."""
    clock = Clock()
    sessions = Sessions(TOKEN, clock)
    cookie = sessions.new(signed_in=True).cookie
    clock.now += LASTS - 1
    assert sessions.read(cookie) is not None
    clock.now += 1
    assert sessions.read(cookie) is None


def test_sessions_outlive_a_restart_with_the_same_token() -> None:
    """Everybody would have to sign in after each deployment."""
    cookie = Sessions(TOKEN, Clock()).new(signed_in=True).cookie
    assert Sessions(TOKEN, Clock()).read(cookie) is not None


def test_the_token_of_a_form_belongs_to_one_session() -> None:
    """A token from one's own session would let one act in that of somebody else."""
    sessions = Sessions(TOKEN, Clock())
    mine, yours = sessions.new(signed_in=True), sessions.new(signed_in=True)
    assert sessions.is_from(mine, sessions.csrf(mine))
    assert not sessions.is_from(yours, sessions.csrf(mine))
    assert not sessions.is_from(mine, "")
    assert not sessions.is_from(mine, mine.cookie)


def test_only_the_token_opens_and_it_is_nowhere() -> None:
    """A guess would open the page, or the cookie would give the token away."""
    sessions = Sessions(TOKEN, Clock())
    assert sessions.opens(TOKEN)
    assert not sessions.opens(TOKEN[:-1])
    assert not sessions.opens("")
    assert not Sessions(None, Clock()).opens("")
    assert TOKEN not in sessions.new(signed_in=True).cookie
    assert TOKEN not in repr(sessions)
