"""What clients write in bodies and queries, checked by name, with errors that say what is right."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from aiohttp import web

from callguard.arguments import is_sendable
from callguard.serve.asked import body_of
from callguard.serve.problems import Problem
from callguard.showing import shown

__all__ = ["Field", "flag", "in_body", "in_query", "reason", "seconds", "status", "text"]

LONGEST_TEXT: Final = 256
"""Characters of a name or an id at most. Our own choice: a UUID has 36."""

LONGEST_SECONDS: Final = 1e6
"""Seconds that a client may ask for at most: eleven days. Our own choice."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a body, or a parameter of a query.

    Attributes:
        name: its name.
        right: what its value has to be, to follow "must be".
        fits: whether a value is that.
        parse: makes a value of the text in a query; None if the text is the value.
    """

    name: str
    right: str
    fits: Callable[[Any], bool]
    parse: Callable[[str], object] | None = None

    def checked(self, value: object) -> object:
        """Return the value.

        Raises:
            Problem: it is not what it has to be.
        """
        if not self.fits(value):
            raise Problem(
                422,
                f"{self.name} must be {self.right}, got {shown(value)}",
                kind="bad-field",
                field=self.name,
            )
        return value


def text(name: str, *, or_null: str = "") -> Field:
    """A name or an id; `or_null` says what null stands for, and is empty if it isn't allowed."""
    right = f"text of 1 to {LONGEST_TEXT} characters" + (f", or null {or_null}" if or_null else "")
    return Field(name, right, lambda value: (value is None and bool(or_null)) or _is_name(value))


def reason(name: str) -> Field:
    """A text for people, which may be empty."""
    right = f"text of up to {LONGEST_TEXT} characters"
    return Field(name, right, lambda value: value == "" or _is_name(value))


def seconds(name: str, *, or_null: str = "") -> Field:
    """A number of seconds; `or_null` is as for `text`."""
    right = f"a number of seconds from 0 to {LONGEST_SECONDS:,.0f}"
    right += f", or null {or_null}" if or_null else ""
    return Field(
        name, right, lambda value: (value is None and bool(or_null)) or _is_seconds(value), _number
    )


def status(name: str) -> Field:
    """The status of an HTTP answer; null if there was none."""
    return Field(
        name,
        "the status of an HTTP answer, from 100 to 599, or null if there was none",
        lambda value: value is None or (type(value) is int and 100 <= value <= 599),
    )


def flag(name: str) -> Field:
    """True or false."""
    return Field(name, "true or false", lambda value: isinstance(value, bool))


async def in_body(request: web.Request, *fields: Field) -> dict[str, Any]:
    """Read the JSON object in the body of a request; no body is an empty object.

    Raises:
        Problem: the body is no such object, is too large or too slow, or a field is unknown or not
            what it has to be.
    """
    body = await body_of(request)
    if not body:
        return {}
    if request.content_type != "application/json":
        # A form on another site's page could send any other type without the browser's asking.
        raise Problem(415, f"send JSON with Content-Type: application/json, not {_type(request)}")
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise Problem(400, "the body is not a JSON document", kind="bad-body") from None
    if not isinstance(given, dict):
        raise Problem(400, f"the body must be a JSON object, got {shown(given)}", kind="bad-body")
    return _checked(given, fields, "field")


def in_query(request: web.Request, *fields: Field) -> dict[str, Any]:
    """Read the parameters of a request's query, besides ``workspace``.

    Raises:
        Problem: a parameter is unknown, given twice, or not what it has to be.
    """
    given: dict[str, object] = {}
    parsers = {field.name: field.parse for field in fields}
    for name, value in request.query.items():
        if name in given:
            raise Problem(422, f"the parameter {name} is given twice", kind="bad-field", field=name)
        parse = parsers.get(name)
        given[name] = value if parse is None else parse(value)
    return _checked(given, (*fields, text("workspace")), "parameter")


def _checked(given: Mapping[str, object], fields: tuple[Field, ...], what: str) -> dict[str, Any]:
    known = {field.name: field for field in fields}
    for name in given:
        if name not in known:
            raise _unknown(name, list(known), what)
    return {name: known[name].checked(value) for name, value in given.items()}


def _unknown(name: str, known: list[str], what: str) -> Problem:
    nearest = get_close_matches(name, known, 1, cutoff=0.5)
    advice = f"did you mean {nearest[0]}?" if nearest else f"there are: {', '.join(known)}"
    detail = f"there is no {what} {shown(name)}; " + (advice if known else "none is expected")
    return Problem(422, detail, kind="bad-field", field=name)


def _type(request: web.Request) -> str:
    return request.content_type if "Content-Type" in request.headers else "without a type"


def _number(written: str) -> object:
    try:
        return float(written)
    except ValueError:
        return written


def _is_seconds(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value <= LONGEST_SECONDS  # type: ignore[operator]


def _is_name(value: object) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_TEXT and is_sendable(value)
