"""README's blocks are run as they stand."""

from __future__ import annotations

import asyncio
import html
import os
import re
import sys
from pathlib import Path

import pytest

from callguard.simulator import serve

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
SECTIONS = re.findall(
    r"^(##+ [^\n]+)$(?:(?!^##|^```).)*^```sh\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL
)
PYTHON = [text for language, text in BLOCKS if language == "python"]
DOCS = [
    block
    for path in sorted((ROOT / "docs").glob("*.md"))
    for block in re.findall(
        r"^```python\n(.*?)^```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
]
SHELL = [text for language, text in BLOCKS if language == "sh"]
IN_CI = [text for text in SHELL if ".venv/bin/" in text]


def test_every_block_is_one_that_is_run() -> None:
    """A block of README would be in a language that no test runs."""
    assert len(PYTHON) + len(SHELL) == len(BLOCKS)
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    headings = [heading for heading, block in SECTIONS if block in IN_CI]
    assert len(headings) == len(IN_CI) == 5
    assert all(f"'{heading}'" in ci for heading in headings), "the CI script runs those"


@pytest.mark.parametrize("block", PYTHON + DOCS)
def test_a_python_block_runs(block: str, request: pytest.FixtureRequest) -> None:
    """What a newcomer copies from README would not work."""
    needs_redis = "REDIS_URL" in block
    url = {"REDIS_URL": request.getfixturevalue("redis_url")} if needs_redis else {}
    asyncio.run(_run(sys.executable, "-W", "error", "-c", block, **url))


@pytest.mark.parametrize("block", [text for text in SHELL if text not in IN_CI])
def test_a_shell_block_runs(block: str) -> None:
    """A command that README names would not work."""
    asyncio.run(_run("sh", "-ec", block))


def test_the_caption_says_what_the_picture_shows() -> None:
    """README would say of its picture what that doesn't show."""
    picture = html.unescape((ROOT / "docs" / "demo.svg").read_text(encoding="utf-8"))
    said = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", picture).replace("\xa0", " "))
    (caption,) = re.findall(r"!\[([^]]*)\]\(docs/demo\.svg\)", README)
    stated = re.fullmatch(
        r"`callguard demo`: the same 150 leads; the loop loses (\d+) of them, and callguard none",
        caption,
    )
    assert stated
    assert re.findall(r"leads lost │ (\d+)│ (\d+)│", said) == [(stated[1], "0")]


async def _run(*command: str, **environment: str) -> None:
    async with serve(limit=20) as server:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        workspace = {"RETELL_API_KEY": server.api_key, "RETELL_BASE_URL": server.url}
        process = await asyncio.create_subprocess_exec(
            *command,
            env=os.environ | workspace | environment | {"PATH": path},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
