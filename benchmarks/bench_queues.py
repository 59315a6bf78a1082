"""What an item costs to hand over, beside the bare queue, in one run.

An item is put, taken, given to a function that does nothing, and marked as done where the queue
counts that. All are put before the first is taken, in one thread, or in one task, so that
nobody waits and all there is to see is what is done for an item. Each figure is the median of
the ratios of measurements taken in turns.

"A run" is one of LangSmith, current while all is done, so that each item pins it. The variables
are the user's own and hold small strings.

Prints a Markdown report.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import gc
import math
import os
import platform
import queue
import statistics
import time
from contextvars import Context, ContextVar
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

os.environ["LANGSMITH_TRACING"] = "true"  # remembered from its first look on

import anyio
from _paired import ROUNDS, compare, interleaved
from _silent import CLIENT
from langsmith import trace
from langsmith.run_helpers import get_current_run_tree

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

ITEMS = 2_000
VARIABLES: list[ContextVar[str]] = [ContextVar(f"variable {number}") for number in range(100)]

BARE, GET, RECEIVE, SERVE = "bare", "put and get", "put and receive", "put and serve"


def nothing(item: int) -> None:
    pass


# Each puts and takes all items of one queue, and returns the seconds an item.


def in_a_thread(make: Callable[[], Any], way: str) -> float:
    bare = make()
    q = bare if way == BARE else ctxtrace.ContextQueue(bare)
    done = getattr(bare, "task_done", None)
    began = time.perf_counter()
    for item in range(ITEMS):
        q.put(item)
    if way == SERVE:
        q.stop()  # when all are handled
        q.serve(nothing)
    elif way == RECEIVE:
        for _ in range(ITEMS):
            with q.receive() as item:
                nothing(item)
    elif done is None:
        for _ in range(ITEMS):
            nothing(q.get())
    else:
        for _ in range(ITEMS):
            nothing(q.get())
            done()
    took = time.perf_counter() - began
    assert bare.empty()
    return took / ITEMS


async def in_a_task(way: str) -> float:
    bare: asyncio.Queue[int] = asyncio.Queue()
    q: Any = bare if way == BARE else ctxtrace.AsyncContextQueue(bare)
    began = time.perf_counter()
    for item in range(ITEMS):
        await q.put(item)
    if way == SERVE:
        q.stop()
        await q.serve(nothing)
    elif way == RECEIVE:
        for _ in range(ITEMS):
            async with q.receive() as item:
                nothing(item)
    else:
        for _ in range(ITEMS):
            nothing(await q.get())
            q.task_done()
    took = time.perf_counter() - began
    assert bare.empty()
    return took / ITEMS


async def in_a_stream(way: str) -> float:
    ends: Any = anyio.create_memory_object_stream(math.inf)
    send, receive = ends if way == BARE else ctxtrace.context_stream(*ends)
    began = time.perf_counter()
    for item in range(ITEMS):
        await send.send(item)
    if way == SERVE:
        send.close()
        await receive.serve(nothing)
    elif way == RECEIVE:
        for _ in range(ITEMS):
            async with receive.receive() as item:
                nothing(item)
    else:
        for _ in range(ITEMS):
            nothing(await receive.receive())
    took = time.perf_counter() - began
    assert receive.statistics().current_buffer_used == 0
    send.close()
    receive.close()
    return took / ITEMS


def in_a_loop(
    backend: str, measure: Callable[[str], Coroutine[Any, Any, float]], way: str
) -> float:
    return anyio.run(measure, way, backend=backend)


KINDS: dict[str, Callable[[str], float]] = {
    "`ContextQueue` of a `queue.Queue`": partial(in_a_thread, queue.Queue),
    "`ContextQueue` of a `queue.SimpleQueue`": partial(in_a_thread, queue.SimpleQueue),
    "`ContextQueue` of a `queue.PriorityQueue`": partial(in_a_thread, queue.PriorityQueue),
    "`AsyncContextQueue` of an `asyncio.Queue`": partial(in_a_loop, "asyncio", in_a_task),
    "`context_stream`, asyncio": partial(in_a_loop, "asyncio", in_a_stream),
    "`context_stream`, trio": partial(in_a_loop, "trio", in_a_stream),
}


def context_with(variables: int, run: Any) -> Context:
    """Return a new context in which so many variables are set, and the run is current."""
    context = Context()
    for variable in VARIABLES[:variables]:
        context.run(variable.set, "x")
    if run is not None:
        context.run(run.__enter__)
        assert context.run(get_current_run_tree) is not None
    return context


def measure(title: str, handing_over: Callable[[str], float]) -> None:
    print(f"\n### {title}\n")
    print(f"| run, variables | {BARE}, ns | {GET} | {RECEIVE} | {SERVE} |")
    print("| --- | --- | --- | --- | --- |")
    for recorded in (False, True):
        for variables in (0, 10, 100):
            run = trace("request", client=CLIENT) if recorded else None
            context = context_with(variables, run)
            times = interleaved(
                {
                    way: partial(context.copy().run, handing_over, way)
                    for way in (BARE, GET, RECEIVE, SERVE)
                }
            )
            if run is not None:
                assert context.run(get_current_run_tree) is not None, "the run was lost"
                context.run(run.__exit__, None, None, None)
            taken = {way: f"{1e9 * statistics.median(times[way]):,.0f}" for way in times}
            ours = " | ".join(
                f"{compare(times, way, BARE)}; {taken[way]}" for way in (GET, RECEIVE, SERVE)
            )
            what = f"{'a run' if recorded else 'none'}, {variables}"
            print(f"| {what} | {taken[BARE]} | {ours} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kinds", nargs="*", default=[""], help="only whose name has one of these")
    kinds = parser.parse_args().kinds
    gc.collect()
    gc.freeze()  # what was imported
    print(
        f"## Python {platform.python_version()}, langsmith {version('langsmith')}, "
        f"anyio {version('anyio')}, trio {version('trio')}, {datetime.date.today()}\n"
    )
    print(
        f"{ROUNDS} rounds of {ITEMS:,} items. Ratios to the bare queue, median (range). LangSmith "
        "is loaded throughout."
    )
    for title, handing_over in KINDS.items():
        if any(part in title for part in kinds):
            measure(title, handing_over)


if __name__ == "__main__":
    main()
