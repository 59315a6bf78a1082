"""What install() costs and saves: the same program with it and without, in one run.

Each figure is the median of the ratios of measurements taken in turns; install() and
uninstall() lie outside of what is timed. LangSmith is on, with a client that drops its runs, so
what is measured of it is all that happens in the process before anything is sent.

Prints a Markdown report. The targets are for a quiet machine.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import gc
import platform
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from importlib.metadata import version
from multiprocessing.pool import ThreadPool
from typing import TYPE_CHECKING, Any

from _paired import ROUNDS, compare, interleaved
from _silent import with_tracing
from langsmith import traceable

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

CALLS = 5_000
BULK = 100_000
CHUNKS = 10_000
STREAMS = 500

BARE, ALL, TRACE = "without", "with install()", 'with install(variables="trace")'


def nothing() -> None:
    pass


# The standard library. Each returns the seconds a call.


def submit_and_result(pool: ThreadPoolExecutor) -> float:
    began = time.perf_counter()
    for _ in range(CALLS):
        pool.submit(nothing).result()
    return (time.perf_counter() - began) / CALLS


def bulk(pool: ThreadPoolExecutor) -> float:
    began = time.perf_counter()
    wait([pool.submit(nothing) for _ in range(BULK)])
    return (time.perf_counter() - began) / BULK


def threads() -> float:
    began = time.perf_counter()
    for _ in range(CALLS // 10):
        thread = threading.Thread(target=nothing)
        thread.start()
        thread.join()
    return (time.perf_counter() - began) / (CALLS // 10)


def apply(pool: ThreadPool) -> float:
    began = time.perf_counter()
    for _ in range(CALLS):
        pool.apply(nothing)
    return (time.perf_counter() - began) / CALLS


# LangSmith. Each returns the seconds a chunk, a stream or a call.


@traceable
async def anumbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


@traceable
def numbers(count: int) -> Iterator[int]:
    for number in range(count):  # noqa: UP028 - as one writes it who has more to do
        yield number


@traceable
async def call() -> None:
    pass


def aconsume(loop: Any, make: Any, chunks: int, streams: int) -> float:
    async def consume() -> float:
        began = time.perf_counter()
        for _ in range(streams):
            async for _ in make(chunks):
                pass
        return time.perf_counter() - began

    taken: float = loop.run_until_complete(consume())
    return taken / streams / (chunks or 1)


def consume(make: Any, chunks: int, streams: int) -> float:
    began = time.perf_counter()
    for _ in range(streams):
        for _ in make(chunks):
            pass
    return (time.perf_counter() - began) / streams / (chunks or 1)


def acalls(loop: Any, function: Any) -> float:
    async def calls() -> float:
        began = time.perf_counter()
        for _ in range(STREAMS):
            await function()
        return time.perf_counter() - began

    taken: float = loop.run_until_complete(calls())
    return taken / STREAMS


def installed(measure: Callable[[], float], **options: Any) -> float:
    with ctxtrace.install(**options):
        return measure()


def decorated_under_install(function: Any) -> Any:
    with ctxtrace.install():
        from langsmith import traceable as patched

        return patched(function.__wrapped__)


def report(title: str, measures: dict[str, Callable[[], float]], target: str = "") -> None:
    times = interleaved(measures)
    names = list(measures)
    print(f"\n### {title}\n")
    print("| | times what it costs without, median (range) | ns, median | target |")
    print("| --- | --- | --- | --- |")
    for name in names:
        against = "1" if name == names[0] else compare(times, name, names[0])
        nanoseconds = 1e9 * statistics.median(times[name])
        print(
            f"| {name} | {against} | {nanoseconds:,.0f} | {target if name == names[-1] else ''} |"
        )


def of_the_standard_library(title: str, measure: Callable[[], float], target: str = "") -> None:
    trace = partial(installed, measure, variables="trace")
    report(title, {BARE: measure, TRACE: trace, ALL: partial(installed, measure)}, target)


def of_langsmith(
    title: str, measure: Callable[[Any], float], function: Any, target: str = ""
) -> None:
    later = decorated_under_install(function)
    bare = partial(with_tracing, partial(measure, function))
    measures = {BARE: bare, "with install(), decorated before it": partial(installed, bare)}
    if later is not None:
        measured = partial(with_tracing, partial(measure, later))
        measures["with install(), decorated after it"] = partial(installed, measured)
    report(title, measures, target)


def main() -> None:
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    loop = asyncio.new_event_loop()
    gc.collect()
    gc.freeze()  # what was imported
    print(
        f"## Python {platform.python_version()}, langsmith {version('langsmith')}, "
        f"{datetime.date.today()}\n\n{ROUNDS} rounds. No run is current at the pools."
    )
    with ThreadPoolExecutor(1) as pool, ThreadPool(1) as other:
        sequential = partial(submit_and_result, pool)
        of_the_standard_library("submit and result", sequential, "at most 1.15")
        of_the_standard_library(f"submit {BULK:,} and wait", partial(bulk, pool), "at most 1.5")
        of_the_standard_library("ThreadPool.apply", partial(apply, other))
    of_the_standard_library("a thread, started and joined", threads)

    chunks, streams = partial(aconsume, loop), partial(aconsume, loop)
    of_langsmith(
        "@traceable async stream, a chunk",
        lambda make: chunks(make, CHUNKS, 1),
        anumbers,
        "at most 0.33",
    )
    of_langsmith("@traceable stream, a chunk", lambda make: consume(make, CHUNKS, 5), numbers)
    of_langsmith("@traceable async, an empty stream", lambda m: streams(m, 0, STREAMS), anumbers)
    of_langsmith("@traceable, an empty stream", lambda m: consume(m, 0, STREAMS), numbers)
    of_langsmith("@traceable coroutine, a call", partial(acalls, loop), call)
    loop.close()


if __name__ == "__main__":
    main()
