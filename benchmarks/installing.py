"""install(): what it costs and saves the same program, with it and without.

install() and uninstall() lie outside of what is timed. LangSmith is on for its own decorators,
with a client that drops its runs, so what is measured of it is all that happens in the process
before anything is sent. No run is current at the pools.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing.pool import ThreadPool
from typing import TYPE_CHECKING, Any

from _bench import BARE, Measure, Plan, Target
from _silent import with_tracing
from langsmith import traceable
from pools import CALLS, bulk, nothing, sequential
from streams import CHUNKS, aconsume, anumbers, consume, numbers, traceable_under_install

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BULK = 20_000
THREADS = 500
STREAMS = 200

ALL, TRACE = "with `install()`", 'with `install(variables="trace")`'
BEFORE = "with `install()`, decorated before it"
AFTER = "with `install()`, decorated after it"


# Each returns the seconds a call.


def threads(count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        thread = threading.Thread(target=nothing)
        thread.start()
        thread.join()
    return (time.perf_counter() - began) / count


def apply(pool: ThreadPool, count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        pool.apply(nothing)
    return (time.perf_counter() - began) / count


async def call() -> None:
    pass


def acalls(loop: Any, count: int, function: Any) -> float:
    async def calls() -> float:
        began = time.perf_counter()
        for _ in range(count):
            await function()
        return time.perf_counter() - began

    taken: float = loop.run_until_complete(calls())
    return taken / count


def installed(measure: Callable[[], float], **options: Any) -> float:
    with ctxtrace.install(**options):
        return measure()


def of_the_standard_library(
    what: str, measure: Callable[[], float], at_most: float | None = None
) -> Measure:
    return Measure(
        what,
        {
            BARE: measure,
            TRACE: partial(installed, measure, variables="trace"),
            ALL: partial(installed, measure),
        },
        ours=ALL,
        targets=(Target(ALL, at_most=at_most, of=(BARE,)),) if at_most else (),
    )


def of_langsmith(
    what: str, measure: Callable[[Any], float], function: Any, per: str, at_most: float | None
) -> Measure:
    bare = partial(with_tracing, partial(measure, traceable(function)))
    later = partial(with_tracing, partial(measure, traceable_under_install(function)))
    return Measure(
        what,
        {BARE: bare, BEFORE: partial(installed, bare), AFTER: partial(installed, later)},
        per=per,
        ours=AFTER,
        targets=(Target(AFTER, at_most=at_most, of=(BARE,)),) if at_most else (),
    )


def measures(plan: Plan) -> Iterator[Measure]:
    calls = plan.count(CALLS)
    with ThreadPoolExecutor(1) as pool, ThreadPool(1) as other:
        submit = partial(sequential, pool, calls)
        yield of_the_standard_library("submit, and wait for the result", submit, 1.15)
        many = partial(bulk, pool, plan.count(BULK))
        yield of_the_standard_library("submit 20,000, and wait for all", many, 1.5)
        yield of_the_standard_library("`ThreadPool.apply`", partial(apply, other, calls))
    starting = partial(threads, plan.count(THREADS))
    yield of_the_standard_library("a thread, started and joined", starting)

    loop = asyncio.new_event_loop()
    chunks, streams = plan.count(CHUNKS), plan.count(STREAMS)
    for what, measure, function, per, wanted in (
        (
            "a chunk of a `@traceable` async stream",
            lambda make: aconsume(loop, make, chunks, 1),
            anumbers,
            "chunk",
            0.33,
        ),
        (
            "a chunk of a `@traceable` stream",
            lambda make: consume(make, chunks, 5),
            numbers,
            "chunk",
            None,
        ),
        (
            "an empty `@traceable` async stream",
            lambda make: aconsume(loop, make, 0, streams),
            anumbers,
            "stream",
            None,
        ),
        (
            "an empty `@traceable` stream",
            lambda make: consume(make, 0, streams),
            numbers,
            "stream",
            None,
        ),
        (
            "a call of a `@traceable` coroutine function",
            partial(acalls, loop, streams),
            call,
            "call",
            None,
        ),
    ):
        yield of_langsmith(what, measure, function, per, wanted)
    loop.close()
