"""A real browser without a screen, and axe-core, which finds what keeps people out of a page."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

__all__ = ["CHROMIUM", "Visit", "axe_violations", "chromium", "opened"]

CHROMIUM: Final = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

_ARGUMENTS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

_AXE: Final = "axe-core@4.10.3"


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Debian's Chromium, headless; skips the test where there is none."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium here; on Debian: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


class Visit:
    """A page in the browser, and what it said and loaded."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.said: list[str] = []
        self.loaded: list[str] = []
        self.failed: list[str] = []
        page.on("console", lambda said: self.said.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: self.said.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self.loaded.append(request.url))
        page.on("requestfailed", lambda request: self.failed.append(request.url))


@asynccontextmanager
async def opened(
    browser: Browser, *, width: int = 1280, scheme: str = "light", **more: Any
) -> AsyncIterator[Visit]:
    """An empty page of a new visitor."""
    context: BrowserContext = await browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        **more,
    )
    context.set_default_timeout(20_000)
    try:
        yield Visit(await context.new_page())
    finally:
        await context.close()


async def axe_violations(page: Page) -> list[str]:
    """What axe-core finds wrong with a page, one line each."""
    await page.evaluate(_axe())
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {each['help']}: {node['html'][:200]}: {node['failureSummary'][:300]}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


@cache
def _axe() -> str:
    """The source of axe-core, which npm fetches once into a folder of its own."""
    folder = Path(tempfile.gettempdir()) / f"callguard-{_AXE}-{os.getuid()}"
    if not folder.exists():
        _install(folder)
    return (folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


def _install(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm here, which would bring axe-core")
    apart = tempfile.mkdtemp(dir=folder.parent)
    done = subprocess.run(
        [npm, "install", "--silent", "--ignore-scripts", "--no-audit", "--prefix", apart, _AXE],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"npm can't install axe-core: {done.stderr.strip()[-300:]}")
    try:
        Path(apart).rename(folder)
    except OSError:  # another process was faster
        shutil.rmtree(apart)
