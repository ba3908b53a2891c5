"""What the distribution is called, and that no instruction names another."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from callguard import UsageError, cli
from callguard.ledger import RedisLedger

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SEARCHED = ["README.md", "CHANGELOG.md", "pyproject.toml", ".ci", "callguard", "docs", "examples"]

STRANGERS = re.compile(
    r"""(?:\bpip3?\ install|\b(?:uv|pdm|poetry|pipx)\ (?:add|install|run))\b
        [^&|;\n]*[\s'"]callguard(?![-\w])
        |\bcallguard\[[a-z]""",
    re.VERBOSE,
)
"""The name that is somebody else's on the package index, where a requirement stands."""


def texts() -> Iterator[tuple[Path, str]]:
    for name in SEARCHED:
        root = ROOT / name
        for path in [root] if root.is_file() else sorted(root.rglob("*")):
            if path.is_file() and path.suffix not in {".pyc", ".svg", ".png"}:
                yield path, path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "line",
    [
        "pip install callguard",
        "pip install 'callguard[redis]'",
        '.venv/bin/pip install -q "callguard==0.3.0"',
        "pip install retell-sdk callguard",
        "(`pip install 'callguard[redis]'`)",
        'dev = ["callguard[cli,redis]"]',
        "uv add callguard",
    ],
)
def test_an_instruction_that_names_the_stranger_is_found(line: str) -> None:
    """The search below would find nothing, whatever the files say."""
    assert STRANGERS.search(line)
    assert not STRANGERS.search(line.replace("callguard", "callguard-gate"))


def test_no_instruction_names_the_stranger() -> None:
    """Whoever does as README, a message or the documentation says would run a stranger's code."""
    assert PROJECT["name"] == "callguard-gate"
    assert {path: found for path, text in texts() if (found := STRANGERS.findall(text))} == {}


def test_messages_ask_for_what_the_extras_bring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who follows a message would get a release that doesn't work, or not what is missing."""
    extras = PROJECT["optional-dependencies"]
    named = " ".join(f"'{each}'" for each in extras["cli"])
    assert f"pip install {named}" == cli._INSTALL
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(UsageError) as raised:
        RedisLedger.from_url("redis://localhost")
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.delitem(sys.modules, "callguard.serve.page.rendering", raising=False)
    with pytest.raises(UsageError) as lacking:
        importlib.import_module("callguard.serve.page.rendering")
    (jinja2,) = extras["serve"]
    assert str(lacking.value).endswith(f"pip install '{jinja2}'")
    (redis,) = extras["redis"]
    assert str(raised.value).endswith(f"pip install '{redis}'")


def test_the_lowest_versions_are_those_that_ci_tests() -> None:
    """A lower bound would be let down, or put up, and no test run on it."""
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *extras["cli"], *extras["redis"], *extras["serve"]]
    pinned = (ROOT / ".ci" / "lowest.txt").read_text(encoding="utf-8").split()
    for requirement in wanted:
        name, _, bound = re.sub(r"\[.*\]", "", requirement).partition(">=")
        assert any(re.fullmatch(rf"{name}=={re.escape(bound)}(\.\d+)*", pin) for pin in pinned)
