"""Dials leads with retell-sdk's async client, as a program does that knows nothing of callguard.

    python dial_async.py FIRST COUNT AT_ONCE

Its only settings are RETELL_API_KEY and RETELL_BASE_URL in the environment. Prints a line of JSON
for each lead: its call, or the SDK's error.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from retell import APIError, AsyncRetell

first, count, at_once = map(int, sys.argv[1:])


async def dial(retell: AsyncRetell, lead: int) -> None:
    begun = time.monotonic()
    said: dict[str, object] = {"lead": lead}
    try:
        call = await retell.call.create_phone_call(
            from_number="+14157774444",
            to_number=f"+1213{lead:07}",
            metadata={"lead": lead},
            idempotency_key=f"campaign-7/{lead}",
            max_retries=2,
        )
        said["call_id"] = call.call_id
    except APIError as error:
        said |= {"error": type(error).__name__, "status": getattr(error, "status_code", None)}
    print(json.dumps({**said, "seconds": time.monotonic() - begun}), flush=True)


async def main() -> None:
    leads = iter(range(first, first + count))

    async def work() -> None:
        for lead in leads:
            await dial(retell, lead)

    async with AsyncRetell() as retell:
        await asyncio.gather(*(work() for _ in range(at_once)))


asyncio.run(main())
