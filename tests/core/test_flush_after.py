"""`flush_after` and `flush_lifespan`: sent before the answer is gone."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import inspect
import pickle
import types
from typing import TYPE_CHECKING, Any

import pytest
from core.senders import Hanging, Sender, registered
from core.support import Boom, caught

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator


@pytest.fixture
def sender() -> Iterator[Sender]:
    sender = Sender()
    with registered(sender):
        yield sender


@ctxtrace.flush_after
def plain(event: Any, context: Any = None) -> Any:
    """Answer."""
    if isinstance(event, Exception):
        raise event
    return event


@ctxtrace.flush_after(timeout=3)
async def asynchronous(event: Any, context: Any = None) -> Any:
    await asyncio.sleep(0)
    if isinstance(event, Exception):
        raise event
    return event


@ctxtrace.flush_after()
def streaming(*events: Any) -> Generator[Any, Any, str]:
    for event in events:
        if isinstance(event, Exception):
            raise event
        yield event
    return "returned"


@ctxtrace.flush_after
async def streaming_async(*events: Any) -> AsyncGenerator[Any, Any]:
    for event in events:
        await asyncio.sleep(0)
        if isinstance(event, Exception):
            raise event
        yield event


async def read(stream: Any) -> list[Any]:
    return [chunk async for chunk in stream]


def test_a_handler_stays_what_it_is() -> None:
    assert inspect.iscoroutinefunction(asynchronous)
    assert inspect.isgeneratorfunction(streaming)
    assert inspect.isasyncgenfunction(streaming_async)
    assert not inspect.iscoroutinefunction(plain)
    assert (plain.__name__, plain.__doc__) == ("plain", "Answer.")
    assert list(inspect.signature(plain).parameters) == ["event", "context"]
    assert copy.copy(plain) is plain
    assert pickle.loads(pickle.dumps(plain)) is plain
    assert inspect.isgenerator(streaming())
    assert inspect.isasyncgen(streaming_async())


def test_a_function_is_flushed_after(sender: Sender) -> None:
    assert plain("answer") == "answer"
    assert sender.asked == ["flush"]


async def test_a_coroutine_function_is_flushed_after(sender: Sender) -> None:
    coroutine = asynchronous("answer")
    assert coroutine.__name__ == "asynchronous"
    assert sender.asked == []
    assert await coroutine == "answer"
    assert sender.asked == ["flush"]


def test_a_generator_is_flushed_after_its_last_chunk(sender: Sender) -> None:
    stream = streaming(1, 2)
    assert [next(stream), next(stream), sender.asked] == [1, 2, []]
    assert caught(next, stream).args == ("returned",)
    assert sender.asked == ["flush"]


async def test_an_async_generator_is_flushed_after_its_last_chunk(sender: Sender) -> None:
    stream = streaming_async(1, 2)
    assert [await stream.__anext__(), await stream.__anext__(), sender.asked] == [1, 2, []]
    assert await read(stream) == []
    assert sender.asked == ["flush"]


async def test_what_it_raises_comes_after_a_flush_and_without_our_frames(sender: Sender) -> None:
    calls = (
        lambda: plain(Boom()),
        lambda: list(streaming(Boom())),
        lambda: next(streaming(Boom())),
    )
    for count, call in enumerate(calls, 1):
        error = caught(call)
        assert isinstance(error, Boom)
        assert len(sender.asked) == count
    for count, awaitable in enumerate((asynchronous(Boom()), read(streaming_async(Boom()))), 4):
        with pytest.raises(Boom):
            await awaitable
        assert len(sender.asked) == count


def test_a_wrong_call_is_an_error_of_the_call(sender: Sender) -> None:
    with pytest.raises(TypeError, match=r"plain\(\) missing 1 required positional argument"):
        plain()  # type: ignore[call-arg]


def test_a_stream_that_is_closed_or_dropped_is_flushed_after(sender: Sender) -> None:
    closed, dropped = streaming(1, 2), streaming(1, 2)
    next(closed), next(dropped)
    closed.close()
    assert sender.asked == ["flush"]
    del dropped
    gc.collect()
    assert sender.asked == ["flush", "flush"]


def test_what_is_closed_where_no_loop_runs_is_flushed_and_raises_nothing(sender: Sender) -> None:
    @types.coroutine
    def stop() -> Generator[None, None, None]:
        yield

    @ctxtrace.flush_after
    async def handler() -> None:
        await stop()

    @ctxtrace.flush_after
    async def stream() -> AsyncGenerator[int, None]:
        yield 1
        await stop()

    coroutine, closing = handler(), stream()
    coroutine.send(None)
    coroutine.close()
    with contextlib.suppress(StopIteration):
        closing.__anext__().send(None)
    ended = closing.aclose()
    with contextlib.suppress(StopIteration):
        ended.send(None)
    assert ctxtrace.flush().ok  # after those that were begun and not waited for
    assert len(sender.asked) >= 2


async def test_an_async_stream_that_is_closed_or_dropped_is_flushed_after(sender: Sender) -> None:
    closed, dropped = streaming_async(1, 2), streaming_async(1, 2)
    await closed.__anext__()
    await dropped.__anext__()
    await closed.aclose()
    assert sender.asked == ["flush"]
    del dropped
    gc.collect()
    while len(sender.asked) < 2:  # the loop closes it in a task
        await asyncio.sleep(0)


def test_values_and_exceptions_reach_the_handler(sender: Sender) -> None:
    @ctxtrace.flush_after
    def echo() -> Generator[Any, Any, None]:
        answer: Any = "first"
        while True:
            try:
                answer = yield answer
            except Boom:
                answer = "caught"

    stream = echo()
    assert [next(stream), stream.send("sent"), stream.throw(Boom())] == ["first", "sent", "caught"]
    assert sender.asked == []
    stream.close()
    assert sender.asked == ["flush"]


async def test_values_and_exceptions_reach_an_async_handler(sender: Sender) -> None:
    @ctxtrace.flush_after
    async def echo() -> AsyncGenerator[Any, Any]:
        answer: Any = "first"
        while True:
            try:
                answer = yield answer
            except Boom:
                answer = "caught"

    stream = echo()
    first = await stream.__anext__()
    assert [first, await stream.asend("sent"), await stream.athrow(Boom())] == [
        "first",
        "sent",
        "caught",
    ]
    assert sender.asked == []
    await stream.aclose()
    assert sender.asked == ["flush"]


async def test_what_a_function_returns_may_be_of_another_kind(sender: Sender) -> None:
    @ctxtrace.flush_after
    def hand_on(thing: Any) -> Any:
        return thing

    async def later() -> str:
        return "later"

    awaited = hand_on(later())
    streams = hand_on(iter_of(1)), hand_on(aiter_of(1))
    assert sender.asked == []
    assert await awaited == "later"
    assert sender.asked == ["flush"]
    assert (list(streams[0]), await read(streams[1])) == ([1], [1])
    assert sender.asked == ["flush"] * 3


def iter_of(thing: Any) -> Generator[Any, None, None]:
    yield thing


async def aiter_of(thing: Any) -> AsyncGenerator[Any, None]:
    yield thing


def test_a_method_is_flushed_after(sender: Sender) -> None:
    class Handler:
        name = "instance"

        @ctxtrace.flush_after
        def handle(self, event: Any) -> Any:
            return self.name, event

        @ctxtrace.flush_after
        @classmethod
        def of_the_class(cls, event: Any) -> Any:
            return cls.name, event

        @staticmethod
        @ctxtrace.flush_after
        def of_nobody(event: Any) -> Any:
            return event

    assert Handler().handle(1) == ("instance", 1)
    assert Handler.of_the_class(2) == ("instance", 2)
    assert Handler.of_nobody(3) == 3
    assert sender.asked == ["flush"] * 3


# How long.


class Platform:
    """What AWS Lambda gives a handler."""

    def __init__(self, milliseconds: Any) -> None:
        self._milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> Any:
        if isinstance(self._milliseconds, Exception):
            raise self._milliseconds
        return self._milliseconds


def time_given(sender: Sender) -> float:
    timeout, _, _ = sender.seen.pop()
    return float(timeout)


def test_it_takes_no_more_than_the_time_that_is_left(sender: Sender) -> None:
    plain("answer", Platform(2250))
    assert 1 < time_given(sender) <= 2
    plain("answer", context=Platform(2250))
    assert 1 < time_given(sender) <= 2
    plain("answer", Platform(60_000))
    assert 9 < time_given(sender) <= 10


async def test_an_async_handler_takes_no_more_either(sender: Sender) -> None:
    await asynchronous("answer", Platform(2250))
    assert 1 < time_given(sender) <= 2
    await asynchronous("answer", Platform(60_000))
    assert 2 < time_given(sender) <= 3
    await read(streaming_async(Platform(2250)))
    assert 1 < time_given(sender) <= 2


def test_with_no_time_left_it_asks_and_does_not_wait() -> None:
    hanging = Hanging()
    with registered(hanging):
        assert plain("answer", Platform(0)) == "answer"
        assert hanging.has_begun()


@pytest.mark.parametrize("says", [Boom(), None, "soon", object()])
def test_a_platform_that_does_not_know_is_not_asked_further(sender: Sender, says: object) -> None:
    assert plain("answer", Platform(says)) == "answer"
    assert 9 < time_given(sender) <= 10


# Bad input.


def test_what_cannot_be_called_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"takes a function, and got an object of type 'float'.*@"):
        ctxtrace.flush_after(3.0)  # type: ignore[type-var]


# For web applications.


async def test_a_lifespan_is_flushed_when_it_ends(sender: Sender) -> None:
    async with ctxtrace.flush_lifespan()("the application") as state:
        assert (state, sender.asked) == (None, [])
    assert sender.asked == ["flush"]


async def test_a_lifespan_of_the_program_ends_before_and_gives_its_state(sender: Sender) -> None:
    seen: list[Any] = []

    async def lifespan(app: Any) -> AsyncGenerator[Any, None]:
        seen.append(app)
        yield {"pool": 1}
        seen.append(list(sender.asked))

    for inner in (lifespan, contextlib.asynccontextmanager(lifespan)):
        async with ctxtrace.flush_lifespan(inner)("the application") as state:
            assert state == {"pool": 1}
        assert seen == ["the application", []]
        assert sender.asked == ["flush"]
        seen.clear()
        sender.asked.clear()


async def test_a_lifespan_that_fails_is_flushed_and_fails(sender: Sender) -> None:
    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncGenerator[Any, None]:
        raise Boom
        yield

    with pytest.raises(Boom):
        async with ctxtrace.flush_lifespan(lifespan)(None):
            pass
    assert sender.asked == ["flush"]


async def test_a_lifespan_does_not_wait_for_what_hangs() -> None:
    hanging = Hanging()
    with registered(hanging):
        async with ctxtrace.flush_lifespan(timeout=0.05)(None):
            pass
        assert hanging.has_begun()


def test_a_lifespan_that_cannot_be_called_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"takes a lifespan.*type 'dict'"):
        ctxtrace.flush_lifespan({})  # type: ignore[arg-type]
