"""The page in a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any, Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from callguard.serve.page.settings import PageSettings
from callguard.serve.views import Happening, Overview
from tests.support.browser import Visit, axe_violations, chromium, opened
from tests.support.overviews import NOW, STATES, busy, hostile
from tests.support.page_server import OnShow, serving

pytestmark = [pytest.mark.outside, pytest.mark.asyncio(loop_scope="module")]

TOKEN = "a-token-of-the-server"

expect.set_options(timeout=30_000)

LIMIT = 25_000
"""Bytes that the style sheet, the script and the icon may have together."""


SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


def check_quiet(visit: Visit, url: str) -> None:
    assert visit.said == []
    assert [address for address in visit.loaded if not address.startswith(url)] == []


async def test_it_loads_and_goes_on_by_itself(browser: Browser) -> None:
    """The page would stand still, say errors nobody reads, or load things from elsewhere."""
    shown = OnShow(busy())
    async with serving(shown) as url, opened(browser) as visit:
        page = visit.page
        await page.goto(url)
        await expect(page.locator("#connection")).to_have_text("live")
        await expect(page).to_have_title("16/20 · callguard")
        event = Happening(NOW, "Told", 'it rained on "bulk"')
        usage = replace(busy().usage, reported=14)
        shown.shown = replace(busy(), events=(event,), usage=usage)
        await expect(page.locator("#events")).to_contain_text('it rained on "bulk"')
        await expect(page.locator(".calls")).to_have_text("17")
        await expect(page).to_have_title("17/20 · callguard")
        check_quiet(visit, url)
        assert len([address for address in visit.loaded if "/static/" in address]) == 3


async def test_durations_go_on_between_two_updates(browser: Browser) -> None:
    """A countdown would jump once a second, or say "in 0.7 s" for as long as nothing changes."""
    far = replace(busy(), snapshot_age=1.0)
    async with serving(OnShow(far)) as url, opened(browser) as visit:
        await visit.page.goto(url)
        age = visit.page.locator(".age span")
        seen = {await age.inner_text()}
        while len(seen) < 4:
            await expect(age).not_to_have_text(await age.inner_text())
            seen.add(await age.inner_text())


async def test_buttons_pause_and_resume(browser: Browser) -> None:
    """An operator would press a button, and a browser would refuse to send it."""
    shown = OnShow(busy())
    async with serving(shown) as url, opened(browser) as visit:
        page = visit.page
        await page.goto(url)
        await page.get_by_label("Reason for a pause").fill("storm")
        await page.get_by_role("button", name="Pause all").click()
        await expect(page.locator("#sentences")).to_contain_text("Everything is paused: storm")
        await expect(page.locator("#standing")).to_contain_text("Paused")
        await page.get_by_role("button", name="Resume").click()
        await expect(page.locator("#sentences")).not_to_contain_text("Everything")
        await page.get_by_role("button", name="Pause lane bulk").click()
        await expect(page.locator("#sentences")).to_contain_text("Lane bulk is paused")
        await page.get_by_role("button", name="Pause trunk twilio").click()
        await expect(page.locator("#sentences")).to_contain_text("Trunk twilio is paused")
        assert shown.orders == [
            ("pause", None, None, "storm"),
            ("resume", None, None),
            ("pause", "bulk", None, ""),
            ("pause", None, "twilio", ""),
        ]
        check_quiet(visit, url)


async def test_draining_asks_first(browser: Browser) -> None:
    """A slip of the finger would end a campaign."""
    shown = OnShow(busy())
    async with serving(shown) as url, opened(browser, width=390) as visit:
        page = visit.page
        await page.goto(url)
        await page.get_by_role("link", name="Drain…").click()
        await expect(page.locator("h1")).to_have_text("Drain this gate?")
        await page.get_by_role("link", name="Back").click()
        assert shown.orders == []
        await page.get_by_role("link", name="Drain…").click()
        await page.get_by_role("button", name="Drain").click()
        await expect(page.locator("#standing")).to_contain_text("Draining")
        assert shown.orders == [("drain",)]
        check_quiet(visit, url)


async def test_without_javascript_everything_works(browser: Browser) -> None:
    """Whoever has switched it off, or whose proxy drops it, would see an empty page."""
    shown = OnShow(busy())
    async with (
        serving(shown) as url,
        opened(browser, java_script_enabled=False) as visit,
    ):
        page = visit.page
        await page.goto(url)
        await expect(page.locator(".calls")).to_have_text("16")
        await page.get_by_role("button", name="Pause lane bulk").click()
        await expect(page.locator("#sentences")).to_contain_text("Lane bulk is paused")
        await page.get_by_role("button", name="Resume").click()
        await expect(page.locator("#sentences")).not_to_contain_text("Lane bulk is paused")
        event = Happening(NOW, "Told", "it rained")
        shown.shown = replace(busy(), events=(event,))
        await expect(page.locator("#events")).to_contain_text("it rained")  # it reloads by itself
        assert shown.orders == [("pause", "bulk", None, ""), ("resume", "bulk", None)]
        check_quiet(visit, url)


async def test_it_says_that_it_is_disconnected_and_comes_back(browser: Browser) -> None:
    """An operator would look at numbers of long ago, and believe them."""
    async with opened(browser) as visit:
        page = visit.page
        async with serving(OnShow(busy())) as url:
            await page.goto(url)
            await expect(page.locator("#connection")).to_have_text("live")
        await expect(page.locator("#connection")).to_contain_text("disconnected since")
        await expect(page).to_have_title("? 16/20 · callguard")
        shown = OnShow(replace(busy(), usage=replace(busy().usage, reported=10)))
        async with serving(shown, port=int(url.rpartition(":")[2])):
            await expect(page.locator("#connection")).to_have_text("live", timeout=60_000)
            await expect(page.locator(".calls")).to_have_text("13")
            await page.get_by_role("button", name="Pause all").click()
            await expect(page.locator("#standing")).to_contain_text("Paused")
            assert shown.orders


async def test_signing_in_and_out(browser: Browser) -> None:
    """A browser would not keep the session, or the page would be open to everybody."""
    settings = PageSettings(host=None, token=TOKEN)
    async with serving(settings=settings) as url, opened(browser) as visit:
        page = visit.page
        await page.goto(url)
        await page.get_by_label("The server's token").fill("a guess")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert")).to_contain_text("not the token of this server")
        await page.get_by_label("The server's token").fill(TOKEN)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.locator("#connection")).to_have_text("live")
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label("The server's token")).to_be_visible()


async def test_an_update_takes_neither_the_focus_nor_marked_text(browser: Browser) -> None:
    """Whoever uses the keyboard would begin anew each second; nobody could copy a sentence."""
    shown = OnShow(busy())
    async with serving(shown) as url, opened(browser) as visit:
        page = visit.page
        await page.goto(url)
        await expect(page.locator("#connection")).to_have_text("live")
        await page.get_by_role("button", name="Pause lane bulk").focus()
        await page.evaluate("getSelection().selectAllChildren(document.querySelector('.what'))")
        lanes = tuple(replace(lane, waiting=99) for lane in busy().lanes)
        event = Happening(NOW, "Told", "it rained")
        shown.shown = replace(busy(), lanes=lanes, events=(event,))
        await expect(page.locator("#lanes")).to_contain_text("99")
        assert await page.evaluate("document.activeElement.id") == "pause-lane-2"
        assert "it rained" not in await page.locator("#events").inner_text()
        await page.evaluate("getSelection().removeAllRanges()")
        await expect(page.locator("#events")).to_contain_text("it rained")


async def test_what_came_from_outside_does_nothing(browser: Browser) -> None:
    """The name of a lane would run as code in the browser of the operator."""
    shown = OnShow(hostile())
    async with serving(shown) as url, opened(browser) as visit:
        page = visit.page
        await page.goto(url)
        await expect(page.locator("#connection")).to_have_text("live")
        shown.shown = replace(hostile(), draining=True)
        await expect(page.locator("#sentences")).to_contain_text("Draining.")
        check_quiet(visit, url)


async def test_the_policy_holds(browser: Browser) -> None:
    """Code that got into the page by a mistake of ours would run."""
    async with serving() as url, opened(browser) as visit:
        await visit.page.goto(url)
        await visit.page.evaluate(
            """() => {
                const script = document.createElement("script");
                script.textContent = "window.ran = true";
                document.body.append(script);
                const image = document.createElement("img");
                image.src = "http://127.0.0.1:9/pixel";
                image.setAttribute("onerror", "window.ran = true");
                image.setAttribute("style", "display: none");
                document.body.append(image);
            }"""
        )
        assert await visit.page.evaluate("window.ran") is None
        assert len([said for said in visit.said if "Content Security Policy" in said]) >= 3


async def test_it_is_small(browser: Browser) -> None:
    """A page that is kept open would take long on a telephone."""
    async with serving() as url, opened(browser) as visit:
        sizes: dict[str, int] = {}

        async def note(response: Any) -> None:
            if "/live" not in response.url:
                sizes[response.url] = len(await response.body())

        visit.page.on("response", note)
        await visit.page.goto(url)
        await expect(visit.page.locator("#connection")).to_have_text("live")
        await visit.page.wait_for_load_state("load")
        assert sum(size for address, size in sizes.items() if "/static/" in address) < LIMIT
        assert sizes[url + "/"] < LIMIT


async def found_by_axe(page: Page) -> list[str]:
    """What is wrong with a page in light and dark, on a desk and on a telephone."""
    found: list[str] = []
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        for width in (1280, 390):
            await page.set_viewport_size({"width": width, "height": 800})
            wide = await page.evaluate("document.documentElement.scrollWidth")
            found += [f"{scheme} {width}: {wide} wide"] if wide > width else []
            found += [f"{scheme} {width}: {each}" for each in await axe_violations(page)]
    return found


@pytest.mark.parametrize("state", [*STATES.values(), hostile], ids=[*STATES, "hostile"])
async def test_nobody_is_kept_out_of_the_page(
    browser: Browser, state: Callable[[], Overview]
) -> None:
    """Who sees little, uses a keyboard, or has it read aloud could not use the page."""
    async with serving(OnShow(state())) as url, opened(browser) as visit:
        await visit.page.goto(url)
        await expect(visit.page.locator("#connection")).to_have_text("live")
        await visit.page.locator("summary").click()
        assert await found_by_axe(visit.page) == []


@pytest.mark.parametrize("path", ["/", "/drain", "/?workspace=unknown"])
async def test_nobody_is_kept_out_of_the_small_pages(browser: Browser, path: str) -> None:
    """Who can't sign in could not use the rest."""
    settings = PageSettings(token=TOKEN if path == "/" else None)
    async with serving(settings=settings) as url, opened(browser) as visit:
        await visit.page.goto(url + path)
        assert await found_by_axe(visit.page) == []


async def test_nobody_is_kept_out_while_it_is_disconnected(browser: Browser) -> None:
    """The warning that the numbers are old could be read by some only."""
    async with opened(browser) as visit:
        async with serving() as url:
            await visit.page.goto(url)
            await expect(visit.page.locator("#connection")).to_have_text("live")
        await expect(visit.page.locator("#connection")).to_contain_text("disconnected since")
        assert await found_by_axe(visit.page) == []
