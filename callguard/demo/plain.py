"""Campaigns in lines of text, for where there is no terminal."""

from __future__ import annotations

from typing import Final

from callguard.demo.progress import Progress, surcharge

__all__ = ["PlainLines", "line"]

_EVERY: Final = 60.0


class PlainLines:
    """Prints a campaign's `Progress` once a minute of it."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}

    def __call__(self, name: str, progress: Progress) -> None:
        """Print `progress` of the campaign called `name`, if a minute has gone since the last."""
        due = self._next.get(name, 0.0)
        if progress.truth.elapsed >= due:
            self._next[name] = due + _EVERY
            print(line(name, progress), flush=True)


def line(name: str, progress: Progress) -> str:
    """The figures of `progress` in one line."""
    truth = progress.truth
    parts = [
        f"{truth.elapsed / 60:4.1f} min",
        f"{name}:",
        f"{truth.count:2} calls (limit {progress.limit}): {progress.whose}",
        f"called {truth.placed} of {progress.leads}",
        f"waiting {progress.waiting}",
        f"lost {progress.reckoning.lost}",
        f"refused {truth.refusals}",
        f"surcharge ${surcharge(truth):.2f}",
    ]
    return "  ".join(parts)
