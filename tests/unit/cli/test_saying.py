"""Sentences, on terminals of several widths and in logs."""

from __future__ import annotations

import io

import pytest

from callguard.cli.saying import say

SENTENCE = (
    "refused: the provider's address http://example.com/of-it is plain http to another machine"
)


class Stream(io.StringIO):
    """A terminal or a file; it has no descriptor to ask for a width."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.mark.parametrize("columns", ["40", "60", "80", "200"])
def test_a_terminal_breaks_no_word(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A narrow terminal would break words wherever its edge is."""
    monkeypatch.setenv("COLUMNS", columns)
    stream = Stream(is_terminal=True)
    say(SENTENCE, stream)
    lines = stream.getvalue().splitlines()
    assert " ".join(lines) == SENTENCE
    assert max(map(len, lines)) <= int(columns)


def test_a_log_has_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that reads lines would get parts of sentences."""
    monkeypatch.setenv("COLUMNS", "20")
    stream = Stream(is_terminal=False)
    say(SENTENCE, stream)
    assert stream.getvalue() == f"{SENTENCE}\n"


@pytest.mark.parametrize("columns", ["", "0", "wide"])
def test_a_terminal_that_has_no_width(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that can't tell how wide it is would end the command, or get a word a line."""
    monkeypatch.setenv("COLUMNS", columns)
    stream = Stream(is_terminal=True)
    say(SENTENCE, stream)
    assert 30 < max(map(len, stream.getvalue().splitlines())) <= 80


def test_what_goes_on_is_indented_like_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seconds at the beginning of a line could not be told from what follows."""
    monkeypatch.setenv("COLUMNS", "20")
    stream = Stream(is_terminal=True)
    say("   0.0 s  reading the counter", stream)
    assert stream.getvalue() == "   0.0 s  reading\n   the counter\n"
