"""Compare by ratios of measurements taken one right after the other.

On a machine that others use too, times drift by a half from one second to the next, and what
is measured side by side drifts together. So a figure is the median of the ratios of many
pairs, and never the ratio of two medians.
"""

from __future__ import annotations

import gc
import statistics
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROUNDS = 15


class Ratio(NamedTuple):
    """Ratios of pairs, seen by their middle and their ends."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, pairs: Iterable[float]) -> Ratio:
        ratios = list(pairs)
        return cls(statistics.median(ratios), min(ratios), max(ratios))

    def __str__(self) -> str:
        return f"{spelled(self.median)} ({spelled(self.least)} to {spelled(self.most)})"


def spelled(ratio: float) -> str:
    """Spell a ratio with three digits or so."""
    return f"{ratio:,.{0 if ratio >= 99.95 else 1 if ratio >= 9.995 else 2}f}"


def interleaved(
    measures: dict[str, Callable[[], float]], rounds: int = ROUNDS
) -> dict[str, list[float]]:
    """Measure each once a round, each round beginning with another one of them."""
    times: dict[str, list[float]] = {name: [] for name in measures}
    names = list(measures)
    for _ in range(rounds):
        for name in names:
            gc.collect()  # so that nobody pays for what the one before left behind
            times[name].append(measures[name]())
        names.append(names.pop(0))
    return times


def compare(times: dict[str, list[float]], one: str, other: str) -> Ratio:
    """Compare two of those measured by `interleaved`, round by round."""
    return Ratio.of(mine / its for mine, its in zip(times[one], times[other]))
