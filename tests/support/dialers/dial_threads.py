"""Dials leads with retell-sdk in threads, as a program does that knows nothing of callguard.

    python dial_threads.py FIRST COUNT AT_ONCE

Its only settings are RETELL_API_KEY and RETELL_BASE_URL in the environment. Prints a line of JSON
for each lead: its call, or the SDK's error.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from retell import APIError, Retell

first, count, at_once = map(int, sys.argv[1:])


def dial(lead: int) -> None:
    begun = time.monotonic()
    said: dict[str, object] = {"lead": lead}
    try:
        call = retell.call.create_phone_call(
            from_number="+14157774444",
            to_number=f"+1213{lead:07}",
            metadata={"lead": lead},
            idempotency_key=f"campaign-7/{lead}",
            max_retries=2,
        )
        said["call_id"] = call.call_id
    except APIError as error:
        said |= {"error": type(error).__name__, "status": getattr(error, "status_code", None)}
    sys.stdout.write(json.dumps({**said, "seconds": time.monotonic() - begun}) + "\n")
    sys.stdout.flush()


with Retell() as retell, ThreadPoolExecutor(at_once) as threads:
    list(threads.map(dial, range(first, first + count)))
