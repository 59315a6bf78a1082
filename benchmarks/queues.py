"""Queues: what an item costs to hand over, beside the bare queue, and in memory while it waits.

An item is put, taken, given to a function that does nothing, and marked as done where the queue
counts that. All are put before the first is taken, in one thread, or in one task, so that
nobody waits and all there is to see is what is done for an item. With "a run" one of LangSmith's
is current while all is done, so that each item pins it.
"""

from __future__ import annotations

import asyncio
import gc
import math
import queue
import time
import tracemalloc
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from _bench import BARE, BYTES, BYTES_LEFT, Measure, Plan, Target
from _silent import context_with

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from contextvars import Context

ITEMS = 2_000
WAITING = 20_000

GET, RECEIVE, SERVE = "put and get", "put and receive", "put and serve"
WAYS = (BARE, GET, RECEIVE, SERVE)
OURS = "`ContextQueue`"
ALLOWED = 0.1  # bytes an item that may be left


def nothing(item: int) -> None:
    pass


# Each puts and takes all items of one queue, and returns the seconds an item.


def in_a_thread(way: str, items: int) -> float:
    bare: queue.Queue[int] = queue.Queue()
    q: Any = bare if way == BARE else ctxtrace.ContextQueue(bare)
    began = time.perf_counter()
    for item in range(items):
        q.put(item)
    if way == SERVE:
        q.stop()  # when all are handled
        q.serve(nothing)
    elif way == RECEIVE:
        for _ in range(items):
            with q.receive() as item:
                nothing(item)
    else:
        for _ in range(items):
            nothing(q.get())
            bare.task_done()
    took = time.perf_counter() - began
    assert bare.empty()
    return took / items


async def in_a_task(way: str, items: int) -> float:
    bare: asyncio.Queue[int] = asyncio.Queue()
    q: Any = bare if way == BARE else ctxtrace.AsyncContextQueue(bare)
    began = time.perf_counter()
    for item in range(items):
        await q.put(item)
    if way == SERVE:
        q.stop()
        await q.serve(nothing)
    elif way == RECEIVE:
        for _ in range(items):
            async with q.receive() as item:
                nothing(item)
    else:
        for _ in range(items):
            nothing(await q.get())
            q.task_done()
    took = time.perf_counter() - began
    assert bare.empty()
    return took / items


async def in_a_stream(way: str, items: int) -> float:
    ends: Any = anyio.create_memory_object_stream(math.inf)
    send, receive = ends if way == BARE else ctxtrace.context_stream(*ends)
    began = time.perf_counter()
    for item in range(items):
        await send.send(item)
    if way == SERVE:
        send.close()
        await receive.serve(nothing)
    elif way == RECEIVE:
        for _ in range(items):
            async with receive.receive() as item:
                nothing(item)
    else:
        for _ in range(items):
            nothing(await receive.receive())
    took = time.perf_counter() - began
    assert receive.statistics().current_buffer_used == 0
    send.close()
    receive.close()
    return took / items


def in_a_loop(
    measure: Callable[[str, int], Coroutine[Any, Any, float]], way: str, items: int
) -> float:
    return anyio.run(measure, way, items)


KINDS: dict[str, tuple[str, Callable[[str, int], float]]] = {
    "`ContextQueue` of a `queue.Queue`": ("an item of a `queue.Queue`", in_a_thread),
    "`AsyncContextQueue` of an `asyncio.Queue`": (
        "an item of an `asyncio.Queue`",
        partial(in_a_loop, in_a_task),
    ),
    "`context_stream` of anyio's on asyncio": (
        "an item of a memory object stream",
        partial(in_a_loop, in_a_stream),
    ),
}


def waiting(ours: bool, items: int, left: bool) -> float:
    """Return the bytes an item that waits; or what is left of it when it was taken."""
    tracemalloc.start()
    try:
        q: Any = ctxtrace.ContextQueue(queue.Queue()) if ours else queue.Queue()
        # Whatever is made only once: a deque keeps some blocks for its next items.
        for _ in range(items):
            q.put(None)
        for _ in range(items):
            q.get()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(items):
            q.put(None)
        if left:
            for _ in range(items):
                q.get()
        gc.collect()
        return (tracemalloc.get_traced_memory()[0] - before) / items
    finally:
        tracemalloc.stop()


def in_copy(context: Context, measure: Callable[..., float], *arguments: Any) -> float:
    return context.copy().run(measure, *arguments)


CASES = [
    (f"{'a run' if run else 'no run'}, {variables} variables", run, variables)
    for run in (False, True)
    for variables in (0, 10, 100)
]


def measures(plan: Plan) -> Iterator[Measure]:
    for what, (headline, handing_over) in KINDS.items():
        for case, run, variables in plan.cases(CASES):
            with context_with(variables, run) as context:
                yield Measure(
                    what,
                    {
                        way: partial(in_copy, context, handing_over, way, plan.count(ITEMS))
                        for way in WAYS
                    },
                    case=case,
                    per="item",
                    ours=SERVE,
                    headline=headline if case == CASES[0][0] else "",
                )
    waited = 100 if plan.smoke else WAITING  # fewer, and what measures is seen beside them
    for left in (False, True):
        for case, run, variables in plan.cases(CASES):
            with context_with(variables, run) as context:
                yield Measure(
                    "what is left of an item that was taken"
                    if left
                    else "memory of an item that waits in a `queue.Queue`",
                    {
                        name: partial(in_copy, context, waiting, ours, waited, left)
                        for name, ours in ((BARE, False), (OURS, True))
                    },
                    case=case,
                    per="item",
                    unit=BYTES_LEFT if left else BYTES,
                    ours=OURS,
                    targets=(Target(OURS, at_most=ALLOWED),) if left else (),
                    rounds=1,
                )
