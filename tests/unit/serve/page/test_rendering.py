"""What the page shows of an overview."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from callguard.serve.page.rendering import MOST_HOLDERS, PARTS, Renderer
from callguard.serve.page.standing import standing
from callguard.serve.views import Overview
from tests.support.overviews import STATES, busy, empty, full, hostile, outage, paused, shared

VOID = {"meta", "link", "input"}


class Tags(HTMLParser):
    """Collects the tags and attributes of a page, and what isn't closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def page(overview: Overview, *, read_only: bool = False) -> str:
    renderer = Renderer(read_only=read_only)
    parts = renderer.parts(overview)
    return renderer.page(overview, parts, csrf="a-token", signed_in=True, run="run")


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", html))


@pytest.mark.parametrize("state", [*STATES.values(), hostile], ids=[*STATES, "hostile"])
def test_every_state_is_a_whole_page(state: object) -> None:
    """A template would fail, or leave an element open, just when something is amiss."""
    assert callable(state)
    tags = Tags(page(state()))
    assert not tags.wrong
    assert not tags.open
    assert len(set(tags.ids)) == len(tags.ids)
    assert set(PARTS) <= set(tags.ids)


def test_what_came_from_outside_is_only_text() -> None:
    """A lane, an event or an answer of the provider would run as code, or be a link or a style."""
    hostile_tags, tags = Tags(page(hostile())), Tags(page(busy()))
    assert set(hostile_tags.names) <= {*tags.names, "button", "p", "ul", "li", "b", "strong"}
    assert hostile_tags.names.count("script") == 1
    assert "img" not in hostile_tags.names
    for name, value in hostile_tags.attributes:
        assert not name.startswith("on"), (name, value)
        assert name not in {"style", "srcset", "onerror"}
    parts = Renderer(read_only=False).parts(hostile())
    assert all("<script" not in html and "<img" not in html for html in parts.values())


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_nothing_is_inline_and_nothing_is_loaded_from_elsewhere(state: object) -> None:
    """The policy of the page would have to have an exception."""
    assert callable(state)
    html = page(state())
    tags = Tags(html)
    assert "style" not in tags.names
    assert not [name for name, _ in tags.attributes if name == "style" or name.startswith("on")]
    assert "http://" not in html
    assert "https://" not in html
    addresses = [value or "" for name, value in tags.attributes if name in {"src", "href"}]
    assert all(address.startswith("/") for address in addresses)


def test_a_page_to_be_looked_at_only_has_no_buttons() -> None:
    """Whoever must not would be invited to pause a campaign."""
    html = page(paused(), read_only=True)
    assert "formaction" not in html
    assert "/pause" not in html
    assert "/drain" not in html
    assert text(html).count("Pause") == text(html).count("Paused")


def test_parts_hold_nothing_of_a_session() -> None:
    """One session's token would be sent to everybody who looks."""
    for html in Renderer(read_only=False).parts(paused()).values():
        assert "a-token" not in html
        assert 'name="csrf"' not in html
    assert page(paused()).count('value="a-token"') == 2


def test_what_is_unknown_is_never_zero() -> None:
    """An operator would think that nothing goes on, while nobody knows."""
    state = standing(empty())
    assert (state.calls, state.limit) == ("?", "?")
    parts = Renderer(read_only=False).parts(empty())
    assert "no reading yet" in parts["chart"]
    assert "reported <b>?</b>" in parts["chart"]
    assert "<td" in parts["lanes"]
    assert "Unknown" in parts["burst"]


@pytest.mark.parametrize(
    ("overview", "word"),
    [
        (empty(), "Waiting"),
        (busy(), "Open"),
        (full(), "Full"),
        (paused(), "Paused"),
        (outage(), "No reading"),
        (replace(busy(), draining=True), "Draining"),
        (replace(busy(), pauses=paused().pauses[1:]), "Partly paused"),
        (shared(), "Open"),
    ],
)
def test_the_state_is_said_in_a_word(overview: Overview, word: str) -> None:
    """An operator would have to read the numbers to see whether all is well."""
    assert standing(overview).word == word
    assert f">{word}</span>" in Renderer(read_only=False).parts(overview)["standing"]


def test_sentences_numbers_and_people_are_shown() -> None:
    """A part of what an operator needs would be missing from the page."""
    said = text(page(full()))
    for needed in [
        "20 of 20 in use",
        "1834 waiting",
        "yours is next in about 40 s",
        "6 min 52 s / 15 min 0 s",
        "31 of 300 starts in a minute",
        "counter_lag said 5, seen 7.4, 3 times",
        "ends_free_at_once was given up",
        "dialer-1 (process 4711)",
        "reading 0.4 s old",
    ]:
        assert needed in said, needed
    assert "carrier trouble by dialer-1 (process 4711), 1 min 35 s ago" in text(page(paused()))
    assert "3 calls now$1,284.50" not in said


def test_of_many_holders_the_oldest_are_shown_and_the_rest_counted() -> None:
    """A workspace with thousands of calls would make a page that no telephone opens."""
    html = Renderer(read_only=False).parts(shared())["holders"]
    assert html.count("<tr>") == MOST_HOLDERS + 1
    assert f"and {211 - MOST_HOLDERS} younger ones" in html
