"""A campaign through the proxy while somebody watches the page: what the page shows, and costs.

python -m tests.campaigns.watched --leads 2000
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

import aiohttp
from playwright.async_api import Page

from callguard.serve.settings import WorkspaceSettings
from callguard.simulator import Constant, serve
from tests.integration.serve_support import served
from tests.support.browser import axe_violations, chromium, opened

KEY = "key_watched"


async def main(leads: int, cps: float, limit: int, pictures: Path | None) -> None:
    calls: dict[str, Any] = {"ring_time": Constant(1.0), "talk_time": Constant(6.0)}
    workspace = WorkspaceSettings(cps=cps)
    async with (
        serve(limit=limit, cps=None, answer_rate=1.0, api_key=KEY, **calls) as provider,
        served(provider.url, workspace, api_key=KEY) as proxy,
        chromium() as browser,
        opened(browser) as visit,
    ):
        page = visit.page
        heard: list[int] = []
        chrome = await page.context.new_cdp_session(page)
        await chrome.send("Network.enable")
        message = "Network.eventSourceMessageReceived"
        chrome.on(message, lambda each: heard.append(len(each["data"])))
        await page.goto(proxy.url)
        began = asyncio.get_running_loop().time()
        dialling = asyncio.create_task(dial(proxy.url, leads))
        await asyncio.sleep(0.4 * leads / cps)
        await look(page, pictures, "light", 1280)
        await page.get_by_label("Reason for a pause").fill("lunch")
        await page.get_by_role("button", name="Pause all").click()
        await page.locator("#sentences").get_by_text("Everything is paused").wait_for()
        await asyncio.sleep(3.0)
        await look(page, pictures, "dark", 390)
        await page.get_by_role("button", name="Resume").click()
        answers = await dialling
        took = asyncio.get_running_loop().time() - began
        await asyncio.sleep(2.0)
        await look(page, pictures, "dark", 1280)
        print(f"answers {sorted(set(answers))}, {answers.count(201)} placed, in {took:.0f} s")
        print(f"events {len(heard)}, {sum(heard) / len(heard):.0f} bytes each on average")
        print(f"said on the console: {visit.said}")
        print(f"loaded from elsewhere: {[u for u in visit.loaded if not u.startswith(proxy.url)]}")


async def dial(url: str, leads: int) -> list[int]:
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(600)
    headers = {"Authorization": f"Bearer {KEY}", "X-Callguard-Wait": "600"}
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as s:

        async def one(lead: int) -> int:
            body = {"from_number": "+14155550100", "to_number": f"+1415555{lead:04}"}
            async with s.post(f"{url}/v2/create-phone-call", json=body) as answer:
                return answer.status

        return await asyncio.gather(*(one(lead) for lead in range(leads)))


async def look(page: Page, pictures: Path | None, scheme: str, width: int) -> None:
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await page.set_viewport_size({"width": width, "height": 800})
    if pictures is not None:
        await page.screenshot(path=pictures / f"watched-{scheme}-{width}.png", full_page=True)
    print(f"{scheme}, {width} px: axe finds {len(await axe_violations(page))} violations")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leads", type=int, default=2000)
    parser.add_argument("--cps", type=float, default=25.0)
    parser.add_argument("--limit", type=int, default=250)
    parser.add_argument("--pictures", type=Path, help="a folder for screenshots")
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    asyncio.run(main(given.leads, given.cps, given.limit, given.pictures))
