"""diagnose(): what a program costs that is watched, beside the same one that is not.

What is put in place and taken out lies outside of what is timed. A run of LangSmith's is current,
without which nothing is noted and little paid; "no run" is that.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import langsmith
from _bench import BARE, Measure, Plan, Target
from _silent import with_tracing
from langsmith import traceable
from pools import CALLS, bulk, sequential
from streams import CHUNKS, aconsume, anumbers, consume, numbers
from tasks import TASKS, spawn

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BULK = 20_000

DIAGNOSED = "with `diagnose()`"


def in_a_run(measure: Callable[[], float]) -> float:
    def measured() -> float:
        with langsmith.trace("run"):
            return measure()

    return with_tracing(measured)


def diagnosed(measure: Callable[[], float]) -> float:
    with ctxtrace.diagnose():
        return measure()


def of(
    what: str, measure: Callable[[], float], per: str, case: str, at_most: float | None
) -> Measure:
    return Measure(
        what,
        {BARE: measure, DIAGNOSED: partial(diagnosed, measure)},
        case=case,
        per=per,
        ours=DIAGNOSED,
        targets=(Target(DIAGNOSED, at_most=at_most, of=(BARE,)),) if at_most else (),
    )


def measures(plan: Plan) -> Iterator[Measure]:
    loop = asyncio.new_event_loop()
    traced, atraced = traceable(numbers), traceable(anumbers)
    chunks = plan.count(CHUNKS)

    def tasks() -> float:
        taken: float = loop.run_until_complete(spawn(asyncio.create_task, plan.count(TASKS)))
        return taken

    with ThreadPoolExecutor(1) as pool:
        for what, measure, per, wanted in (
            (
                "submit, and wait for the result",
                partial(sequential, pool, plan.count(CALLS)),
                "call",
                1.6,
            ),
            (
                "submit 20,000, and wait for all",
                partial(bulk, pool, plan.count(BULK)),
                "call",
                None,
            ),
            ("create_task, and await", tasks, "task", 1.4),
        ):
            yield of(what, partial(in_a_run, measure), per, "a run", wanted)
            yield of(what, measure, per, "no run", None)
    streaming = ctxtrace.streaming(anumbers)
    for what, measure in (
        ("a chunk of an async generator", partial(aconsume, loop, anumbers, chunks, 5)),
        (
            "a chunk of a `@streaming` async generator",
            partial(aconsume, loop, streaming, chunks, 5),
        ),
        ("a chunk of a `@traceable` async stream", partial(aconsume, loop, atraced, chunks, 1)),
        ("a chunk of a `@traceable` stream", partial(consume, traced, chunks, 5)),
    ):
        yield of(what, partial(in_a_run, measure), "chunk", "a run", 1.5)
    loop.close()
