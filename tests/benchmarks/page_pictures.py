"""The pictures of the page in README and docs/page.md: a campaign that runs well, by a browser.

python -m tests.benchmarks.page_pictures docs
"""

from __future__ import annotations

import asyncio
import io
import sys
from pathlib import Path

from PIL import Image

from tests.support.browser import chromium, opened
from tests.support.overviews import busy
from tests.support.page_server import OnShow, serving

PICTURES = {"page-light.png": ("light", 1280, 905), "page-dark.png": ("dark", 390, 905)}


async def main(folder: Path) -> None:
    async with serving(OnShow(busy())) as url, chromium() as browser:
        for name, (scheme, width, height) in PICTURES.items():
            async with opened(browser, scheme=scheme, timezone_id="UTC") as visit:
                page = visit.page
                await page.set_viewport_size({"width": width, "height": height})
                await page.goto(url)
                await page.locator("#connection").get_by_text("live").wait_for()
                picture = Image.open(io.BytesIO(await page.screenshot(scale="css")))
                # Few colours are in it, and README is loaded often.
                picture.quantize(128).save(folder / name, optimize=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
