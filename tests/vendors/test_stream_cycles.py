"""Streams in reference cycles, which the garbage collector closes.

It clears the weak references to what dies before it closes generators, and it closes each
generator of a group by itself. LangSmith's context holds the current run weakly.
"""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest
from vendors.tracers import LangSmith, OpenTelemetry, OwnVariable

from ctxtrace import streaming, traced_stream
from ctxtrace.testing import record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

pytestmark = pytest.mark.usefixtures("no_gc")

every_tracer = pytest.mark.parametrize("kind", [LangSmith, OpenTelemetry, OwnVariable])
WHOLE = [("request", [("close", [])])]
SPLIT = [("close", []), ("request", [])]


def nothing() -> None:
    pass


def in_a_cycle(stream: Any) -> None:
    cycle = [stream]
    cycle.append(cycle)


def bodies(tracer: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    def body() -> Iterator[int]:
        try:
            yield 1
        finally:
            tracer.call("close", nothing)

    async def async_body() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            tracer.call("close", nothing)

    return body, async_body


def served(tracer: Any, body: Callable[[], Any]) -> list[Any]:
    def request() -> None:
        box: list[Any] = []
        tracer.call("request", lambda: box.append(body()))
        stream = box.pop()  # a run may keep the function that it was opened for
        next(stream)
        in_a_cycle(stream)

    with tracer.recording():
        request()
        gc.collect()
        return tracer.shape()


def async_served(tracer: Any, body: Callable[[], Any]) -> list[Any]:
    async def request() -> None:
        box: list[Any] = []
        tracer.call("request", lambda: box.append(body()))
        stream = box.pop()
        await stream.__anext__()
        in_a_cycle(stream)

    async def main() -> None:
        await asyncio.ensure_future(request())
        gc.collect()
        for _ in range(10):  # the loop closes what was collected, in a task of its own
            await asyncio.sleep(0)

    with tracer.recording():
        asyncio.run(main())
        return tracer.shape()


@every_tracer
def test_control_a_generator_collected_in_a_cycle_splits(kind: Any) -> None:
    tracer = kind()
    assert sorted(served(tracer, bodies(tracer)[0])) == SPLIT


@every_tracer
def test_a_stream_collected_in_a_cycle_is_closed_in_its_trace(kind: Any) -> None:
    tracer = kind()
    assert served(tracer, streaming(bodies(tracer)[0])) == WHOLE


@every_tracer
def test_a_stream_of_a_function_that_returns_a_generator_is_closed_in_its_trace(kind: Any) -> None:
    tracer = kind()
    body = bodies(tracer)[0]
    assert served(tracer, streaming(lambda: body())) == WHOLE


@every_tracer
def test_an_async_stream_collected_in_a_cycle_is_closed_in_its_trace(kind: Any) -> None:
    tracer = kind()
    assert async_served(tracer, streaming(bodies(tracer)[1])) == WHOLE


def test_what_closing_a_traced_stream_starts_belongs_to_its_run() -> None:
    tracer = LangSmith()
    stream = traced_stream(name="stream")(bodies(tracer)[0])
    assert served(tracer, stream) == [("request", [("stream", [("close", [])])])]


def test_what_closing_an_async_traced_stream_starts_belongs_to_its_run() -> None:
    tracer = LangSmith()
    stream = traced_stream(name="stream")(bodies(tracer)[1])
    assert async_served(tracer, stream) == [("request", [("stream", [("close", [])])])]


def test_a_traced_stream_collected_in_a_cycle_ends_its_run() -> None:
    with record("langsmith") as recording:
        stream = traced_stream(name="stream")(bodies(LangSmith())[0])()
        next(stream)
        in_a_cycle(stream)
        del stream
        gc.collect()
    (root,) = recording.forest().roots
    assert root.name == "stream"
    assert root.ended
