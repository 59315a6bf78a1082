"""What a task of `create_task_group` costs beside one of anyio's own, in one run.

The tasks do nothing, or pass many checkpoints. Each figure is the median of the ratios of
measurements taken in turns. With "a run", one of LangSmith is current where the tasks are
started, so that each is pinned; without, there is nothing to pin.

Prints a Markdown report.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import os
import platform
import statistics
import time
from contextvars import Context, copy_context
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

os.environ["LANGSMITH_TRACING"] = "true"  # remembered from its first look on

import anyio
from _paired import ROUNDS, compare, interleaved
from _silent import CLIENT
from anyio.lowlevel import checkpoint
from langsmith import trace
from langsmith.run_helpers import get_current_run_tree

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Callable

TASKS = 1_000
STEPS = 1_000
STEPPING = 4  # tasks that pass so many checkpoints each, one after the other

OURS, THEIRS = "ctxtrace", "anyio"
MAKES: dict[str, Callable[[], Any]] = {
    OURS: ctxtrace.create_task_group,
    THEIRS: anyio.create_task_group,
}


async def nothing() -> None:
    pass


async def checkpoints() -> None:
    for _ in range(STEPS):
        await checkpoint()


async def sleeps() -> None:
    for _ in range(STEPS):
        await anyio.sleep(0)


# Each returns the seconds a task, or a step.


async def start_soon(make: Callable[[], Any]) -> float:
    began = time.perf_counter()
    async with make() as group:
        for _ in range(TASKS):
            group.start_soon(nothing)
    return (time.perf_counter() - began) / TASKS


async def create_task(make: Callable[[], Any]) -> float:
    began = time.perf_counter()
    async with make() as group:
        for _ in range(TASKS):
            group.create_task(nothing())
    return (time.perf_counter() - began) / TASKS


async def create_task_in(make: Callable[[], Any]) -> float:
    context = copy_context()
    began = time.perf_counter()
    async with make() as group:
        for _ in range(TASKS):
            group.create_task(nothing(), context=context)
    return (time.perf_counter() - began) / TASKS


async def step(function: Callable[[], Any], make: Callable[[], Any]) -> float:
    took = 0.0
    for _ in range(STEPPING):
        began = time.perf_counter()
        async with make() as group:
            group.start_soon(function)
        took += time.perf_counter() - began
    return took / STEPPING / STEPS


def in_a_loop(backend: str, measure: Any, make: Callable[[], Any]) -> float:
    taken: float = anyio.run(measure, make, backend=backend)
    return taken


async def has_create_task() -> bool:
    async with anyio.create_task_group() as group:
        return hasattr(group, "create_task")


def compare_groups(what: str, backend: str, measure: Any) -> None:
    for recorded in (False, True):
        run = trace("request", client=CLIENT) if recorded else None
        context = Context()
        if run is not None:
            context.run(run.__enter__)
        times = interleaved(
            {
                whose: partial(context.copy().run, in_a_loop, backend, measure, make)
                for whose, make in MAKES.items()
            }
        )
        if run is not None:
            assert context.run(get_current_run_tree) is not None, "the run was lost"
            context.run(run.__exit__, None, None, None)
        ours, theirs = (f"{1e9 * statistics.median(times[whose]):,.0f}" for whose in MAKES)
        print(
            f"| {what} | {backend} | {'a run' if recorded else 'none'} | "
            f"{compare(times, OURS, THEIRS)} | {ours} | {theirs} |",
            flush=True,
        )


def main() -> None:
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    measures: dict[str, Any] = {"`start_soon`, a task": start_soon}
    if anyio.run(has_create_task):
        measures["`create_task`, a task"] = create_task
        measures["`create_task(context=...)`, a task"] = create_task_in
    measures["a `checkpoint()` in a task"] = partial(step, checkpoints)
    measures["a `sleep(0)` in a task"] = partial(step, sleeps)
    gc.collect()
    gc.freeze()  # what was imported
    print(
        f"## Python {platform.python_version()}, langsmith {version('langsmith')}, "
        f"anyio {version('anyio')}, trio {version('trio')}, {datetime.date.today()}\n"
    )
    print(
        f"{ROUNDS} rounds of {TASKS:,} empty tasks, started and awaited, or of {STEPPING} times "
        f"{STEPS:,} steps. LangSmith is loaded throughout.\n"
    )
    print("| what | loop | run | times anyio's, median (range) | ns | anyio's ns |")
    print("| --- | --- | --- | --- | --- | --- |")
    for what, measure in measures.items():
        for backend in ("asyncio", "trio"):
            compare_groups(what, backend, measure)


if __name__ == "__main__":
    main()
