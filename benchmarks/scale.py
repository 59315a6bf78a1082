"""Scale: what a crossing costs from 1 to 1,000 threads and from 1 to 100,000 tasks.

The threads submit to one pool at once, so many calls between them, and the clock stops when all
are done. The tasks are all made before the first is awaited. Memory is looked at where most of
them are alive, and after they are gone; each time after the same was done once, so that what
is kept for the next time is not taken for what a crossing leaves. Resident memory is that of the
process: the allocator gives back only what is wholly free, for the bare ones too.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _bench import BARE, BYTES, BYTES_LEFT, Measure, Plan, Target
from _machine import on_one_core
from _silent import context_with

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextvars import Context

CALLS = 10_000
CALLS_HELD = 20_000
WORKERS = 4
THREADS = (1, 10, 100, 1_000)
TASKS = (1, 10, 100, 1_000, 10_000, 100_000)
AT_LEAST = 2_000  # tasks in a measurement

OURS, PINNED = "ctxtrace", "ctxtrace, a run"
ALLOWED = 0.1  # bytes a crossing that may be left

Make = Any
Look = Any


def nothing() -> None:
    pass


async def anothing() -> None:
    pass


def submitting(
    pool: Any, threads: int, calls: int, context: Context
) -> tuple[list[threading.Thread], threading.Barrier, list[Any]]:
    """Start threads that wait for one another, and then submit so many calls between them."""
    barrier = threading.Barrier(threads + 1)
    futures: list[Any] = []

    def submit() -> None:
        barrier.wait()
        mine = [pool.submit(nothing) for _ in range(calls // threads)]
        futures.extend(mine)

    started = [threading.Thread(target=context.copy().run, args=(submit,)) for _ in range(threads)]
    for thread in started:
        thread.start()
    return started, barrier, futures


def threads_at_once(make: Make, context: Context, threads: int, calls: int) -> float:
    """Return the seconds a call."""
    with on_one_core(), make(WORKERS) as pool:
        wait([pool.submit(time.sleep, 0) for _ in range(WORKERS)])
        started, barrier, futures = submitting(pool, threads, calls, context)
        began = time.perf_counter()  # once it is open, they may be done before we go on
        barrier.wait()
        for thread in started:
            thread.join()
        wait(futures)
        took = time.perf_counter() - began
        assert len(futures) == calls // threads * threads
        return took / len(futures)


async def tasks_at_once(create: Make, tasks: int, repeats: int) -> float:
    """Return the seconds a task."""
    began = time.perf_counter()
    for _ in range(repeats):
        for task in [create(anothing()) for _ in range(tasks)]:
            await task
    return (time.perf_counter() - began) / tasks / repeats


def in_loop(context: Context, measure: Any, *arguments: Any) -> float:
    taken: float = context.copy().run(asyncio.run, measure(*arguments))
    return taken


# What is held at once, for the memory: each calls `look` where most is alive.


def hold_calls(make: Make, context: Context, count: int, threads: int, look: Look) -> None:
    release = threading.Event()
    with make(1) as pool:
        blocked = pool.submit(release.wait)
        started, barrier, futures = submitting(pool, threads, count, context)
        barrier.wait()
        for thread in started:
            thread.join()
        look()
        release.set()
        wait([blocked, *futures])


def hold_tasks(create: Make, context: Context, count: int, _: int, look: Look) -> None:
    async def hold() -> None:
        tasks = [create(anothing()) for _ in range(count)]
        look()
        for task in tasks:
            await task

    context.copy().run(asyncio.run, hold())


def resident() -> int:
    statm = Path("/proc/self/statm").read_text()
    return int(statm.split()[1]) * os.sysconf("SC_PAGESIZE")


def traced() -> int:
    return tracemalloc.get_traced_memory()[0]


def forget_the_most() -> None:
    """Let asyncio's set of all tasks be no larger than it must be.

    A set does not shrink when its members go, so what it takes after many tasks depends on how
    many there were before.
    """
    for name in ("_scheduled_tasks", "_all_tasks"):  # from Python 3.12 on, and before
        found = getattr(asyncio.tasks, name, None)
        if found is not None:
            found.data = set(found.data)


def held(hold: Callable[[Look], None], count: int, left: bool, used: Callable[[], int]) -> float:
    """Return the bytes a crossing: where most are alive, or what is left of it."""
    seen: list[int] = []

    def look() -> None:
        gc.collect()
        forget_the_most()
        seen.append(used())

    if used is traced:
        tracemalloc.start()
    try:
        hold(look)
        seen.clear()
        look()
        hold(look)
        look()
    finally:
        tracemalloc.stop()
    before, height, after = seen
    return ((after if left else height) - before) / count


def of(what: str, case: str, per: str, measured: dict[str, Any], **more: Any) -> Measure:
    return Measure(what, measured, case=case, per=per, ours=OURS, **more)


def measures(plan: Plan) -> Iterator[Measure]:
    with context_with() as none, context_with(run=True) as a_run:
        pools: dict[str, tuple[Make, Context]] = {
            BARE: (ThreadPoolExecutor, none),
            OURS: (ctxtrace.ThreadPoolExecutor, none),
            PINNED: (ctxtrace.ThreadPoolExecutor, a_run),
        }
        creates: dict[str, tuple[Make, Context]] = {
            BARE: (asyncio.create_task, none),
            OURS: (ctxtrace.create_task, none),
            PINNED: (ctxtrace.create_task, a_run),
        }
        most_threads, most_tasks = (10, 10) if plan.smoke else (THREADS[-1], TASKS[-1])
        for threads in plan.cases(THREADS):
            calls = max(threads, plan.count(CALLS))
            yield of(
                "calls submitted by threads at once",
                f"{threads:,}",
                "call",
                {
                    name: partial(threads_at_once, *subject, threads, calls)
                    for name, subject in pools.items()
                },
                rounds=7,
            )
        for tasks in plan.cases(TASKS):
            repeats = max(1, plan.count(AT_LEAST) // tasks)
            yield of(
                "tasks alive at once",
                f"{tasks:,}",
                "task",
                {
                    name: partial(in_loop, context, tasks_at_once, create, tasks, repeats)
                    for name, (create, context) in creates.items()
                },
                rounds=5 if tasks > 10_000 else 9,
            )
        for what, subjects, hold, count, threads in (
            (f"{TASKS[-1]:,} tasks", creates, hold_tasks, most_tasks, 1),
            (
                f"{CALLS_HELD:,} calls of {THREADS[-1]:,} threads",
                pools,
                hold_calls,
                max(most_threads, plan.count(CALLS_HELD)),
                most_threads,
            ),
        ):
            for case, left, used, rounds in (
                ("at the height", False, traced, 1),
                ("left after it", True, traced, 1),
                ("resident, left after it", True, resident, 2),
            ):
                yield of(
                    f"memory of {what}",
                    case,
                    what.split()[1].rstrip("s"),
                    {
                        name: partial(
                            held, partial(hold, *subject, count, threads), count, left, used
                        )
                        for name, subject in subjects.items()
                    },
                    unit=BYTES_LEFT if left else BYTES,
                    targets=tuple(Target(name, at_most=ALLOWED) for name in (OURS, PINNED))
                    if left and used is traced
                    else (),
                    rounds=rounds,
                )
