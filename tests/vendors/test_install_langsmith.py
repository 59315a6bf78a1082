"""Under install(), what LangSmith's @traceable steps is stepped in place, and closed.

The controls are LangSmith as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import sys
import weakref
from typing import TYPE_CHECKING, Any

import anyio
import langsmith
import pytest
import wrapt
from core.support import without_garbage_collection
from langsmith import run_helpers
from vendors.programs import inner
from vendors.tracers import LANGSMITH_IS_WEAK

import ctxtrace
from ctxtrace.patches import _in_place
from ctxtrace.testing import record
from ctxtrace.testing._forest import descend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from ctxtrace.testing._langsmith import LangSmithRecording


@pytest.fixture
def recording() -> Iterator[LangSmithRecording]:
    with record("langsmith") as recording:
        yield recording


@pytest.fixture
def installed() -> Iterator[ctxtrace.Installation]:
    with ctxtrace.install() as installation:
        yield installation


def traced(function: Any, **options: Any) -> Any:
    """Decorate now, as the module would that is imported now."""
    return run_helpers.traceable(**options)(function)


async def acount(log: list[Any]) -> Any:
    """Counts, logs what is sent in, and starts a run at every step and at its end."""
    number = 0
    try:
        while True:
            inner()
            log.append((yield number))
            number += 1
    finally:
        inner()
        log.append("finally")


def count(log: list[Any]) -> Any:
    number = 0
    try:
        while number < 3:
            inner()
            log.append((yield number))
            number += 1
        return "counted"
    finally:
        inner()
        log.append("finally")


def run(function: Any) -> Any:
    """Run a coroutine function in a traced one, on asyncio."""
    return asyncio.run(traced(function, name="outer")())


def tree(recording: LangSmithRecording) -> str:
    """The names of the runs, each with its children behind it, sorted."""

    def text(shape: Any) -> str:
        name, children = shape
        return f"{name}({' '.join(map(text, children))})" if children else name

    return " ".join(map(text, recording.forest().shape))


def errors(recording: LangSmithRecording) -> list[str]:
    forest = recording.forest()
    return [node.name for root in forest.roots for node in descend(root) if node.error]


def unfinished(recording: LangSmithRecording) -> list[str]:
    forest = recording.forest()
    return [node.name for root in forest.roots for node in descend(root) if not node.ended]


# What is sent and thrown in.


def _sending(log: list[Any]) -> Any:
    async def outer() -> None:
        stream = traced(acount)(log)
        assert await stream.asend(None) == 0
        assert await stream.asend("sent") == 1
        await stream.aclose()

    return outer


def test_control_what_is_sent_into_a_traced_async_stream_does_not_arrive(
    recording: LangSmithRecording,
) -> None:
    log: list[Any] = []
    run(_sending(log))
    assert log[0] is None


def test_what_is_sent_into_a_traced_async_stream_arrives(
    recording: LangSmithRecording, installed: object
) -> None:
    log: list[Any] = []
    run(_sending(log))
    assert log == ["sent", "finally"]
    assert tree(recording) == "outer(acount(inner inner inner))"


def test_what_is_sent_into_a_traced_stream_arrives(
    recording: LangSmithRecording, installed: object
) -> None:
    log: list[Any] = []

    def outer() -> None:
        stream = traced(count)(log)
        next(stream)
        stream.send("sent")
        stream.close()

    traced(outer)()
    assert log == ["sent", "finally"]
    assert tree(recording) == "outer(count(inner inner inner))"
    assert errors(recording) == []


def test_control_what_is_sent_into_a_traced_stream_does_not_arrive(
    recording: LangSmithRecording,
) -> None:
    log: list[Any] = []
    stream = traced(count)(log)
    next(stream)
    stream.send("sent")
    assert log == [None]


class Thrown(Exception):
    pass


def test_an_error_thrown_into_a_traced_async_stream_is_the_functions_to_handle(
    recording: LangSmithRecording, installed: object
) -> None:
    async def handles() -> Any:
        try:
            yield 1
        except Thrown:
            inner()
            yield 2

    async def outer() -> list[int]:
        stream = traced(handles)()
        return [await stream.__anext__(), await stream.athrow(Thrown()), *[i async for i in stream]]

    assert run(outer) == [1, 2]
    assert tree(recording) == "outer(handles(inner))"
    assert errors(recording) == []


def test_an_error_thrown_into_a_traced_stream_is_the_functions_to_handle(
    recording: LangSmithRecording, installed: object
) -> None:
    def handles() -> Any:
        try:
            yield 1
        except Thrown:
            inner()
            yield 2

    stream = traced(handles)()
    assert [next(stream), stream.throw(Thrown()), *stream] == [1, 2]
    assert tree(recording) == "handles(inner)"
    assert errors(recording) == []


def test_what_a_traced_stream_returns_is_returned(
    recording: LangSmithRecording, installed: object
) -> None:
    def outer() -> Any:
        return (yield from traced(count)([]))

    stream = outer()
    for _ in range(3):
        next(stream)
    with pytest.raises(StopIteration) as stop:
        next(stream)
    assert stop.value.value == "counted"


# Early exits.


def _left_early(log: list[Any]) -> Any:
    async def outer() -> None:
        stream = traced(acount)(log)
        async for _ in stream:
            break
        await stream.aclose()
        log.append("left")

    return outer


def test_control_a_traced_async_stream_is_closed_late_and_an_early_exit_is_an_error(
    recording: LangSmithRecording,
) -> None:
    log: list[Any] = []
    run(_left_early(log))
    assert log == ["left", "finally"]
    assert errors(recording) == ["acount"]


def test_a_traced_async_stream_is_closed_at_once_and_an_early_exit_is_no_error(
    recording: LangSmithRecording, installed: object
) -> None:
    log: list[Any] = []
    run(_left_early(log))
    assert log == ["finally", "left"]
    assert tree(recording) == "outer(acount(inner inner))"
    assert errors(recording) == unfinished(recording) == []


def test_a_traced_async_stream_that_is_dropped_is_closed_in_its_run(
    recording: LangSmithRecording, installed: object
) -> None:
    log: list[Any] = []

    async def outer() -> None:
        async for _ in traced(acount)(log):
            break
        while not log:
            await asyncio.sleep(0)  # the loop closes it in a task

    run(outer)
    assert tree(recording) == "outer(acount(inner inner))"
    assert errors(recording) == []


def test_a_traced_stream_that_is_dropped_is_closed_in_its_run(
    recording: LangSmithRecording, installed: object
) -> None:
    log: list[Any] = []

    def outer() -> None:
        for _ in traced(count)(log):
            break
        gc.collect()

    traced(outer)()
    assert log == ["finally"]
    assert tree(recording) == "outer(count(inner inner))"
    assert errors(recording) == unfinished(recording) == []


def test_an_early_exit_of_a_stream_that_was_decorated_before_is_no_error(
    recording: LangSmithRecording,
) -> None:
    async def outer() -> None:
        stream = decorated([])
        await stream.__anext__()
        await stream.aclose()

    decorated = traced(acount)
    with ctxtrace.install():
        run(outer)
    assert errors(recording) == []


def test_a_cancelled_traced_stream_ends_its_run(
    recording: LangSmithRecording, installed: object
) -> None:
    async def waits() -> Any:
        inner()
        await asyncio.Event().wait()
        yield

    async def outer() -> None:
        async def consume() -> None:
            async for _ in traced(waits)():
                pass

        task = asyncio.create_task(consume())
        while "inner" not in tree(recording):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(outer)
    assert tree(recording) == "outer(waits(inner))"
    assert unfinished(recording) == []


# In the caller's own task.


async def three() -> Any:
    for number in range(3):
        await anyio.sleep(0)
        inner()
        yield number


async def holds_a_scope() -> Any:
    with anyio.fail_after(60):
        async for number in three():
            yield number


def _scoped(decorated: Any) -> Any:
    async def outer() -> list[int]:
        return [number async for number in decorated()]

    return outer


if sys.version_info >= (3, 11):

    def test_control_a_scope_held_over_a_yield_of_a_traced_stream_is_left_in_another_task(
        recording: LangSmithRecording,
    ) -> None:
        with pytest.raises(RuntimeError, match="cancel scope"):
            run(_scoped(traced(holds_a_scope)))

    def test_a_timeout_held_over_a_yield_of_a_traced_stream_fires(
        recording: LangSmithRecording, installed: object
    ) -> None:
        async def holds_a_timeout() -> Any:
            async with asyncio.timeout(None) as timeout:
                yield timeout
                timeout.reschedule(asyncio.get_running_loop().time())
                await asyncio.Event().wait()

        with pytest.raises(TimeoutError):
            run(_scoped(traced(holds_a_timeout)))


@pytest.mark.parametrize("when", ["after install()", "before install()"])
def test_a_scope_may_be_held_over_a_yield_of_a_traced_stream(
    recording: LangSmithRecording, when: str
) -> None:
    before = traced(holds_a_scope)
    with ctxtrace.install():
        decorated = before if when.startswith("before") else traced(holds_a_scope)
        assert run(_scoped(decorated)) == [0, 1, 2]
    assert tree(recording) == "outer(holds_a_scope(inner inner inner))"


def test_traced_functions_run_in_their_callers_task(
    recording: LangSmithRecording, installed: object
) -> None:
    async def current() -> Any:
        await asyncio.sleep(0)
        return asyncio.current_task()

    async def stream() -> Any:
        yield await current()

    async def outer() -> None:
        mine = asyncio.current_task()
        assert await traced(current)() is mine
        assert [task async for task in traced(stream)()] == [mine]

    run(outer)


def _on_trio(recording: LangSmithRecording, stream: Callable[[], AsyncIterator[Any]]) -> list[Any]:
    async def outer() -> list[Any]:
        with anyio.move_on_after(60):
            found = [number async for number in stream()]
            await traced(anyio.sleep, name="call")(0)
        return found

    return anyio.run(traced(outer), backend="trio")


def test_control_traced_coroutines_do_not_run_on_trio(recording: LangSmithRecording) -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        _on_trio(recording, traced(holds_a_scope))


def test_traced_coroutines_and_streams_run_on_trio(
    recording: LangSmithRecording, installed: object
) -> None:
    assert _on_trio(recording, traced(holds_a_scope)) == [0, 1, 2]
    assert tree(recording) == "outer(call holds_a_scope(inner inner inner))"


def test_a_traced_coroutine_that_fails_on_trio_ends_its_run(
    recording: LangSmithRecording, installed: object
) -> None:
    async def fails() -> None:
        raise Thrown

    with pytest.raises(Thrown):
        anyio.run(traced(fails), backend="trio")
    assert errors(recording) == ["fails"]


# Where a stream's run has its parent.


@pytest.fixture(params=["count", "acount"])
def stream(request: pytest.FixtureRequest) -> Callable[[], Any]:
    def called() -> Any:
        return traced(three_in_one if request.param == "count" else three)()

    return called


def three_in_one() -> Any:
    for number in range(3):
        inner()
        yield number


def drain(stream: Any) -> None:
    async def consume() -> None:
        async for _ in stream:
            pass

    if hasattr(stream, "__anext__"):
        asyncio.run(consume())
    else:
        list(stream)


def test_a_stream_returned_by_a_run_and_consumed_outside_of_any_belongs_to_it(
    recording: LangSmithRecording, installed: object, stream: Callable[[], Any]
) -> None:
    def outer() -> list[Any]:
        return [stream()]  # in a list: LangSmith would look into it

    drain(traced(outer)()[0])
    assert tree(recording).startswith("outer(three")


def test_control_a_stream_returned_by_a_run_is_a_trace_of_its_own(
    recording: LangSmithRecording, stream: Callable[[], Any]
) -> None:
    def outer() -> list[Any]:
        return [stream()]

    drain(traced(outer)()[0])
    assert tree(recording).startswith("outer three")


WITH_AND_WITHOUT = pytest.mark.parametrize("with_install", [True, False])


@WITH_AND_WITHOUT
@pytest.mark.parametrize("called_in", ["no run", "another run"])
def test_a_stream_belongs_to_the_run_that_takes_its_first_step(
    recording: LangSmithRecording, stream: Callable[[], Any], with_install: bool, called_in: str
) -> None:
    with ctxtrace.install() if with_install else contextlib.nullcontext():
        call = stream
        if called_in == "another run":
            call = traced(lambda: [stream()], name="caller")
        called = call()
        called = called[0] if isinstance(called, list) else called
        traced(lambda: drain(called), name="outer")()
    assert "outer(three" in tree(recording)


@WITH_AND_WITHOUT
def test_a_stream_that_is_consumed_where_nothing_is_to_be_traced_is_not_traced(
    recording: LangSmithRecording, stream: Callable[[], Any], with_install: bool
) -> None:
    with ctxtrace.install() if with_install else contextlib.nullcontext():
        (called,) = traced(lambda: [stream()], name="outer")()
        with run_helpers.tracing_context(enabled=False):
            drain(called)
    assert tree(recording) == "outer"


def test_a_traced_stream_inside_of_a_traced_stream_belongs_to_it(
    recording: LangSmithRecording, installed: object
) -> None:
    async def around() -> Any:
        async for number in traced(three)():
            yield number

    async def outer() -> list[int]:
        return [number async for number in traced(around)()]

    assert run(outer) == [0, 1, 2]
    assert tree(recording) == "outer(around(three(inner inner inner)))"


def test_a_function_that_is_traced_twice_has_two_runs_one_in_the_other(
    recording: LangSmithRecording, installed: object
) -> None:
    async def outer() -> None:
        async for _ in traced(traced(three, name="below"), name="above")():
            pass

    run(outer)
    assert tree(recording) == "outer(above(below(inner inner inner)))"


# What LangSmith's decorator does besides.


def _sent(stream: Any, **options: Any) -> list[dict[str, Any]]:
    """Consume a traced stream, and return what LangSmith was told of its run."""
    ended = []
    options["langsmith_extra"] = {"on_end": ended.append}

    async def consume() -> None:
        async for _ in stream(**options):
            pass

    if hasattr(stream(), "__anext__"):
        asyncio.run(consume())
    else:
        list(stream(**options))
    (run,) = ended
    return [run.outputs, *(event["kwargs"]["token"] for event in run.events or ())]


@pytest.fixture(params=[three, three_in_one], ids=["async", "sync"])
def function(request: pytest.FixtureRequest) -> Any:
    return request.param


def _told(function: Any) -> list[Any]:
    """Everything that LangSmith is told of streams with this and that option."""
    return [
        _sent(traced(function)),
        _sent(traced(function, run_type="llm")),
        _sent(traced(function, reduce_fn=sum)),
        _sent(traced(function, process_chunk=str)),
        _sent(traced(function, run_type="llm", process_chunk=str, process_outputs=repr)),
    ]


def test_a_traced_stream_is_told_of_as_it_is_without(
    recording: LangSmithRecording, function: Any
) -> None:
    without = _told(function)
    with ctxtrace.install():
        assert _told(function) == without
    assert without[1] == [{"output": [0, 1, 2]}, 0]


@pytest.mark.parametrize("function", [count, acount], ids=["sync", "async"])
def test_what_process_chunk_raises_ends_the_stream_and_closes_the_function(
    recording: LangSmithRecording, installed: object, function: Any
) -> None:
    def refuse(_: object) -> None:
        raise Thrown

    log: list[Any] = []
    with pytest.raises(Thrown):
        drain(traced(function, process_chunk=refuse)(log))
    assert log == ["finally"]
    assert errors(recording) == [function.__name__]
    assert tree(recording) == f"{function.__name__}(inner inner)"


class Chunk:
    pass


async def one_chunk() -> Any:
    yield Chunk()


def one_chunk_too() -> Any:
    yield Chunk()


@pytest.mark.parametrize("function", [one_chunk, one_chunk_too], ids=["async", "sync"])
def test_a_stream_leaves_no_cycle_behind(recording: LangSmithRecording, function: Any) -> None:
    def left_behind() -> int:
        chunks: list[Any] = []
        keep = {"process_chunk": lambda chunk: chunks.append(weakref.ref(chunk)) or chunk}
        with without_garbage_collection():
            drain(traced(function, run_type="llm", **keep)())
            return sum(chunk() is not None for chunk in chunks)

    without = left_behind()
    with ctxtrace.install():
        assert left_behind() == without
    if LANGSMITH_IS_WEAK:
        assert without == 0


def test_what_an_async_generator_function_gives_need_not_be_a_native_generator(
    recording: LangSmithRecording, installed: object
) -> None:
    class Numbers:
        def __init__(self) -> None:
            self.left = [2, 1]

        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> int:
            if not self.left:
                raise StopAsyncIteration
            inner()
            return self.left.pop()

    @wrapt.decorator
    def instrumented(wrapped: Any, instance: object, args: Any, kwargs: Any) -> Any:
        return Numbers()

    async def outer() -> list[int]:
        return [number async for number in traced(instrumented(three))()]

    assert run(outer) == [1, 2]
    assert tree(recording) == "outer(three(inner inner))"


def test_a_function_that_is_no_stream_fails_with_generator_exit_as_with_any_error(
    recording: LangSmithRecording, installed: object
) -> None:
    def fails() -> None:
        raise GeneratorExit

    with pytest.raises(GeneratorExit):
        traced(fails)()
    assert errors(recording) == ["fails"]


def test_an_error_of_the_function_is_its_runs_and_passes_unchanged(
    recording: LangSmithRecording, installed: object
) -> None:
    error = Thrown("on purpose")

    async def fails() -> Any:
        yield 1
        raise error

    def fails_too() -> Any:
        yield 1
        raise error

    for function in (fails, fails_too):
        with pytest.raises(Thrown) as raised:
            drain(traced(function)())
        assert raised.value is error
    assert errors(recording) == ["fails", "fails_too"]


def test_a_traced_function_keeps_its_kind_and_what_langsmith_says_of_it(
    recording: LangSmithRecording, function: Any
) -> None:
    with ctxtrace.install():
        decorated = traced(function)
    assert inspect.isasyncgenfunction(decorated) == inspect.isasyncgenfunction(function)
    assert decorated.__name__ == function.__name__
    assert run_helpers.is_traceable_function(decorated)
    assert inspect.signature(decorated) == inspect.signature(traced(function))
    assert inspect.unwrap(decorated) is function


def test_a_traced_method_is_bound(recording: LangSmithRecording, installed: object) -> None:
    class Service:
        @run_helpers.traceable
        async def stream(self, count: int) -> Any:
            for number in range(count):
                yield self, number

    service = Service()

    async def outer() -> list[Any]:
        return [item async for item in service.stream(2)]

    assert run(outer) == [(service, 0), (service, 1)]


def test_a_stream_may_ask_for_its_run(recording: LangSmithRecording, installed: object) -> None:
    def names(run_tree: Any) -> Any:
        yield run_tree.name

    assert list(traced(names)()) == ["names"]


@pytest.mark.parametrize(
    "decorate",
    [langsmith.traceable, langsmith.traceable("tool"), langsmith.traceable(name="named")],
    ids=["bare", "type", "name"],
)
def test_streams_decorated_before_install_work_as_before(
    recording: LangSmithRecording, installed: object, decorate: Any
) -> None:
    drain(decorate(three)())
    assert tree(recording).endswith("(inner inner inner)")


# Undoing.


def test_a_stream_under_way_ends_as_it_began(recording: LangSmithRecording) -> None:
    log: list[Any] = []

    async def outer() -> None:
        with ctxtrace.install():
            stream = traced(acount)(log)
            await stream.__anext__()
        await stream.asend("sent")
        await stream.aclose()

    run(outer)
    assert log == ["sent", "finally"]
    assert tree(recording) == "outer(acount(inner inner inner))"
    assert unfinished(recording) == []


def test_a_stream_decorated_before_install_that_is_under_way_ends_as_it_began(
    recording: LangSmithRecording,
) -> None:
    decorated = traced(three)

    async def outer() -> list[int]:
        with ctxtrace.install():
            stream = decorated()
            first = await stream.__anext__()
        return [first, *[number async for number in stream]]

    assert run(outer) == [0, 1, 2]
    assert tree(recording) == "outer(three(inner inner inner))"


def test_a_traceable_that_was_imported_under_an_earlier_install_drives_under_a_later_one(
    recording: LangSmithRecording,
) -> None:
    with ctxtrace.install():
        traceable = run_helpers.traceable
    log: list[Any] = []
    with ctxtrace.install():
        stream = traceable(count)(log)
        next(stream)
        stream.send("sent")
        stream.close()
    assert log == ["sent", "finally"]


def test_install_may_begin_in_a_recording_and_outlast_it() -> None:
    with record("langsmith"):
        installation = ctxtrace.install()
    try:
        assert anyio.run(traced(calls_itself), 0, backend="trio") == 0
    finally:
        installation.uninstall()
    with record("langsmith") as recording:
        asyncio.run(traced(calls_itself)(0))
    assert tree(recording) == "calls_itself"


def test_a_function_decorated_under_install_is_langsmiths_after_it(
    recording: LangSmithRecording,
) -> None:
    with ctxtrace.install():
        decorated = traced(acount)
    log: list[Any] = []

    async def outer() -> None:
        stream = decorated(log)
        await stream.asend(None)
        await stream.asend("sent")
        await stream.aclose()

    run(outer)
    assert log[0] is None
    with ctxtrace.install():
        log.clear()
        run(outer)
    assert log == ["sent", "finally"]


def test_each_of_langsmiths_names_is_back_after_uninstall() -> None:
    from langsmith._internal import _aiter

    names = ["asyncio", "traceable", "_process_iterator", "_process_async_iterator"]
    before = [*(vars(run_helpers)[name] for name in names), _aiter.aio_to_thread]
    with ctxtrace.install() as installation:
        sites = [site for site in installation.sites if site.name == "langsmith_steps"]
        assert {site.state for site in sites} == {"patched"}
        during = [*(vars(run_helpers)[name] for name in names), _aiter.aio_to_thread]
        assert all(a is not b for a, b in zip(before, during))
    after = [*(vars(run_helpers)[name] for name in names), _aiter.aio_to_thread]
    assert all(a is b for a, b in zip(before, after))


# What is driven in place stands on its caller's stack.


async def calls_itself(depth: int) -> int:
    if depth == 0:
        return 0
    return 1 + await run_helpers.traceable(calls_itself)(depth - 1)


@WITH_AND_WITHOUT
def test_a_traced_coroutine_may_call_itself_as_deep_as_it_may_without(
    recording: LangSmithRecording, with_install: bool
) -> None:
    with ctxtrace.install() if with_install else contextlib.nullcontext():
        assert asyncio.run(calls_itself(300)) == 300


def test_a_traced_coroutine_that_is_too_deep_for_the_stack_stays_on_trio(
    recording: LangSmithRecording, installed: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_in_place, "too_deep", lambda: True)
    assert anyio.run(calls_itself, 3, backend="trio") == 3


async def walks(depth: int) -> Any:
    yield depth
    if depth:
        async for below in run_helpers.traceable(walks)(depth - 1):
            yield below


def test_a_traced_stream_may_walk_a_deep_tree(
    recording: LangSmithRecording, installed: object
) -> None:
    async def main() -> int:
        return len([depth async for depth in walks(200)])

    assert asyncio.run(main()) == 201


# What is driven in place leaves the loop its turns.


@pytest.mark.parametrize("when", ["after install()", "before install()"])
def test_a_stream_that_never_waits_leaves_other_tasks_their_turn(
    recording: LangSmithRecording, when: str
) -> None:
    async def endless() -> Any:
        while True:
            yield 1

    async def outer() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(sets(stop))
        stream = decorated()
        async for _ in stream:
            if stop.is_set():
                break
        await stream.aclose()
        await task

    async def sets(stop: asyncio.Event) -> None:
        stop.set()

    before = traced(endless)
    with ctxtrace.install():
        decorated = before if when.startswith("before") else traced(endless)
        run(outer)
    assert tree(recording) == "outer(endless)"


async def catches() -> Any:
    try:
        yield 1
    except asyncio.CancelledError:
        yield 2


def test_a_step_that_is_cancelled_in_the_loops_turn_is_cancelled_in_the_function(
    recording: LangSmithRecording, installed: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def outer() -> int:
        stream = traced(catches)()
        await stream.__anext__()
        monkeypatch.setattr(_in_place, "_TURN_EVERY", 1)
        step = asyncio.create_task(step_of(stream))
        await asyncio.sleep(0)  # it has begun, and given the loop its turn
        step.cancel()
        second = await step
        await stream.aclose()
        return second

    async def step_of(stream: Any) -> int:
        return await stream.__anext__()

    assert run(outer) == 2
