"""Reading an overview that another process has written."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from callguard.serve.parsing import overview_from
from tests.support.overviews import STATES, busy


def sent() -> Any:
    return json.loads(json.dumps(busy().as_json()))


@pytest.mark.parametrize("state", STATES)
def test_what_was_written_is_read(state: str) -> None:
    """The terminal would show other figures than the page."""
    seen = STATES[state]()
    assert overview_from(json.loads(json.dumps(seen.as_json()))) == seen


@pytest.mark.parametrize("state", STATES)
def test_all_is_written(state: str) -> None:
    """A script would miss what people are shown."""
    seen = STATES[state]()
    written = seen.as_json() | {"usage": asdict(seen.usage)}
    assert json.dumps(written) == json.dumps(asdict(seen))


def test_fields_of_a_newer_server_are_ignored() -> None:
    """An upgrade of the server would blind every terminal."""
    assert overview_from(sent() | {"mood": "good"}) == busy()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"usage": None}, "usage must be an object"),
        ({"at": "now"}, "'at' can't be 'now'"),
        ({"draining": 1}, "'draining' can't be '1'"),
        ({"lanes": {}}, "'lanes' can't be"),
        ({"holders": [{}]}, "has no field 'id'"),
        ({"events": [3]}, "events must be an object"),
    ],
)
def test_what_is_no_overview_is_said(changes: dict[str, object], said: str) -> None:
    """A wrong address would end in a traceback."""
    with pytest.raises(ValueError, match=said):
        overview_from(sent() | changes)
    with pytest.raises(ValueError, match="the answer must be an object"):
        overview_from([])


def test_a_state_that_is_none_is_said() -> None:
    """A terminal would show a state that no permit has."""
    holder = sent()["holders"][0]
    with pytest.raises(ValueError, match="'state' can't be 'asleep'"):
        overview_from(sent() | {"holders": [holder | {"state": "asleep"}]})
