"""Every boundary, crossed once by each function: with whose tools is a parameter.

Each starts `inner` from within `outer`, and lets it begin only when `outer` has returned and
what it left behind is collected, unless it is told to wait inside.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Callable

    Work = Callable[[], Any]

LIMIT = 30.0  # seconds; only ever reached by a failure


def _run_in_executor(executor: Any, function: Work) -> Any:
    return asyncio.get_running_loop().run_in_executor(executor, function)


STANDARD = SimpleNamespace(
    ThreadPoolExecutor=concurrent.futures.ThreadPoolExecutor,
    Thread=threading.Thread,
    Timer=threading.Timer,
    wrap_executor=lambda executor: executor,
    wrap=lambda function: function,
    create_task=asyncio.create_task,
    gather=asyncio.gather,
    to_thread=asyncio.to_thread,
    run_in_executor=_run_in_executor,
    TaskGroup=getattr(asyncio, "TaskGroup", None),
)


class Gate:
    """Holds work back until it is opened; for threads."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._open = threading.Event()

    def __call__(self, *_: Any) -> None:
        assert self._open.wait(LIMIT)
        self._work()

    def open(self) -> None:
        gc.collect()
        self._open.set()


# From threads. Each returns how to wait for the work.


def submit(tools: Any, work: Work) -> Work:
    pool = tools.ThreadPoolExecutor(1)
    future = pool.submit(work)
    return lambda: (future.result(LIMIT), pool.shutdown())


def map_(tools: Any, work: Work) -> Work:
    pool = tools.ThreadPoolExecutor(1)
    results = pool.map(work, [None])
    return lambda: (list(results), pool.shutdown())


def done_callback(tools: Any, work: Work) -> Work:
    pool = tools.ThreadPoolExecutor(1)
    added = threading.Event()
    future = pool.submit(added.wait, LIMIT)
    future.add_done_callback(work)
    added.set()
    return pool.shutdown


def wrapped_executor(tools: Any, work: Work) -> Work:
    pool = tools.wrap_executor(concurrent.futures.ThreadPoolExecutor(1))
    future = pool.submit(work)
    return lambda: (future.result(LIMIT), pool.shutdown())


def wrapped_function(tools: Any, work: Work) -> Work:
    thread = threading.Thread(target=tools.wrap(work))
    thread.start()
    return lambda: thread.join(LIMIT)


def thread(tools: Any, work: Work) -> Work:
    started = tools.Thread(target=work)
    started.start()
    return lambda: started.join(LIMIT)


def thread_subclass(tools: Any, work: Work) -> Work:
    class Worker(tools.Thread):  # type: ignore[misc, name-defined]
        def run(self) -> None:
            work()

    started = Worker()
    started.start()
    return lambda: started.join(LIMIT)


def timer(tools: Any, work: Work) -> Work:
    started = tools.Timer(0, work)
    started.start()
    return lambda: started.join(LIMIT)


THREADED = [
    submit,
    map_,
    done_callback,
    wrapped_executor,
    wrapped_function,
    thread,
    thread_subclass,
    timer,
]


# From a loop. `outer` calls what it is given inside the run; `inner` is the work.


async def _gated(gate: asyncio.Event, inner: Work) -> None:
    await asyncio.wait_for(gate.wait(), LIMIT)
    inner()


async def _open(gate: asyncio.Event) -> None:
    gc.collect()
    gate.set()


async def create_task(tools: Any, outer: Callable[[Work], Any], inner: Work) -> None:
    gate = asyncio.Event()
    task = outer(lambda: tools.create_task(_gated(gate, inner)))
    await _open(gate)
    await task


async def create_task_in_context(tools: Any, outer: Callable[[Work], Any], inner: Work) -> None:
    gate = asyncio.Event()
    task = outer(lambda: tools.create_task(_gated(gate, inner), context=contextvars.copy_context()))
    await _open(gate)
    await task


async def gather(tools: Any, outer: Callable[[Work], Any], inner: Work) -> None:
    gate = asyncio.Event()
    results = outer(lambda: tools.gather(_gated(gate, inner)))
    await _open(gate)
    await results


async def task_group(tools: Any, outer: Callable[[Work], Any], inner: Work) -> None:
    gate = asyncio.Event()
    async with tools.TaskGroup() as group:
        outer(lambda: group.create_task(_gated(gate, inner)))
        await _open(gate)


async def to_thread(tools: Any, outer: Callable[[Work], Any], inner: Work) -> None:
    gate = Gate(inner)
    # A coroutine does nothing before it is awaited: a task starts it, inside the run.
    began = asyncio.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(began.set)
        gate()

    task = outer(lambda: tools.create_task(tools.to_thread(work)))
    # Here the thread has the context, and the task that started it still has what it had.
    await asyncio.wait_for(began.wait(), LIMIT)
    gate.open()
    await task


async def run_in_executor(tools: Any, outer: Callable[[Work], Any], inner: Work) -> None:
    gate = Gate(inner)
    future = outer(lambda: tools.run_in_executor(None, gate))
    gate.open()
    await future


FROM_A_LOOP = [create_task, gather, to_thread, run_in_executor]
if STANDARD.TaskGroup is not None:
    # What asyncio has had since 3.11; before, there is no control, for there is nothing.
    FROM_A_LOOP += [task_group, create_task_in_context]
FROM_A_LOOP_OURS = [
    create_task,
    gather,
    to_thread,
    run_in_executor,
    task_group,
    create_task_in_context,
]
OURS = ctxtrace
