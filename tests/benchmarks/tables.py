"""What the benchmarks have in common: tables, quartiles, rounds that take turns, and JSON."""

from __future__ import annotations

import gc
import importlib.metadata
import json
import statistics
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Spread", "interleaved", "markdown", "versions", "write_json"]


@dataclass(frozen=True, slots=True)
class Spread:
    """The quartiles of some figures; all the same where there is one figure."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        """The quartiles of `figures`, of which there is one at least."""
        if len(figures) == 1:
            return cls(figures[0], figures[0], figures[0])
        low, middle, high = statistics.quantiles(figures, n=4, method="inclusive")
        return cls(low, middle, high)

    def shown(self, scale: float, digits: int) -> str:
        """The median with the quartiles behind it, each times `scale`."""
        low, middle, high = (
            f"{figure * scale:,.{digits}f}" for figure in (self.low, self.middle, self.high)
        )
        return f"{middle} ({low} to {high})"


Measure = Callable[[], Awaitable[float]]


async def interleaved(measures: Mapping[str, Measure], rounds: int) -> dict[str, list[float]]:
    """The figures of each measure; one takes its turn after the other, `rounds` times over.

    Nothing of the round before is left to the garbage collector of the next.
    """
    figures: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            gc.collect()
            figures[name].append(await measure())
    return figures


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """How ours compare with theirs of the same round."""
    return Spread.of([one / other for one, other in zip(ours, theirs, strict=True)])


def markdown(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table: names to the left, figures to the right."""
    rules = ["---", *("---:" for _ in header[1:])]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (header, rules, *rows))


def versions(distributions: Iterable[str]) -> dict[str, str | None]:
    """The installed version of each distribution; None for one that isn't installed."""
    found: dict[str, str | None] = {}
    for name in distributions:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def write_json(path: Path, content: object) -> None:
    """Write `content`, and make the folders that lead there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")
