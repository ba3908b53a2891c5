"""The documentation names what is there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
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
    contracts = project["tool"]["importlinter"]["contracts"]
    (layers,) = (each["layers"] for each in contracts if each["type"] == "layers")
    design = (ROOT / "docs" / "design.md").read_text("utf-8").partition("\n## Floors\n")[2]
    rows = re.findall(r"^\| (`.*?) \|", design, flags=re.MULTILINE)
    floors = [row.replace("`", "").replace(", ", " | ") for row in rows]
    assert ["__main__", *floors] == layers, "docs/design.md has a table of them"


def test_the_hooks_run_what_ci_runs() -> None:
    """A commit would pass here and fail there, or the other way round."""
    hooks = re.findall(r"entry: (.+)", (ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    ci = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    readme = (ROOT / "README.md").read_text("utf-8")
    checks = [line for line in ci if re.match(r"\.venv/bin/(ruff|mypy|lint-imports)\b", line)]
    assert len(checks) == 4
    assert hooks == [*checks, ".venv/bin/python -m pytest"]
    assert f"{hooks[-1]}\n" in readme
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    assert "- run: .ci/run\n" in workflow


def test_every_program_is_in_the_index_and_no_other() -> None:
    """What shows the promise to hold would be found by nobody, or be looked for in vain."""
    scripts = (ROOT / "tests").rglob("*.py")
    programs = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
        for path in scripts
        if path.stem == "__main__" or "\nif __name__ == " in path.read_text("utf-8")
    }
    index = (ROOT / "tests" / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| `python -m ([\w.]+).*?` \| .+ \| .+ \|$", index, flags=re.MULTILINE)
    assert set(rows) == programs
