"""What a measure is, and how it is taken.

A measure is data: what is measured in which case, the subjects it is measured for, which of them
is the bare one, and what is wanted. The modules beside this one declare them, each for a group,
one after the other, so that what a measure needs can be made before it and undone after it. All
subjects of a measure are measured in turns, round by round, and figures are compared within a
round, see `_paired`.

What is written down are the measured values themselves: every ratio is computed from them.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from _paired import ROUNDS, Ratio, compare, interleaved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# How the bare subject of every group is called.
BARE = "bare"

# Units. Where a crossing should leave nothing, a value may be zero, or below it.
SECONDS, BYTES, BYTES_LEFT = "seconds", "bytes", "bytes left"


class Target(NamedTuple):
    """What is wanted of a subject.

    Of its ratio to another subject, if `of` names one; if it names several, to whichever it comes
    off worst beside. Of the difference to another, if `minus` names one. Else of the figure.
    """

    subject: str
    at_most: float | None = None
    at_least: float | None = None
    of: tuple[str, ...] = ()
    minus: str = ""


@dataclass(frozen=True)
class Measure:
    """One thing in one case, for several subjects."""

    what: str
    subjects: dict[str, Callable[[], float]]
    """Each takes one value when it is called: seconds, or bytes, of one operation."""
    case: str = ""
    per: str = "call"
    """What an operation is called."""
    unit: str = SECONDS
    baseline: str = BARE
    targets: tuple[Target, ...] = ()
    ours: str = ""
    """The subject for which the page answers first what a crossing costs."""
    headline: str = ""
    """How the crossing is called there. Without it the measure stands in the details alone."""
    peers: tuple[str, ...] = ()
    rounds: int = ROUNDS


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    smoke: bool = False
    rounds: int | None = None
    without: frozenset[str] = field(default_factory=frozenset)

    def count(self, full: int) -> int:
        """Return how often something is done to time it; hardly, if it is only to run at all."""
        return max(2, min(10, full // 1_000)) if self.smoke else full

    def cases(self, cases: Iterable[Any]) -> list[Any]:
        """Return the cases to measure, all or the first."""
        found = list(cases)
        return found[:1] if self.smoke else found

    def has(self, peer: str) -> bool:
        return peer not in self.without


def take(group: str, measure: Measure, plan: Plan) -> dict[str, Any]:
    """Measure, and return what is written down."""
    rounds = 1 if plan.smoke else plan.rounds or measure.rounds
    times = interleaved(measure.subjects, rounds)
    return {
        "group": group,
        "what": measure.what,
        "case": measure.case,
        "per": measure.per,
        "unit": measure.unit,
        "baseline": measure.baseline,
        "ours": measure.ours,
        "headline": measure.headline,
        "peers": list(measure.peers),
        "targets": [target._asdict() for target in measure.targets],
        "rounds": rounds,
        "values": {name: [float(f"{value:.4g}") for value in times[name]] for name in times},
    }


# What follows reads what was written down.


def median(taken: dict[str, Any], subject: str) -> float:
    return statistics.median(taken["values"][subject])


def ratio(taken: dict[str, Any], subject: str, other: str = "") -> Ratio:
    return compare(taken["values"], subject, other or taken["baseline"])


def more(taken: dict[str, Any], subject: str, other: str = "") -> float:
    """Return what a subject takes more than another, the median over the rounds."""
    values = taken["values"]
    pairs = zip(values[subject], values[other or taken["baseline"]])
    return statistics.median(ours - theirs for ours, theirs in pairs)


def in_unit(taken: dict[str, Any], value: float) -> str:
    """Spell a value in the unit of what was taken, to three digits or so."""
    if taken["unit"] != SECONDS:
        # The sum is no negative zero.
        return f"{round(value, 2) + 0.0:.2f} B" if abs(value) < 10 else f"{value:,.0f} B"
    units = ((1e9, "ns"), (1e6, "µs"), (1e3, "ms"), (1.0, "s"))
    # The smallest in which it has at most three digits before the point.
    factor, name = next((unit for unit in units if abs(value * unit[0]) < 999.5), units[-1])
    scaled = value * factor
    return f"{scaled:.{0 if abs(scaled) >= 100 else 1 if abs(scaled) >= 10 else 2}f} {name}"


class Verdict(NamedTuple):
    """How a target was met."""

    wanted: str
    measured: str
    met: bool


def judge(taken: dict[str, Any], target: dict[str, Any]) -> Verdict:
    """Compare with a target what was measured, as it is printed: two decimals of a ratio."""
    subject, of, minus = target["subject"], target["of"], target["minus"]
    most, least = target["at_most"], target["at_least"]
    bound = most if least is None else least
    limit = "at most" if least is None else "at least"
    if of:
        # Median, then whom it was compared with.
        ratios = sorted((ratio(taken, subject, other).median, other) for other in of)
        figure, other = ratios[0 if most is None else -1]
        figure = round(figure, 2)
        measured = f"{figure:.2f}"
        if len(of) > 1:
            wanted = "no slower than any peer" if bound == 1 else f"{limit} {bound:g} times a peer"
            measured += f" times {other}"
        elif other == taken["baseline"]:
            wanted = f"{limit} {bound:g}"
        else:
            wanted = f"{limit} {bound:g} times {other}"
    elif minus:
        figure = more(taken, subject, minus)
        wanted, measured = f"{limit} {in_unit(taken, bound)} more", in_unit(taken, figure)
    else:
        figure = median(taken, subject)
        wanted, measured = f"{limit} {in_unit(taken, bound)}", in_unit(taken, figure)
    return Verdict(wanted, measured, figure <= bound if least is None else figure >= bound)
