"""Tasks: what it costs to spawn one and await it, and each later step, beside the bare task.

The tasks do nothing, or let the event loop turn many times. Where "a run" stands, one of
LangSmith's is current where the task is made: it is pinned, and let go when the task is done.
Python 3.9 and 3.10 have no `context=`: there it is measured beside a bare task without it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextvars import Context, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from _bench import BARE, Measure, Plan, Target
from _silent import context_with

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TASKS = 2_000
STEPS = 2_000
STEPPING = 4  # tasks that take so many steps each, one after the other

TAKES_CONTEXT = sys.version_info >= (3, 11)

OURS, OUR_GROUP = "`ctxtrace.create_task`", "`ctxtrace.create_task_group`"
MAKES: dict[str, Callable[[], Any]] = {
    BARE: anyio.create_task_group,
    OUR_GROUP: ctxtrace.create_task_group,
}
A_STEP = 1.07


async def nothing() -> None:
    pass


async def steps(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def any_steps(count: int) -> None:
    for _ in range(count):
        await anyio.sleep(0)


# Each returns the seconds a task, or a step.


async def spawn(create: Any, count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        await create(nothing())
    return (time.perf_counter() - began) / count


async def step(create: Any, count: int) -> float:
    took = 0.0
    for _ in range(STEPPING):
        began = time.perf_counter()
        await create(steps(count))
        took += time.perf_counter() - began
    return took / STEPPING / count


async def start_soon(make: Callable[[], Any], count: int) -> float:
    began = time.perf_counter()
    async with make() as group:
        for _ in range(count):
            group.start_soon(nothing)
    return (time.perf_counter() - began) / count


async def group_step(make: Callable[[], Any], count: int) -> float:
    took = 0.0
    for _ in range(STEPPING):
        began = time.perf_counter()
        async with make() as group:
            group.start_soon(any_steps, count)
        took += time.perf_counter() - began
    return took / STEPPING / count


def in_loop(loop: Any, context: Context, measure: Any, create: Any, count: int) -> float:
    taken: float = context.copy().run(loop.run_until_complete, measure(create, count))
    return taken


def in_a_loop(backend: str, context: Context, measure: Any, make: Any, count: int) -> float:
    taken: float = context.copy().run(partial(anyio.run, measure, make, count, backend=backend))
    return taken


# The case, whether a run is current, whether the task is given a context, and what is wanted.
CASES = (
    ("no run", False, False, 1.05 if TAKES_CONTEXT else None),
    ("a run", True, False, 1.25),
    ("`context=`", False, True, None if TAKES_CONTEXT else 1.4),
)


def asyncio_measures(plan: Plan) -> Iterator[Measure]:
    loop = asyncio.new_event_loop()
    for case, run, given, wanted in CASES:
        with context_with(run=run) as context:
            bare: Any = asyncio.create_task
            ours: Any = ctxtrace.create_task
            if given:
                its = context.run(copy_context)
                ours = partial(ours, context=its)
                bare = partial(bare, context=its) if TAKES_CONTEXT else bare
            # run_until_complete() lets asyncio.create_task() find its loop.
            subjects = {BARE: bare, OURS: ours}
            for what, measure, per, count, at_most in (
                ("create_task, and await", spawn, "task", TASKS, wanted),
                ("each later step of a task", step, "step", STEPS, A_STEP),
            ):
                arguments = plan.count(count)
                yield Measure(
                    what,
                    {
                        name: partial(in_loop, loop, context, measure, create, arguments)
                        for name, create in subjects.items()
                    },
                    case=case,
                    per=per,
                    ours=OURS,
                    headline={spawn: f"a task, {case}", step: ""}[measure],
                    targets=(Target(OURS, at_most=at_most, of=(BARE,)),) if at_most else (),
                )
    loop.close()


def anyio_measures(plan: Plan) -> Iterator[Measure]:
    for what, measure, per, count, at_most in (
        ("`start_soon` of an anyio group", start_soon, "task", TASKS, 1.05),
        ("each later step in an anyio group", group_step, "step", STEPS, A_STEP),
    ):
        for backend in ("asyncio", "trio"):
            for run in (False, True):
                case = f"{backend}, {'a run' if run else 'no run'}"
                with context_with(run=run) as context:
                    yield Measure(
                        what,
                        {
                            name: partial(
                                in_a_loop, backend, context, measure, make, plan.count(count)
                            )
                            for name, make in MAKES.items()
                        },
                        case=case,
                        per=per,
                        ours=OUR_GROUP,
                        headline=f"`start_soon`, {case}" if measure is start_soon else "",
                        targets=(Target(OUR_GROUP, at_most=at_most, of=(BARE,)),),
                    )


def measures(plan: Plan) -> Iterator[Measure]:
    yield from asyncio_measures(plan)
    yield from anyio_measures(plan)
