"""Who looks at the page: a signed cookie, and the token against forged forms that belongs to it.

The cookie holds no secret of the server: a random name, until when it holds, whether its owner has
signed in, and a signature of these. Nothing is kept here, so sessions cost nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["LASTS", "Session", "Sessions"]

LASTS: Final = 12 * 3600
"""Seconds that a session lasts: a shift."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session whose signature is right.

    Attributes:
        cookie: its cookie's value.
        signed_in: whether its owner has shown the server's token.
    """

    cookie: str
    signed_in: bool


class Sessions:
    """Makes and checks sessions.

    With a token of the server they outlive a restart with the same token; else they end with this
    object.

    Args:
        token: the server's token; None where nobody has to sign in.
        now: seconds since 1970.
    """

    def __init__(self, token: str | None, now: Callable[[], float]) -> None:
        self._token = token
        self._now = now
        self._secret = (
            secrets.token_bytes(32)
            if token is None
            else hmac.digest(token.encode(), b"callguard: sessions of the page", "sha256")
        )

    def new(self, *, signed_in: bool) -> Session:
        """Begin a session."""
        name, ends = secrets.token_urlsafe(18), round(self._now()) + LASTS
        content = f"{name}.{ends}.{int(signed_in)}"
        return Session(f"{content}.{self._signature('session', content)}", signed_in)

    def read(self, cookie: str | None) -> Session | None:
        """The session of a cookie; None if the cookie isn't ours, or its time is over."""
        content, _, signature = (cookie or "").rpartition(".")
        if not _same(signature, self._signature("session", content)):
            return None
        _, ends, signed_in = content.split(".")
        if int(ends) <= self._now():
            return None
        return Session(cookie or "", signed_in == "1")

    def csrf(self, session: Session) -> str:
        """The token that the forms of a session send."""
        return self._signature("csrf", session.cookie)

    def is_from(self, session: Session, csrf: str) -> bool:
        """Whether a form was made for this session."""
        return _same(csrf, self.csrf(session))

    def opens(self, token: str) -> bool:
        """Whether this is the server's token."""
        return self._token is not None and _same(token, self._token)

    def _signature(self, purpose: str, content: str) -> str:
        message = f"{purpose}\0{content}".encode("utf-8", "replace")
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()


def _same(said: str, right: str) -> bool:
    """Compare in a time that doesn't tell where they differ, nor how long the right one is."""
    digests = (hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in (said, right))
    return hmac.compare_digest(*digests)
