"""Snapshots: `capture()`, `wrap()` and a call in one, beside what the standard library has."""

from __future__ import annotations

import time
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from _bench import BARE, Measure, Plan
from _silent import context_with

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CALLS = 50_000

OURS = "ctxtrace"


def nothing() -> None:
    pass


def repeated(function: Callable[[], Any], count: int) -> float:
    """Return the seconds a call."""
    began = time.perf_counter()
    for _ in range(count):
        function()
    return (time.perf_counter() - began) / count


def pairs() -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """Return what is measured: how the standard library does it, and how we do."""
    context, snapshot = copy_context(), ctxtrace.capture()
    return {
        "`copy_context()`; `capture()`": (copy_context, ctxtrace.capture),
        "`copy_context().run(f)`; `capture().run(f)`": (
            lambda: copy_context().run(nothing),
            lambda: ctxtrace.capture().run(nothing),
        ),
        "`context.copy().run(f)`; `snapshot.run(f)`": (
            lambda: context.copy().run(nothing),
            lambda: snapshot.run(nothing),
        ),
        "`partial(copy_context().run, f)`; `wrap(f)`": (
            lambda: partial(copy_context().run, nothing),
            lambda: ctxtrace.wrap(nothing),
        ),
        "a call of what these return": (
            partial(copy_context().run, nothing),
            ctxtrace.wrap(nothing),
        ),
    }


CASES = (("no run", 0, False), ("100 variables", 100, False), ("a run", 0, True))


def measures(plan: Plan) -> Iterator[Measure]:
    count = plan.count(CALLS)
    for case, variables, run in CASES:
        with context_with(variables, run) as context:
            for what, (theirs, ours) in context.copy().run(pairs).items():
                yield Measure(
                    what,
                    {
                        BARE: partial(context.copy().run, repeated, theirs, count),
                        OURS: partial(context.copy().run, repeated, ours, count),
                    },
                    case=case,
                    ours=OURS,
                )
