"""Streams, for each tracer: what is lost with the bare generator, and that nothing is with ours.

The controls assert the exact loss, so that they fail on the day somebody else repairs it. They
run in a copied context, in which what they lose may stay.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import anyio
import langsmith
import pytest
from vendors.streams import (
    ASYNC_ENDINGS,
    ASYNC_PLACES,
    ENDINGS,
    PLACES,
    anext_of,
    async_body_of,
    async_collected,
    async_dropped,
    async_exhausted,
    async_left_by_break,
    bare,
    body_of,
    called_in_outer,
    children,
    closed_early,
    collected,
    dropped,
    exhausted,
    here,
    in_a_new_task,
    in_this_task,
    left_by_break,
    left_to_the_loop,
    nothing,
    returned_by_outer,
    run_and_let_the_loop_close,
)
from vendors.tracers import LANGSMITH_IS_WEAK, TRACERS, LangSmith

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

# The last collection is the only one: see "a stream that lived through a collection" in tests/core.
pytestmark = pytest.mark.usefixtures("no_gc")


@pytest.fixture(params=TRACERS, ids=lambda kind: kind.__name__)
def tracer(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    """Each tracer, and that nothing is logged: "Failed to detach context" is only logged."""
    tracer = request.param()
    with tracer.recording():
        yield tracer
    assert [record.getMessage() for record in caplog.get_records("call")] == []


def named(value: Any) -> str:
    return value.__name__


BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])
ENDED = pytest.mark.parametrize("end", ENDINGS, ids=named)
ASYNC_ENDED = pytest.mark.parametrize("end", ASYNC_ENDINGS, ids=named)
STEPPED = pytest.mark.parametrize("step", PLACES, ids=named)
ASYNC_STEPPED = pytest.mark.parametrize("step", ASYNC_PLACES, ids=named)
BY_THE_LOOP = pytest.mark.parametrize(
    "end", [async_dropped, async_left_by_break, async_collected], ids=named
)


# A stream that is called inside a run and consumed after it.


@ENDED
@STEPPED
def test_control_the_children_of_a_bare_generator_are_roots(
    tracer: Any, end: Any, step: Any
) -> None:
    names = end(called_in_outer(tracer, body_of(tracer)), step)
    assert tracer.shape() == children("outer", *names)


@ENDED
@STEPPED
def test_the_children_of_a_stream_are_those_of_the_run_it_was_called_in(
    tracer: Any, end: Any, step: Any
) -> None:
    names = end(called_in_outer(tracer, ctxtrace.streaming(body_of(tracer))), step)
    assert tracer.shape() == [("outer", children(*names))]


@BACKENDS
@ASYNC_ENDED
@ASYNC_STEPPED
def test_control_the_children_of_a_bare_async_generator_are_roots(
    tracer: Any, end: Any, step: Any, backend: str
) -> None:
    names = anyio.run(end, called_in_outer(tracer, async_body_of(tracer)), step, backend=backend)
    assert tracer.shape() == children("outer", *names)


@BACKENDS
@ASYNC_ENDED
@ASYNC_STEPPED
def test_the_children_of_an_async_stream_are_those_of_the_run_it_was_called_in(
    tracer: Any, end: Any, step: Any, backend: str
) -> None:
    stream = ctxtrace.streaming(async_body_of(tracer))
    names = anyio.run(end, called_in_outer(tracer, stream), step, backend=backend)
    assert tracer.shape() == [("outer", children(*names))]


# Closed by the garbage collector, and by the loop.


@STEPPED
def test_control_a_bare_generator_in_a_cycle_is_closed_in_the_context_of_the_collection(
    tracer: Any, step: Any
) -> None:
    names = collected(called_in_outer(tracer, body_of(tracer)), step)
    assert tracer.shape() == children("outer", *names)


@STEPPED
def test_a_stream_in_a_cycle_is_closed_in_its_own_context(tracer: Any, step: Any) -> None:
    names = collected(called_in_outer(tracer, ctxtrace.streaming(body_of(tracer))), step)
    assert tracer.shape() == [("outer", children(*names))]


@pytest.mark.parametrize("end", [left_by_break, dropped, collected], ids=named)
def test_a_stream_that_its_parent_returned_is_closed_in_its_own_context(
    tracer: Any, end: Any
) -> None:
    names = end(returned_by_outer(tracer, ctxtrace.streaming(body_of(tracer))), here)
    gc.collect()  # the run has the stream for its output, and the stream keeps the run
    assert tracer.shape() == [("outer", children(*names))]


@BY_THE_LOOP
def test_control_the_loop_closes_a_bare_async_generator_outside_the_trace(
    tracer: Any, end: Any
) -> None:
    names = run_and_let_the_loop_close(end, tracer, bare)
    assert tracer.shape() == children("outer", *names)


@BY_THE_LOOP
def test_the_loop_closes_a_stream_in_its_own_context(tracer: Any, end: Any) -> None:
    names = run_and_let_the_loop_close(end, tracer, ctxtrace.streaming)
    assert tracer.shape() == [("outer", children(*names))]


@BACKENDS
def test_control_a_loop_that_ends_closes_a_bare_async_generator_outside_the_trace(
    tracer: Any, backend: str
) -> None:
    make = called_in_outer(tracer, async_body_of(tracer))
    names = anyio.run(left_to_the_loop, make, [], backend=backend)
    assert tracer.shape() == children("outer", *names)


@BACKENDS
def test_a_loop_that_ends_closes_a_stream_in_its_own_context(tracer: Any, backend: str) -> None:
    make = called_in_outer(tracer, ctxtrace.streaming(async_body_of(tracer)))
    kept: list[Any] = []
    names = anyio.run(left_to_the_loop, make, kept, backend=backend)
    assert tracer.shape() == [("outer", children(*names))]
    assert kept[0].ag_frame is None


# What a stream holds open over a yield is its own.


def held_of(tracer: Any, name: str) -> Callable[[], Iterator[int]]:
    def body() -> Iterator[int]:
        with tracer.open(f"held {name}"):
            yield 1
            tracer.call(f"child {name}", nothing)
            yield 2

    return body


def async_held_of(tracer: Any, name: str) -> Callable[[], AsyncIterator[int]]:
    async def body() -> AsyncIterator[int]:
        with tracer.open(f"held {name}"):
            await anyio.sleep(0)
            yield 1
            tracer.call(f"child {name}", nothing)
            yield 2

    return body


def held(name: str) -> tuple[str, list[Any]]:
    return (f"held {name}", children(f"child {name}"))


def consume_with_runs_between(tracer: Any, decorate: Any) -> None:
    stream = called_in_outer(tracer, decorate(held_of(tracer, "a")))()
    for _ in stream:
        tracer.call("consumer's", nothing)


async def consume_async_with_runs_between(tracer: Any, decorate: Any) -> None:
    stream = called_in_outer(tracer, decorate(async_held_of(tracer, "a")))()
    async for _ in stream:
        tracer.call("consumer's", nothing)


LEAKED = [("held a", children("child a", "consumer's", "consumer's")), ("outer", [])]
INSIDE = [("consumer's", []), ("consumer's", []), ("outer", [held("a")])]


def test_control_runs_of_the_consumer_become_children_of_what_a_bare_generator_holds(
    tracer: Any,
) -> None:
    copy_context().run(consume_with_runs_between, tracer, bare)
    assert tracer.shape() == LEAKED


def test_runs_of_the_consumer_are_not_children_of_what_a_stream_holds(tracer: Any) -> None:
    consume_with_runs_between(tracer, ctxtrace.streaming)
    assert tracer.shape() == INSIDE


@BACKENDS
def test_control_runs_of_the_consumer_become_children_of_what_an_async_generator_holds(
    tracer: Any, backend: str
) -> None:
    anyio.run(consume_async_with_runs_between, tracer, bare, backend=backend)
    assert tracer.shape() == LEAKED


@BACKENDS
def test_runs_of_the_consumer_are_not_children_of_what_an_async_stream_holds(
    tracer: Any, backend: str
) -> None:
    anyio.run(consume_async_with_runs_between, tracer, ctxtrace.streaming, backend=backend)
    assert tracer.shape() == INSIDE


def interleave(tracer: Any, decorate: Any, first_opened_first_closed: bool) -> None:
    open_ones = [called_in_outer(tracer, decorate(held_of(tracer, name)))() for name in ("a", "b")]
    for _ in range(2):
        for stream in open_ones:
            next(stream)
    for stream in open_ones if first_opened_first_closed else reversed(open_ones):
        assert next(stream, None) is None
    tracer.call("consumer's", nothing)


async def interleave_async(tracer: Any, decorate: Any, first_opened_first_closed: bool) -> None:
    open_ones = [
        called_in_outer(tracer, decorate(async_held_of(tracer, name)))() for name in ("a", "b")
    ]
    for _ in range(2):
        for stream in open_ones:
            await anext_of(stream)
    for stream in open_ones if first_opened_first_closed else reversed(open_ones):
        assert await anext_of(stream, None) is None
    tracer.call("consumer's", nothing)


EACH_ITS_OWN = [("consumer's", []), ("outer", [held("a")]), ("outer", [held("b")])]
IN_ANY_ORDER = pytest.mark.parametrize("fifo", [True, False], ids=["fifo", "lifo"])


@IN_ANY_ORDER
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_control_interleaved_bare_generators_take_each_others_children(
    tracer: Any, is_async: bool, fifo: bool
) -> None:
    if is_async:
        asyncio.run(interleave_async(tracer, bare, fifo))
    else:
        copy_context().run(interleave, tracer, bare, fifo)
    taken = ("held b", children("child a", "child b"))
    weak = LANGSMITH_IS_WEAK and isinstance(tracer, LangSmith)  # LangChain, too, holds its run
    if fifo and not weak:
        # Closed first in, first out, "held a" stays current though it has ended.
        expected = [("held a", [("consumer's", []), taken]), ("outer", []), ("outer", [])]
    else:
        expected = [("consumer's", []), ("held a", [taken]), ("outer", []), ("outer", [])]
    assert tracer.shape() == expected


@IN_ANY_ORDER
def test_interleaved_streams_keep_their_children_apart(tracer: Any, fifo: bool) -> None:
    interleave(tracer, ctxtrace.streaming, fifo)
    assert tracer.shape() == EACH_ITS_OWN


@BACKENDS
@IN_ANY_ORDER
def test_interleaved_async_streams_keep_their_children_apart(
    tracer: Any, fifo: bool, backend: str
) -> None:
    anyio.run(interleave_async, tracer, ctxtrace.streaming, fifo, backend=backend)
    assert tracer.shape() == EACH_ITS_OWN


# Closed elsewhere while something is held: the context errors.


def close_elsewhere(tracer: Any, decorate: Any, step: Any) -> str:
    """Return what closing raised; in the closing context a run is started afterwards."""
    stream = called_in_outer(tracer, decorate(held_of(tracer, "a")))()
    assert next(stream) == 1

    def close() -> str:
        try:
            stream.close()
        except ValueError as error:
            said = str(error)
        else:
            said = ""
        tracer.call("consumer's", nothing)
        return said

    return step(close)


ELSEWHERE = pytest.mark.parametrize("step", PLACES[1:], ids=named)
WRONG_CONTEXT = "was created in a different Context"


@ELSEWHERE
def test_control_a_bare_generator_that_is_closed_elsewhere_fails_to_end_what_it_holds(
    tracer: Any, step: Any, caplog: pytest.LogCaptureFixture
) -> None:
    raised = copy_context().run(close_elsewhere, tracer, bare, step)
    logged = [record.getMessage() for record in caplog.records]
    caplog.clear()
    kind = type(tracer).__name__
    assert (WRONG_CONTEXT in raised) is (kind == "OwnVariable")
    assert logged == (["Failed to detach context"] if kind == "OpenTelemetry" else [])
    if kind in ("LangSmith", "LangChain") or step is PLACES[2]:
        expected = children("consumer's", "held a", "outer")
    else:  # the copied context has the span for ever
        expected = [("held a", children("consumer's")), ("outer", [])]
    assert tracer.shape() == expected


@ELSEWHERE
def test_a_stream_that_is_closed_elsewhere_ends_what_it_holds(tracer: Any, step: Any) -> None:
    assert close_elsewhere(tracer, ctxtrace.streaming, step) == ""
    assert tracer.shape() == [("consumer's", []), ("outer", children("held a"))]


@BACKENDS
@pytest.mark.parametrize("step", [in_this_task, in_a_new_task], ids=named)
def test_an_async_stream_with_a_held_run_may_be_stepped_and_closed_in_any_task(
    tracer: Any, step: Any, backend: str
) -> None:
    async def main() -> None:
        stream = called_in_outer(tracer, ctxtrace.streaming(async_held_of(tracer, "a")))()
        for item in (1, 2):
            assert await step(anext_of, stream) == item
        await step(stream.aclose)
        tracer.call("consumer's", nothing)

    anyio.run(main, backend=backend)
    assert tracer.shape() == [("consumer's", []), ("outer", [held("a")])]


# What is held over a yield and belongs to the task: timeouts, cancel scopes, task groups.

STREAMS = [bare, ctxtrace.wrap, ctxtrace.streaming, ctxtrace.traced_stream]
AS_BARE = pytest.mark.parametrize("decorate", STREAMS, ids=named)


@pytest.fixture
def langsmith_runs() -> Iterator[Any]:
    tracer = LangSmith()
    with tracer.recording():
        yield tracer


async def items_of(stream: Any) -> list[Any]:
    return [item async for item in stream]


async def cancelled_by_its_scope() -> AsyncIterator[Any]:
    with anyio.CancelScope() as scope:
        yield 1
        scope.cancel()
        await anyio.sleep(0)
        yield "in vain"
    yield "cancelled"


async def with_a_task_group() -> AsyncIterator[Any]:
    done: list[str] = []

    async def work() -> None:
        await anyio.sleep(0)
        done.append("worked")

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        yield 1
    yield done[0]


HELD = pytest.mark.parametrize(
    ("body", "last"),
    [(cancelled_by_its_scope, "cancelled"), (with_a_task_group, "worked")],
    ids=["scope", "group"],
)


@BACKENDS
@HELD
@AS_BARE
def test_cancel_scopes_and_task_groups_may_be_held_over_a_yield(
    langsmith_runs: Any, decorate: Any, body: Any, last: str, backend: str
) -> None:
    assert anyio.run(items_of, decorate(body)(), backend=backend) == [1, last]


@HELD
def test_control_on_trio_no_generator_with_traceable_works(
    langsmith_runs: Any, body: Any, last: str
) -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        anyio.run(items_of, langsmith.traceable(body)(), backend="trio")


async def step_with_a_limit(stream: Any) -> str:
    assert await anext_of(stream) == 1
    try:
        await asyncio.wait_for(anext_of(stream), 0.01)
    except asyncio.TimeoutError:
        return "timed out"
    return "in vain"


@AS_BARE
def test_a_step_that_is_waited_for_with_a_limit_is_cancelled_inside_the_stream(
    langsmith_runs: Any, decorate: Any
) -> None:
    async def body() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            langsmith_runs.call("cancelled", nothing)
            raise

    async def main() -> str:
        make = called_in_outer(langsmith_runs, lambda: decorate(body)())
        return await step_with_a_limit(make())

    assert asyncio.run(main()) == "timed out"
    inside = children("cancelled")
    if decorate is ctxtrace.traced_stream:
        inside = [("body", inside)]
    expected = [("cancelled", []), ("outer", [])] if decorate is bare else [("outer", inside)]
    assert langsmith_runs.shape() == expected


if sys.version_info >= (3, 11):

    async def with_a_timeout() -> AsyncIterator[Any]:
        try:
            async with asyncio.timeout(None) as timeout:
                yield 1
                timeout.reschedule(0)
                for _ in range(5):
                    await asyncio.sleep(0)
                yield "in vain"
        except TimeoutError:
            yield "timed out"

    @AS_BARE
    def test_a_timeout_may_be_held_over_a_yield(langsmith_runs: Any, decorate: Any) -> None:
        assert asyncio.run(items_of(decorate(with_a_timeout)())) == [1, "timed out"]

    def test_control_a_timeout_held_over_a_yield_never_fires_with_traceable(
        langsmith_runs: Any,
    ) -> None:
        stream = langsmith.traceable(with_a_timeout)()
        assert asyncio.run(items_of(stream)) == [1, "in vain"]

    @HELD
    def test_control_what_is_held_over_a_yield_fails_with_traceable(
        langsmith_runs: Any, body: Any, last: str
    ) -> None:
        with pytest.raises(RuntimeError, match="exit cancel scope in a different task"):
            asyncio.run(items_of(langsmith.traceable(body)()))

else:

    @HELD
    def test_before_3_11_traceable_too_lets_it_be_held_over_a_yield(
        langsmith_runs: Any, body: Any, last: str
    ) -> None:
        assert asyncio.run(items_of(langsmith.traceable(body)())) == [1, last]


# With LangSmith's @traceable on the same function.

traced = langsmith.traceable(name="traced")


@pytest.mark.parametrize("end", [exhausted, closed_early, left_by_break], ids=named)
def test_traceable_above_a_stream_has_the_streams_children(langsmith_runs: Any, end: Any) -> None:
    function = traced(ctxtrace.streaming(body_of(langsmith_runs)))
    names = end(function, here)
    gc.collect()
    assert langsmith_runs.shape() == [("traced", children(*names))]


@pytest.mark.parametrize("end", [closed_early, left_by_break], ids=named)
def test_control_traceable_alone_loses_what_starts_when_the_generator_is_closed(
    langsmith_runs: Any, end: Any
) -> None:
    end(traced(body_of(langsmith_runs)), here)
    gc.collect()
    assert langsmith_runs.shape() == [("finally", []), ("traced", children("first"))]


def test_a_stream_above_traceable_is_under_the_run_it_was_called_in(langsmith_runs: Any) -> None:
    function = ctxtrace.streaming(traced(body_of(langsmith_runs)))
    names = exhausted(called_in_outer(langsmith_runs, function), here)
    assert langsmith_runs.shape() == [("outer", [("traced", children(*names))])]


def test_control_traceable_alone_is_not_under_the_run_the_generator_was_called_in(
    langsmith_runs: Any,
) -> None:
    names = exhausted(called_in_outer(langsmith_runs, traced(body_of(langsmith_runs))), here)
    assert langsmith_runs.shape() == [("outer", []), ("traced", children(*names))]


def test_traceable_above_an_async_stream_has_the_streams_children(langsmith_runs: Any) -> None:
    function = traced(ctxtrace.streaming(async_body_of(langsmith_runs)))
    names = asyncio.run(async_exhausted(function, in_this_task))
    assert langsmith_runs.shape() == [("traced", children(*names))]


def test_control_traceable_alone_has_the_children_of_an_async_generator(
    langsmith_runs: Any,
) -> None:
    names = asyncio.run(async_exhausted(traced(async_body_of(langsmith_runs)), in_this_task))
    assert langsmith_runs.shape() == [("traced", children(*names))]


def test_an_async_stream_above_traceable_is_under_the_run_it_was_called_in(
    langsmith_runs: Any,
) -> None:
    function = ctxtrace.streaming(traced(async_body_of(langsmith_runs)))
    make = called_in_outer(langsmith_runs, function)
    names = asyncio.run(async_exhausted(make, in_this_task))
    assert langsmith_runs.shape() == [("outer", [("traced", children(*names))])]


def test_control_traceable_alone_on_an_async_generator_is_not_under_the_run_of_the_call(
    langsmith_runs: Any,
) -> None:
    make = called_in_outer(langsmith_runs, traced(async_body_of(langsmith_runs)))
    names = asyncio.run(async_exhausted(make, in_this_task))
    assert langsmith_runs.shape() == [("outer", []), ("traced", children(*names))]
