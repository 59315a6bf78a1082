"""What keeps a LangSmith run alive, and for how long.

From LangSmith 0.7.30 on, nothing should but work that is still going on. Before, contexts
hold runs by themselves, and whatever keeps a context keeps its run, with ctxtrace or without.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from typing import TYPE_CHECKING, Any

import pytest
from langsmith import traceable
from langsmith.run_helpers import get_current_run_tree
from langsmith.run_trees import RunTree
from vendors.crossings import LIMIT
from vendors.tracers import LANGSMITH_IS_WEAK

import ctxtrace
from ctxtrace.testing import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEPT_BY_A_CONTEXT = 0 if LANGSMITH_IS_WEAK else 1


@pytest.fixture(autouse=True)
def recording() -> Iterator[Any]:
    with record("langsmith") as recording:
        yield recording


def runs_alive() -> int:
    gc.collect()
    return sum(type(thing) is RunTree for thing in gc.get_objects())


def nothing() -> None:
    pass


async def anothing() -> None:
    pass


def a_kept_future() -> object:
    with ctxtrace.ThreadPoolExecutor(1) as pool:
        return traceable(pool.submit)(nothing)


def a_kept_future_that_failed() -> object:
    def fail() -> None:
        raise ValueError("on purpose")

    with ctxtrace.ThreadPoolExecutor(1) as pool:
        future = traceable(pool.submit)(fail)
    assert isinstance(future.exception(), ValueError)
    return future


def a_kept_future_with_a_callback() -> object:
    with ctxtrace.ThreadPoolExecutor(1) as pool:
        future = pool.submit(nothing)
        traceable(future.add_done_callback)(lambda _: None)
        return future


def kept_results_of_map() -> object:
    with ctxtrace.ThreadPoolExecutor(1) as pool:
        results = traceable(pool.map)(abs, [1, 2], buffersize=1)
        assert list(results) == [1, 2]
        return results


def a_kept_thread() -> object:
    thread = ctxtrace.Thread(target=nothing)
    traceable(thread.start)()
    thread.join(LIMIT)
    return thread


def a_kept_timer_that_was_cancelled() -> object:
    timer = ctxtrace.Timer(LIMIT, nothing)
    traceable(timer.start)()
    timer.cancel()
    timer.join(LIMIT)
    return timer


def a_snapshot_that_was_dropped() -> object:
    traceable(ctxtrace.capture)()
    return None


def a_wrapped_function_that_was_dropped() -> object:
    traceable(lambda: ctxtrace.wrap(nothing)())()
    return None


def a_generator_that_was_closed() -> object:
    def numbers() -> Iterator[int]:
        yield 1
        yield 2

    generator = traceable(lambda: ctxtrace.wrap(numbers)())()
    assert next(generator) == 1
    generator.close()
    return generator


@pytest.mark.parametrize(
    "leave",
    [
        a_kept_future,
        a_kept_future_that_failed,
        a_kept_future_with_a_callback,
        kept_results_of_map,
        a_kept_thread,
        a_kept_timer_that_was_cancelled,
        a_snapshot_that_was_dropped,
        a_wrapped_function_that_was_dropped,
        a_generator_that_was_closed,
    ],
    ids=lambda f: f.__name__,
)
def test_no_run_is_kept_by(leave: Callable[[], object]) -> None:
    before = runs_alive()
    kept = leave()
    assert runs_alive() == before
    del kept


# What follows keeps a context.


def a_kept_finished_task(create_task: Any) -> object:
    async def main() -> object:
        task = traceable(create_task)(anothing())
        await task
        await asyncio.sleep(0)  # the turn of the loop in which done-callbacks are called
        return task

    return asyncio.run(main())


def a_kept_failed_task(create_task: Any) -> object:
    async def fail() -> None:
        raise ValueError("on purpose")

    async def main() -> object:
        task = traceable(create_task)(fail())
        await asyncio.wait([task])
        await asyncio.sleep(0)
        assert isinstance(task.exception(), ValueError)
        return task

    return asyncio.run(main())


def a_context_copied_in_a_task(create_task: Any) -> object:
    async def copy() -> contextvars.Context:
        return contextvars.copy_context()

    async def main() -> object:
        return await traceable(create_task)(copy())

    return asyncio.run(main())


@pytest.mark.parametrize(
    "leave",
    [a_kept_finished_task, a_kept_failed_task, a_context_copied_in_a_task],
    ids=lambda f: f.__name__,
)
def test_no_run_is_kept_beyond_what_the_vendor_keeps_by(leave: Any) -> None:
    before = runs_alive()
    with_asyncio = leave(asyncio.create_task)
    assert runs_alive() == before + KEPT_BY_A_CONTEXT
    del with_asyncio
    assert runs_alive() == before
    with_ctxtrace = leave(ctxtrace.create_task)
    assert runs_alive() == before + KEPT_BY_A_CONTEXT
    del with_ctxtrace


def test_no_run_is_kept_by_a_pending_timer_of_the_loop_started_in_a_task_of_ours() -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()

        async def work() -> asyncio.TimerHandle:
            return loop.call_later(LIMIT, nothing)

        before = runs_alive()
        handle = await traceable(ctxtrace.create_task)(work())
        await asyncio.sleep(0)
        assert runs_alive() == before + KEPT_BY_A_CONTEXT
        handle.cancel()

    asyncio.run(serve())


def test_a_run_is_alive_as_long_as_its_task() -> None:
    async def main() -> None:
        gate = asyncio.Event()

        async def work() -> bool:
            await gate.wait()
            gc.collect()
            return get_current_run_tree() is not None

        before = runs_alive()
        task = traceable(ctxtrace.create_task)(work())
        await asyncio.sleep(0)
        assert runs_alive() == before + 1
        gate.set()
        assert await task

    asyncio.run(main())


def test_a_run_is_alive_as_long_as_its_thread() -> None:
    gate = threading.Event()
    seen: list[bool] = []

    def work() -> None:
        assert gate.wait(LIMIT)
        seen.append(get_current_run_tree() is not None)

    before = runs_alive()
    thread = ctxtrace.Thread(target=work)
    traceable(thread.start)()
    assert runs_alive() == before + 1
    gate.set()
    thread.join(LIMIT)
    assert seen == [True]


@traceable
def child() -> None:
    pass


def children_of_a_running_parent(cross: Callable[[], Any]) -> list[str]:
    @traceable
    def outer() -> list[str]:
        child()
        cross()
        child()
        run = get_current_run_tree()
        assert run is not None
        return [run.name for run in run.child_runs]

    return outer()


def test_a_running_parent_collects_its_children_as_it_does_without_a_crossing() -> None:
    # LangSmith 0.7 collects none.
    crossed = children_of_a_running_parent(ctxtrace.capture)
    assert crossed == children_of_a_running_parent(nothing)


def test_an_ended_parent_collects_no_more_children(recording: Any) -> None:
    parents: list[RunTree] = []

    async def main() -> None:
        ended = asyncio.Event()

        async def work() -> None:
            await ended.wait()
            for _ in range(100):
                child()

        @traceable
        async def request() -> asyncio.Task[None]:
            run = get_current_run_tree()
            assert run is not None
            parents.append(run)
            return ctxtrace.create_task(work())

        task = await request()
        ended.set()
        await task

    asyncio.run(main())
    assert parents[0].child_runs == []
    assert recording.forest().shape == [("request", [("child", [])] * 100)]


def test_a_run_that_no_crossing_saw_keeps_the_list_it_has() -> None:
    @traceable
    def outer() -> type:
        run = get_current_run_tree()
        assert run is not None
        return type(run.child_runs)

    assert outer() is list


def test_a_service_whose_requests_leave_things_behind_does_not_keep_their_runs() -> None:
    # The soak in benchmarks/ does this 20,000 times and looks at the memory.
    async def serve() -> int:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        left: list[Any] = []

        async def finish() -> None:
            left.append(loop.call_later(LIMIT, nothing))
            left.append(asyncio.ensure_future(stop.wait()))  # a connection pool's keep-alive

        @traceable
        async def request() -> None:
            task = ctxtrace.create_task(finish())
            left.append(task)
            with ctxtrace.detached():
                left.append(ctxtrace.create_task(stop.wait()))  # a background worker
            await task

        before = runs_alive()
        for _ in range(100):
            await ctxtrace.create_task(request())
        # LangSmith sets a run up in a thread, which holds it a moment longer than we wait.
        await loop.shutdown_default_executor()
        grown = runs_alive() - before
        stop.set()
        for thing in left:
            if isinstance(thing, asyncio.TimerHandle):
                thing.cancel()
            else:
                await thing
        return grown

    assert asyncio.run(serve()) == 100 * KEPT_BY_A_CONTEXT
