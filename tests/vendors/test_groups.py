"""anyio's task groups, for each tracer: what a task that outlives its parent loses, and keeps.

The control asserts the exact loss, so that it fails on the day somebody else repairs it.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from vendors.tracers import LANGSMITH_IS_WEAK, TRACERS, LangSmith, OwnVariable

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WHOLE = [("outer", [("inner", [])])]
SPLIT = [("inner", []), ("outer", [])]

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@pytest.fixture(params=TRACERS, ids=lambda kind: kind.__name__)
def tracer(request: pytest.FixtureRequest) -> Iterator[Any]:
    tracer = request.param()
    with tracer.recording():
        yield tracer


def outlive_the_parent(tracer: Any, make: Callable[[], Any], backend: str) -> None:
    async def child(gate: anyio.Event) -> None:
        await gate.wait()
        tracer.call("inner", lambda: None)

    async def main() -> None:
        gate = anyio.Event()
        async with make() as group:
            tracer.call("outer", lambda: group.start_soon(child, gate) and None)
            gc.collect()
            gate.set()

    anyio.run(main, backend=backend)


@BACKENDS
def test_control_a_task_of_a_bare_group_splits_where_nothing_keeps_the_parent(
    tracer: Any, backend: str
) -> None:
    outlive_the_parent(tracer, anyio.create_task_group, backend)
    assert tracer.shape() == (WHOLE if tracer.keeps_ended_parents else SPLIT)


@BACKENDS
def test_a_task_of_a_group_keeps_the_parent_that_returned(tracer: Any, backend: str) -> None:
    outlive_the_parent(tracer, ctxtrace.create_task_group, backend)
    assert tracer.shape() == WHOLE


@BACKENDS
def test_a_task_is_under_the_run_it_was_started_in(tracer: Any, backend: str) -> None:
    async def child(name: str) -> None:
        await anyio.sleep(0)
        tracer.call(f"inner {name}", lambda: None)

    async def main() -> None:
        async with ctxtrace.create_task_group() as group:
            for name in ("a", "b"):
                tracer.call(f"outer {name}", lambda name=name: group.start_soon(child, name) and 0)

    anyio.run(main, backend=backend)
    assert tracer.shape() == [(f"outer {name}", [(f"inner {name}", [])]) for name in "ab"]


# Those that a carrier of ctxtrace knows: detached() leaves a user's own variable alone.
WITH_A_CARRIER = pytest.mark.parametrize(
    "tracer",
    [kind for kind in TRACERS if kind is not OwnVariable],
    indirect=True,
    ids=lambda kind: kind.__name__,
)


@WITH_A_CARRIER
@BACKENDS
def test_a_task_started_in_a_detached_block_is_a_trace_of_its_own(
    tracer: Any, backend: str
) -> None:
    def start(group: Any) -> None:
        with ctxtrace.detached():
            group.start_soon(child)

    async def child() -> None:
        tracer.call("inner", lambda: None)

    async def main() -> None:
        async with ctxtrace.create_task_group() as group:
            tracer.call("outer", lambda: start(group))

    anyio.run(main, backend=backend)
    assert tracer.shape() == SPLIT


def abandoned_thread(tracer: Any, wrap: Any, backend: str) -> None:
    """A thread of anyio whose caller was cancelled, and whose run has ended."""
    import threading

    begun, gate, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert gate.wait(30)
        tracer.call("inner", lambda: None)
        done.set()

    async def request(scope: anyio.CancelScope) -> None:
        with scope, tracer.open("outer"):
            await anyio.to_thread.run_sync(wrap(work), abandon_on_cancel=True)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            scope = anyio.CancelScope()
            group.start_soon(request, scope)
            await anyio.to_thread.run_sync(begun.wait, 30)
            scope.cancel()
        gc.collect()
        gate.set()
        assert done.wait(30)

    anyio.run(main, backend=backend)


def not_wrapped(function: Any) -> Any:
    return function


@BACKENDS
def test_control_an_abandoned_thread_splits_where_nothing_keeps_the_parent(backend: str) -> None:
    tracer = LangSmith()
    with tracer.recording():
        abandoned_thread(tracer, not_wrapped, backend)
        assert tracer.shape() == (SPLIT if LANGSMITH_IS_WEAK else WHOLE)


@BACKENDS
def test_a_wrapped_function_in_an_abandoned_thread_keeps_the_parent(backend: str) -> None:
    tracer = LangSmith()
    with tracer.recording():
        abandoned_thread(tracer, ctxtrace.wrap, backend)
        assert tracer.shape() == WHOLE


def task_of_a_portal(tracer: Any, wrap: Any, backend: str) -> None:
    from anyio.from_thread import start_blocking_portal

    async def work(gate: anyio.Event) -> None:
        await gate.wait()
        tracer.call("inner", lambda: None)

    with start_blocking_portal(backend) as portal:
        gate = portal.call(anyio.Event)
        started = []
        tracer.call(
            "outer", lambda: started.append(portal.start_task_soon(wrap(work), gate)) or None
        )
        gc.collect()
        portal.call(gate.set)
        started[0].result(30)


@BACKENDS
def test_control_a_task_of_a_portal_splits_where_nothing_keeps_the_parent(
    tracer: Any, backend: str
) -> None:
    task_of_a_portal(tracer, not_wrapped, backend)
    assert tracer.shape() == (WHOLE if tracer.keeps_ended_parents else SPLIT)


@BACKENDS
def test_a_wrapped_function_in_a_task_of_a_portal_keeps_the_parent(
    tracer: Any, backend: str
) -> None:
    task_of_a_portal(tracer, ctxtrace.wrap, backend)
    assert tracer.shape() == WHOLE
