"""Streams that start a child wherever a stream can, and every way in which they end.

Each way takes a function that makes the stream, so that it can hold the only reference. Where
the steps are taken is a parameter too: it is a function that calls another one there.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import anyio
from vendors.crossings import LIMIT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    Make = Callable[[], Any]


def bare(function: Any) -> Any:
    return function


def nothing(*_: Any) -> None:
    pass


def children(*names: str) -> list[Any]:
    """The shape of runs that have none below them, in the order of shapes."""
    return [(name, []) for name in sorted(names)]


ALL = ("first", "between", "last", "finally")
EARLY = ("first", "finally")


def body_of(tracer: Any) -> Callable[[], Iterator[int]]:
    """A generator function with a child before, between and after its items, and at the end."""

    def body() -> Iterator[int]:
        try:
            tracer.call("first", nothing)
            yield 1
            tracer.call("between", nothing)
            yield 2
            tracer.call("last", nothing)
        finally:
            tracer.call("finally", nothing)

    return body


def async_body_of(
    tracer: Any, closed: Callable[[], Any] = nothing
) -> Callable[[], AsyncIterator[int]]:
    """The same, which has to wait in each place; says at the very end that it is `closed`."""

    async def body() -> AsyncIterator[int]:
        try:
            await anyio.sleep(0)
            tracer.call("first", nothing)
            yield 1
            await anyio.sleep(0)
            tracer.call("between", nothing)
            yield 2
            await anyio.sleep(0)
            tracer.call("last", nothing)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0)
            tracer.call("finally", nothing)
            closed()

    return body


def called_in_outer(tracer: Any, stream: Make) -> Make:
    """Call a stream's function inside a run that has returned when the first step is taken.

    The stream is not what the run returned: that would be in the run's outputs.
    """

    def make() -> Any:
        made: list[Any] = []
        tracer.call("outer", lambda: made.append(stream()))
        gc.collect()
        return made.pop()

    return make


def returned_by_outer(tracer: Any, stream: Make) -> Make:
    """The same, where the run has the stream for its output, and so keeps it, if it can."""

    def make() -> Any:
        return tracer.call("outer", lambda: stream())

    return make


# Where steps are taken.


def here(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


def in_another_context(function: Callable[..., Any], *args: Any) -> Any:
    return copy_context().run(function, *args)


def in_a_new_thread(function: Callable[..., Any], *args: Any) -> Any:
    results: list[Any] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(function(*args))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(LIMIT)
    if errors:
        raise errors.pop()
    return results.pop()


PLACES = [here, in_another_context, in_a_new_thread]


# How a stream ends. Each gives the children that it then has.


def exhausted(make: Make, step: Callable[..., Any]) -> tuple[str, ...]:
    stream = make()
    assert [step(next, stream), step(next, stream), step(next, stream, None)] == [1, 2, None]
    return ALL


def closed_early(make: Make, step: Callable[..., Any]) -> tuple[str, ...]:
    stream = make()
    assert step(next, stream) == 1
    step(stream.close)
    return EARLY


def left_by_break(make: Make, step: Callable[..., Any]) -> tuple[str, ...]:
    def consume() -> None:
        for _ in make():
            break

    step(consume)
    return EARLY


def dropped(make: Make, step: Callable[..., Any]) -> tuple[str, ...]:
    kept = [make()]
    assert step(next, kept[0]) == 1
    step(kept.clear)
    return EARLY


def collected(make: Make, step: Callable[..., Any]) -> tuple[str, ...]:
    cycle = [make()]
    assert step(next, cycle[0]) == 1
    cycle.append(cycle)  # type: ignore[arg-type]
    del cycle
    step(gc.collect)
    return EARLY


def failed(make: Make, step: Callable[..., Any]) -> tuple[str, ...]:
    stream = make()
    assert step(next, stream) == 1
    try:
        step(stream.throw, KeyError("on purpose"))
    except KeyError:
        return EARLY
    raise AssertionError("it went on")


ENDINGS = [exhausted, closed_early, left_by_break, dropped, failed]


# The same of async streams, on asyncio and on trio.


async def in_this_task(function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    return await function(*args)


async def in_a_new_task(function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    results: list[Any] = []

    async def work() -> None:
        results.append(await function(*args))

    async with anyio.create_task_group() as group:
        group.start_soon(work)
    return results.pop()


ASYNC_PLACES = [in_this_task, in_a_new_task]


async def anext_of(stream: Any, *default: Any) -> Any:
    try:
        return await stream.__anext__()
    except StopAsyncIteration:
        if not default:
            raise
        return default[0]


async def async_exhausted(make: Make, step: Callable[..., Any]) -> tuple[str, ...]:
    stream = make()
    assert [await step(anext_of, stream, None) for _ in range(3)] == [1, 2, None]
    return ALL


async def async_closed_early(make: Make, step: Callable[..., Any]) -> tuple[str, ...]:
    stream = make()
    assert await step(anext_of, stream) == 1
    await step(stream.aclose)
    return EARLY


async def async_failed(make: Make, step: Callable[..., Any]) -> tuple[str, ...]:
    stream = make()
    assert await step(anext_of, stream) == 1

    async def throw() -> None:
        try:
            await stream.athrow(KeyError("on purpose"))
        except KeyError:
            return
        raise AssertionError("it went on")

    await step(throw)
    return EARLY


async def async_cancelled(make: Make, step: Callable[..., Any]) -> tuple[str, ...]:
    stream = make()
    assert await step(anext_of, stream) == 1

    async def cancel() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anext_of(stream)

    await step(cancel)
    return EARLY


ASYNC_ENDINGS = [async_exhausted, async_closed_early, async_failed, async_cancelled]


# Async streams that the loop closes. Only asyncio does that while it runs; trio warns of it.


async def async_dropped(make: Make, closed: asyncio.Event) -> tuple[str, ...]:
    stream = make()
    assert await anext_of(stream) == 1
    del stream
    await asyncio.wait_for(closed.wait(), LIMIT)
    return EARLY


async def async_left_by_break(make: Make, closed: asyncio.Event) -> tuple[str, ...]:
    async for _ in make():
        break
    await asyncio.wait_for(closed.wait(), LIMIT)
    return EARLY


async def async_collected(make: Make, closed: asyncio.Event) -> tuple[str, ...]:
    cycle = [make()]
    assert await anext_of(cycle[0]) == 1
    cycle.append(cycle)  # type: ignore[arg-type]
    del cycle
    gc.collect()
    await asyncio.wait_for(closed.wait(), LIMIT)
    return EARLY


def run_and_let_the_loop_close(end: Any, tracer: Any, decorate: Any) -> tuple[str, ...]:
    async def main() -> tuple[str, ...]:
        closed = asyncio.Event()
        stream = decorate(async_body_of(tracer, closed.set))
        return await end(called_in_outer(tracer, stream), closed)

    return asyncio.run(main())


async def left_to_the_loop(make: Make, kept: list[Any]) -> tuple[str, ...]:
    """Leave a stream behind that is still held when the loop ends."""
    stream = make()
    kept.append(stream)
    assert await anext_of(stream) == 1
    return EARLY
