"""A campaign in lines of text, for output that is not a terminal."""

from __future__ import annotations

import math

from callguard.demo.progress import Progress

__all__ = ["PlainLines", "line"]


class PlainLines:
    """Prints a `Progress` once a second."""

    def __init__(self) -> None:
        self._next = 0.0
        self._complete = False

    def __call__(self, progress: Progress) -> None:
        """Print `progress` if a second has passed since the last line, or all calls are placed."""
        elapsed = progress.truth.elapsed
        complete = progress.truth.placed == progress.leads
        if elapsed >= self._next or complete > self._complete:
            self._complete = complete
            self._next = math.floor(elapsed) + 1.0
            print(line(progress), flush=True)


def line(progress: Progress) -> str:
    """The figures of `progress` in one line."""
    truth, reckoning = progress.truth, progress.reckoning
    waiting = ", ".join(f"{lane} {number}" for lane, number in reckoning.waiting.items())
    parts = [
        f"{truth.elapsed:4.1f} s",
        f"{truth.count:2} calls (limit {progress.limit}, with burst {progress.ceiling})",
        f"waiting: {waiting}",
        f"placed {truth.placed} of {progress.leads}",
        f"refused {truth.refusals}",
        f"peak {truth.peak}",
    ]
    if reckoning.usage is not None:
        parts.insert(2, f"usage {reckoning.usage}")
    return "  ".join(parts)
