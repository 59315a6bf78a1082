"""Each boundary, for each tracer: what is lost with the standard library, and that nothing is
with ctxtrace.

The controls assert the exact loss, so that they fail on the day somebody else repairs it.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest
import uvloop
from vendors import crossings
from vendors.crossings import FROM_A_LOOP, FROM_A_LOOP_OURS, OURS, STANDARD, THREADED, Gate
from vendors.tracers import TRACERS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

WHOLE = [("outer", [("inner", [])])]
SPLIT = [("inner", []), ("outer", [])]


@pytest.fixture(params=TRACERS, ids=lambda kind: kind.__name__)
def tracer(request: pytest.FixtureRequest) -> Iterator[Any]:
    tracer = request.param()
    with tracer.recording():
        yield tracer


def _asyncio(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(main)


def _uvloop(main: Coroutine[Any, Any, None]) -> None:
    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(main)
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


LOOPS: list[Callable[[Coroutine[Any, Any, None]], None]] = [_asyncio, _uvloop]

if sys.version_info >= (3, 12):

    def _eager(main: Coroutine[Any, Any, None]) -> None:
        async def with_factory() -> None:
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
            await main

        asyncio.run(with_factory())

    LOOPS.append(_eager)


# Threads and pools.


def cross_while_the_parent_runs(tracer: Any, crossing: Any, tools: Any) -> None:
    def inner(*_: Any) -> None:
        tracer.call("inner", lambda: None)

    tracer.call("outer", lambda: crossing(tools, inner)())


def cross_and_outlive_the_parent(tracer: Any, crossing: Any, tools: Any) -> None:
    gate = Gate(lambda: tracer.call("inner", lambda: None))
    wait = tracer.call("outer", lambda: crossing(tools, gate))
    gate.open()
    wait()


IN_TIME_OR_LATE = pytest.mark.parametrize(
    "cross", [cross_while_the_parent_runs, cross_and_outlive_the_parent]
)
THREADED_ONES = pytest.mark.parametrize("crossing", THREADED, ids=lambda f: f.__name__)


@IN_TIME_OR_LATE
@THREADED_ONES
def test_control_a_thread_of_the_standard_library_splits_the_trace(
    tracer: Any, crossing: Any, cross: Any
) -> None:
    cross(tracer, crossing, STANDARD)
    assert tracer.shape() == SPLIT


@IN_TIME_OR_LATE
@THREADED_ONES
def test_a_thread_of_ours_keeps_the_trace_whole(tracer: Any, crossing: Any, cross: Any) -> None:
    cross(tracer, crossing, OURS)
    assert tracer.shape() == WHOLE


# Tasks, and threads started from a loop, that outlive their parent.

ON_EACH_LOOP = pytest.mark.parametrize("run", LOOPS, ids=lambda f: f.__name__.strip("_"))


def cross_from_a_loop(tracer: Any, crossing: Any, tools: Any, run: Any) -> None:
    run(
        crossing(
            tools,
            lambda start: tracer.call("outer", start),
            lambda: tracer.call("inner", lambda: None),
        )
    )


@ON_EACH_LOOP
@pytest.mark.parametrize("crossing", FROM_A_LOOP, ids=lambda f: f.__name__)
def test_control_what_outlives_its_parent_in_asyncio_splits_where_nothing_keeps_the_parent(
    tracer: Any, crossing: Any, run: Any
) -> None:
    cross_from_a_loop(tracer, crossing, STANDARD, run)
    copied = crossing is not crossings.run_in_executor  # the only one that copies no context
    assert tracer.shape() == (WHOLE if copied and tracer.keeps_ended_parents else SPLIT)


@ON_EACH_LOOP
@pytest.mark.parametrize("crossing", FROM_A_LOOP_OURS, ids=lambda f: f.__name__)
def test_what_outlives_its_parent_in_asyncio_keeps_it(tracer: Any, crossing: Any, run: Any) -> None:
    cross_from_a_loop(tracer, crossing, OURS, run)
    assert tracer.shape() == WHOLE


# The same while the parent runs, where a tracer can hold a run open over an await.

WITH_OPEN_RUNS = pytest.mark.parametrize(
    "tracer",
    [kind for kind in TRACERS if kind.__name__ != "LangChain"],
    indirect=True,
    ids=lambda kind: kind.__name__,
)


async def cross_while_the_run_is_open(tracer: Any, crossing: Any, tools: Any) -> None:
    with tracer.open("outer"):
        await crossing(tools, lambda start: start(), lambda: tracer.call("inner", lambda: None))


@WITH_OPEN_RUNS
@pytest.mark.parametrize("crossing", FROM_A_LOOP, ids=lambda f: f.__name__)
def test_control_only_run_in_executor_splits_while_the_parent_runs(
    tracer: Any, crossing: Any
) -> None:
    asyncio.run(cross_while_the_run_is_open(tracer, crossing, STANDARD))
    split = crossing is crossings.run_in_executor
    assert tracer.shape() == (SPLIT if split else WHOLE)


@WITH_OPEN_RUNS
@pytest.mark.parametrize("crossing", FROM_A_LOOP_OURS, ids=lambda f: f.__name__)
def test_what_starts_while_the_parent_runs_is_under_it(tracer: Any, crossing: Any) -> None:
    asyncio.run(cross_while_the_run_is_open(tracer, crossing, OURS))
    assert tracer.shape() == WHOLE
