"""The documentation names what is there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
CODE = ["callguard", "callguard_command.py", "tests", "examples", ".ci"]
PAGE = re.compile(r"[\w./-]+\.md\b")


def test_the_code_cites_no_page_that_the_repository_lacks() -> None:
    """Whoever follows a comment to the argument for it would find nothing."""
    texts = {
        path: path.read_text(encoding="utf-8")
        for name in CODE
        for path in [ROOT / name, *(ROOT / name).rglob("*")]
        if path.suffix in {".py", ".lua"} or path.name == "run"
    }
    cited = {(path, page) for path, text in texts.items() for page in PAGE.findall(text)}
    assert cited, "the search finds nothing"
    assert {each for each in cited if not _exists(each[1])} == set()


def _exists(page: str) -> bool:
    return any((ROOT / folder / page).exists() for folder in ("", "docs", "tests"))


def test_no_link_leads_nowhere() -> None:
    """A reader of one page would not get to the next."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("tests/*.md")]
    for page in pages:
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", page.read_text("utf-8")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_the_floors_that_are_described_are_those_that_the_linter_holds() -> None:
    """The map of the house would lead a newcomer to rooms that have moved."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (contract,) = project["tool"]["importlinter"]["contracts"]
    design = (ROOT / "docs" / "design.md").read_text("utf-8").partition("\n## Floors\n")[2]
    rows = re.findall(r"^\| (`.*?) \|", design, flags=re.MULTILINE)
    floors = [row.replace("`", "").replace(", ", " | ") for row in rows]
    assert ["__main__", *floors] == contract["layers"]
