"""What diagnose() costs: the same program with it and without, in one run.

Each figure is the median of the ratios of measurements taken in turns; what is put in place and
taken out lies outside of what is timed. A run of LangSmith's is current, without which nothing
is noted and little paid; "outside of any run" is that.

Prints a Markdown report. The targets are for a quiet machine.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import gc
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import langsmith
from _paired import ROUNDS
from _silent import with_tracing
from bench_install import aconsume, anumbers, bulk, consume, numbers, report, submit_and_result

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

TASKS = 5_000
CHUNKS = 10_000

BARE, DIAGNOSED = "without", "with diagnose()"


async def nothing() -> None:
    pass


def tasks(loop: Any) -> float:
    async def spawn() -> float:
        began = time.perf_counter()
        for _ in range(TASKS):
            await asyncio.create_task(nothing())
        return time.perf_counter() - began

    taken: float = loop.run_until_complete(spawn())
    return taken / TASKS


async def bare_numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


def in_a_run(measure: Callable[[], float]) -> float:
    def measured() -> float:
        with langsmith.trace("run"):
            return measure()

    return with_tracing(measured)


def diagnosed(measure: Callable[[], float]) -> float:
    with ctxtrace.diagnose():
        return measure()


def of(title: str, measure: Callable[[], float], target: str = "") -> None:
    inside = partial(in_a_run, measure)
    report(title, {BARE: inside, DIAGNOSED: partial(diagnosed, inside)}, target)


def outside(title: str, measure: Callable[[], float]) -> None:
    report(f"{title}, outside of any run", {BARE: measure, DIAGNOSED: partial(diagnosed, measure)})


def main() -> None:
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    loop = asyncio.new_event_loop()
    gc.collect()
    gc.freeze()  # what was imported
    print(
        f"## Python {platform.python_version()}, langsmith {version('langsmith')}, "
        f"{datetime.date.today()}\n\n{ROUNDS} rounds."
    )
    with ThreadPoolExecutor(1) as pool:
        of("submit and result", partial(submit_and_result, pool), "at most 1.6")
        outside("submit and result", partial(submit_and_result, pool))
        of("submit 100,000 and wait", partial(bulk, pool))
    of("create_task and await", partial(tasks, loop), "at most 1.4")
    outside("create_task and await", partial(tasks, loop))
    chunks = partial(aconsume, loop)
    target = "at most 1.5"
    of("an async generator, a chunk", lambda: chunks(bare_numbers, CHUNKS, 5), target)
    of(
        "@streaming async generator, a chunk",
        lambda: chunks(ctxtrace.streaming(bare_numbers), CHUNKS, 5),
        target,
    )
    of("@traceable async stream, a chunk", lambda: chunks(anumbers, CHUNKS, 1), target)
    of("@traceable stream, a chunk", lambda: consume(numbers, CHUNKS, 5), target)
    loop.close()


if __name__ == "__main__":
    main()
