"""An `Overview` as HTML: the whole page, and its parts one by one for those who watch.

Everything that came from outside is escaped by Jinja; a name that a template doesn't know is an
error. The parts are the same for everybody who looks at a workspace: nothing in them belongs to one
session, so that one rendering serves all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Final

from callguard.decision import Pause
from callguard.errors import MissingExtra
from callguard.serve.page.chart import HEIGHT, SECONDS, draw
from callguard.serve.page.standing import standing
from callguard.serve.page.static import address
from callguard.serve.views import Overview

try:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    from callguard.serve.page import words
except ModuleNotFoundError:
    raise MissingExtra(
        "callguard serve needs jinja2", "serve", "pip install 'jinja2>=3.1'"
    ) from None

__all__ = ["MOST_HOLDERS", "PARTS", "Renderer", "scope"]

PARTS: Final = (
    "standing",
    "sentences",
    "chart",
    "minutes",
    "lanes",
    "trunks",
    "burst",
    "premises",
    "holders",
    "events",
)
"""The parts that are sent anew when they changed; each is a template, and an element by this id."""

MOST_HOLDERS: Final = 25
"""Holders that are shown, the oldest; how many more there are is said."""

_MOST_EVENTS: Final = 25


class Renderer:
    """Renders the pages.

    Args:
        read_only: whether nothing may be paused, resumed or drained here.
    """

    def __init__(self, *, read_only: bool) -> None:
        self._read_only = read_only

    def parts(self, overview: Overview) -> Mapping[str, str]:
        """Render each part."""
        shown = {
            "view": overview,
            "now": overview.at,
            "standing": standing(overview),
            "chart": draw(overview.chart, overview.at),
        }
        return {name: self.other(f"parts/{name}", **shown) for name in PARTS}

    def page(
        self, overview: Overview, parts: Mapping[str, str], *, csrf: str, signed_in: bool, run: str
    ) -> str:
        """Render the whole page around its parts.

        Args:
            overview: what it shows.
            parts: its rendered parts.
            csrf: the token that its forms send.
            signed_in: whether there is something to sign out of.
            run: the name of this run of the server, which tells a restart.
        """
        return self.other(
            "page",
            view=overview,
            standing=standing(overview),
            fragments={name: Markup(html) for name, html in parts.items()},  # noqa: S704
            csrf=csrf,
            signed_in=signed_in,
            run=run,
        )

    def other(self, name: str, **shown: object) -> str:
        """Render the template of this name, such as that of the form to sign in."""
        template = _templates().get_template(f"{name}.html")
        return template.render(shown, read_only=self._read_only)


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("callguard.serve.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals |= {
        "static": address,
        "most_holders": MOST_HOLDERS,
        "most_events": _MOST_EVENTS,
        "plot": (SECONDS, HEIGHT),
        "scope": scope,
        "since": words.since,
        "until": words.until,
        "live": words.live,
    }
    templates.filters |= {
        "duration": words.duration,
        "clock": words.clock,
        "dollars": words.dollars,
    }
    return templates


def scope(lane: str | None = None, trunk: str | None = None, pause: Pause | None = None) -> str:
    """What a button pauses or resumes, as its value."""
    if pause is not None:
        lane, trunk = pause.lane, pause.trunk
    return json.dumps([lane, trunk])
