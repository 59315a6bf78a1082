"""What type checkers see. Never run: mypy and pyright read it, in the nox session "types".

Each expected mistake carries the code that mypy gives it. Both checkers report an ignore that
is not needed, so a mistake that stops being seen is seen here.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Callable

import anyio
import anyio.abc

import ctxtrace
from ctxtrace.testing import Forest, Node, Recording, Trace, record

if TYPE_CHECKING:
    from typing_extensions import assert_type


def plain(x: int, *, flag: bool = False) -> str:
    return str(x) if flag else ""


async def coroutine(x: int) -> str:
    return str(x)


def generator(x: int) -> Iterator[str]:
    yield str(x)


async def async_generator(x: int) -> AsyncIterator[str]:
    yield str(x)


class Service:
    def method(self, x: int) -> str:
        return str(x)

    async def async_method(self, x: int) -> str:
        return str(x)


snapshot = ctxtrace.capture()
assert_type(snapshot, ctxtrace.Snapshot)


# A wrapped function keeps its parameters and what it returns.


def wrap_keeps_a_function() -> None:
    for wrap in (ctxtrace.wrap, snapshot.wrap):
        assert_type(wrap(plain)(1, flag=True), str)
        assert_type(wrap(Service().method)(1), str)
        assert_type(wrap(partial(plain, flag=True))(1), str)
        assert_type(wrap(generator)(1), Iterator[str])
        assert_type(wrap(async_generator)(1), AsyncIterator[str])


async def wrap_keeps_a_coroutine_function() -> None:
    fits: Callable[[int], Coroutine[Any, Any, str]] = ctxtrace.wrap(coroutine)
    assert_type(await fits(1), str)
    assert_type(await ctxtrace.wrap(coroutine)(1), str)
    assert_type(await snapshot.wrap(coroutine)(1), str)
    assert_type(await snapshot.wrap(Service().async_method)(1), str)


def wrap_keeps_the_parameters() -> None:
    ctxtrace.wrap(plain)("1")  # type: ignore[arg-type]
    ctxtrace.wrap(plain)(1, other=2)  # type: ignore[call-arg]
    snapshot.wrap(plain)()  # type: ignore[call-arg]
    snapshot.wrap(generator)(1, 2)  # type: ignore[call-arg]


def wrap_takes_only_what_can_be_called() -> None:
    ctxtrace.wrap(42)  # type: ignore[arg-type]
    snapshot.wrap("name")  # type: ignore[arg-type]


def a_wrapped_function_fits_where_the_function_does() -> None:
    fits: Callable[[int], str] = ctxtrace.wrap(plain)
    misfits: Callable[[str], str] = ctxtrace.wrap(plain)  # type: ignore[arg-type]
    del fits, misfits


@ctxtrace.wrap
def decorated(x: int) -> str:
    return str(x)


assert_type(decorated(1), str)


# Calling through a snapshot.


async def run_returns_what_the_function_does() -> None:
    assert_type(snapshot.run(plain, 1, flag=True), str)
    assert_type(await snapshot.run(coroutine, 1), str)
    assert_type(snapshot.run(generator, 1), Iterator[str])


def run_checks_the_arguments() -> None:
    snapshot.run(plain, "1")  # type: ignore[arg-type]
    snapshot.run(plain)  # type: ignore[call-arg]


async def drive_returns_a_coroutine() -> None:
    driven: Coroutine[Any, Any, str] = snapshot.drive(coroutine(1))
    assert_type(await driven, str)
    assert_type(await snapshot.drive(coroutine(1)), str)
    assert_type(await snapshot.drive(asyncio.sleep(0, result=1)), int)
    await snapshot.drive(coroutine)  # type: ignore[arg-type]


def attach_is_a_context_manager() -> None:
    assert_type(snapshot.attach(), AbstractContextManager[None])
    with snapshot.attach() as nothing:
        assert_type(nothing, None)


def detached_is_a_context_manager_and_no_decorator() -> None:
    assert_type(ctxtrace.detached(), AbstractContextManager[None])
    with ctxtrace.detached() as nothing:
        assert_type(nothing, None)

    ctxtrace.detached(plain)  # type: ignore[arg-type]


# Pools and threads.


def a_pool_is_a_standard_pool() -> None:
    with ctxtrace.ThreadPoolExecutor(max_workers=2, thread_name_prefix="p") as pool:
        assert_type(pool, ctxtrace.ThreadPoolExecutor)
        standard: concurrent.futures.ThreadPoolExecutor = pool
        del standard
    ctxtrace.ThreadPoolExecutor(max_workers="2")  # type: ignore[call-overload]


def submit_returns_a_future_of_what_the_function_returns(
    pool: ctxtrace.ThreadPoolExecutor,
) -> None:
    assert_type(pool.submit(plain, 1, flag=True), concurrent.futures.Future[str])
    assert_type(pool.submit(plain, 1).result(), str)


def submit_checks_the_arguments(pool: ctxtrace.ThreadPoolExecutor) -> None:
    pool.submit(plain, "1")  # type: ignore[arg-type]
    pool.submit(plain, 1, other=2)  # type: ignore[call-arg]


def map_returns_an_iterator(pool: ctxtrace.ThreadPoolExecutor) -> None:
    assert_type(pool.map(plain, [1, 2]), Iterator[str])
    assert_type(pool.map(plain, [1, 2], timeout=1.0, buffersize=8), Iterator[str])


def a_wrapped_executor_is_an_executor(executor: concurrent.futures.Executor) -> None:
    wrapped = ctxtrace.wrap_executor(executor)
    assert_type(wrapped.submit(plain, 1), concurrent.futures.Future[str])
    ctxtrace.wrap_executor(object())  # type: ignore[arg-type]


def threads_are_standard_threads() -> None:
    thread: threading.Thread = ctxtrace.Thread(target=plain, args=(1,), name="t", daemon=True)
    timer: threading.Timer = ctxtrace.Timer(1.0, plain, args=(1,))
    del thread, timer


# asyncio.


async def create_task_returns_a_task_of_what_the_coroutine_returns() -> None:
    assert_type(ctxtrace.create_task(coroutine(1)), asyncio.Task[str])
    assert_type(
        ctxtrace.create_task(coroutine(1), name="n", context=copy_context()), asyncio.Task[str]
    )
    assert_type(await ctxtrace.create_task(coroutine(1)), str)
    ctxtrace.create_task(coroutine)  # type: ignore[arg-type]


async def a_task_group_makes_tasks() -> None:
    async with ctxtrace.TaskGroup() as group:
        assert_type(group, ctxtrace.TaskGroup)
        assert_type(group.create_task(coroutine(1), name="n"), asyncio.Task[str])


async def gather_returns_a_list_or_the_types_of_its_arguments() -> None:
    first, second = await ctxtrace.gather(coroutine(1), coroutine(2))
    assert_type(first, str)
    assert_type(second, str)


async def to_thread_returns_what_the_function_does() -> None:
    assert_type(await ctxtrace.to_thread(plain, 1, flag=True), str)
    await ctxtrace.to_thread(plain, "1")  # type: ignore[arg-type]


async def run_in_executor_returns_what_the_function_does() -> None:
    assert_type(await ctxtrace.run_in_executor(None, plain, 1), str)


# Carriers.


class MyCarrier:
    name = "mine"

    def pin(self) -> object | None:
        return None

    def clear(self) -> None:
        pass

    def variables(self) -> list[ContextVar[Any]]:
        return []


class NoCarrier:
    name = "not mine"


class Inheriting(ctxtrace.Carrier):
    name = "mine too"

    def clear(self) -> None:
        pass


def register_carrier_returns_its_undo() -> None:
    assert_type(ctxtrace.register_carrier(MyCarrier()), Callable[[], None])
    ctxtrace.register_carrier(Inheriting())
    ctxtrace.register_carrier(NoCarrier())  # type: ignore[arg-type]
    ctxtrace.register_carrier(MyCarrier)  # type: ignore[arg-type]


# A stream stays what it was: the same kind of function, or the same type.


async def returns_a_stream(x: int) -> AsyncIterator[str]:
    return async_generator(x)


class Streams:
    @ctxtrace.streaming
    def method(self, x: int) -> Iterator[str]:
        yield str(x)

    @ctxtrace.traced_stream(name="tokens", run_type="llm", reduce=len, record=True, max_chunks=5)
    async def async_method(self, x: int) -> AsyncIterator[str]:
        yield str(x)


@ctxtrace.streaming()
def called_form(x: int) -> Iterator[str]:
    yield str(x)


def streaming_keeps_a_function() -> None:
    assert_type(ctxtrace.streaming(generator)(1), Iterator[str])
    assert_type(ctxtrace.streaming(async_generator)(1), AsyncIterator[str])
    assert_type(ctxtrace.traced_stream(generator)(1), Iterator[str])
    assert_type(ctxtrace.traced_stream(name="tokens")(generator)(1), Iterator[str])
    assert_type(ctxtrace.traced_stream(generator, name="tokens")(1), Iterator[str])
    assert_type(called_form(1), Iterator[str])
    assert_type(Streams().method(1), Iterator[str])
    assert_type(Streams().async_method(1), AsyncIterator[str])
    ctxtrace.streaming(generator)("1")  # type: ignore[arg-type]
    called_form("1")  # type: ignore[arg-type]


async def streaming_keeps_a_coroutine_function() -> None:
    assert_type(await ctxtrace.streaming(returns_a_stream)(1), AsyncIterator[str])


class TokenStream:
    text: str

    def __iter__(self) -> TokenStream:
        return self

    def __next__(self) -> str:
        return self.text


def streaming_keeps_a_stream(stream: TokenStream, bare: Iterator[int]) -> None:
    assert_type(ctxtrace.streaming(stream), TokenStream)
    assert_type(ctxtrace.streaming(bare), Iterator[int])
    assert_type(ctxtrace.traced_stream(stream, name="tokens"), TokenStream)


def streaming_takes_only_streams() -> None:
    ctxtrace.streaming(42)  # type: ignore[call-overload]
    ctxtrace.streaming(length)  # type: ignore[type-var]
    ctxtrace.traced_stream(run_type="poem")  # type: ignore[call-overload]
    ctxtrace.traced_stream(reduce=42)  # type: ignore[call-overload]


def length(x: str) -> int:
    return len(x)


# A queue gives what its inner one was to give.


def queues_keep_the_type_of_their_items() -> None:
    inner: queue.PriorityQueue[int] = queue.PriorityQueue()
    q = ctxtrace.ContextQueue(inner)
    assert_type(q, ctxtrace.ContextQueue[int])
    q.put(1, timeout=1.0)
    q.put("1")  # type: ignore[arg-type]
    assert_type(q.get(), int)
    assert_type(q.get_nowait(), int)
    assert_type(q.get_with_context(timeout=0.1), tuple[int, ctxtrace.Snapshot])
    with q.receive() as item:
        assert_type(item, int)
    q.serve(print, on_error=print)
    q.serve(plain)
    q.serve(length)  # type: ignore[arg-type]
    q.serve()  # type: ignore[call-arg]
    assert_type(q.qsize(), int)
    assert_type(q.join(), None)
    assert_type(q.stop(), None)
    simple: queue.SimpleQueue[str] = queue.SimpleQueue()
    assert_type(ctxtrace.ContextQueue(simple).get(), str)
    ctxtrace.ContextQueue(42)  # type: ignore[arg-type]


async def async_queues_keep_the_type_of_their_items() -> None:
    inner: asyncio.Queue[int] = asyncio.Queue()
    q = ctxtrace.AsyncContextQueue(inner)
    await q.put(1)
    q.put_nowait("1")  # type: ignore[arg-type]
    assert_type(await q.get(), int)
    assert_type(await q.get_with_context(), tuple[int, ctxtrace.Snapshot])
    async with q.receive() as item:
        assert_type(item, int)
    await q.serve(coroutine, on_error=print)
    await q.serve(plain)
    ctxtrace.ContextQueue(inner)  # type: ignore[arg-type]


async def memory_streams_keep_the_type_of_their_items() -> None:
    send, receive = ctxtrace.context_stream(*anyio.create_memory_object_stream[int](1))
    await send.send(1)
    assert_type(await receive.receive(), int)
    async with receive.receive() as item:
        assert_type(item, int)
    async for each in receive:
        assert_type(each, int)
    assert_type(await receive.get_with_context(), tuple[int, ctxtrace.Snapshot])
    await receive.serve(coroutine)
    assert_type(await receive.clone().receive(), int)


async def a_task_group_is_anyios() -> None:
    group: anyio.abc.TaskGroup = ctxtrace.create_task_group()
    async with group:
        group.start_soon(coroutine, 1)


def a_recording_tells_what_it_recorded() -> None:
    with record("langsmith") as recording:
        assert_type(recording, Recording)
    assert_type(recording.forest("otel"), Forest)
    assert_type(recording.trace, Trace)
    assert_type(recording.traces, list[Trace])
    assert_type(recording.tree, str)
    assert_type(recording.trace.root.children, list[Node])
    assert_type(recording.assert_single_trace("root", runs=["a"], source=("otel",)), None)
    assert_type(recording.assert_nested(["a", "b"]), None)
    recording.assert_nested(42)  # type: ignore[arg-type]
    record(42)  # type: ignore[arg-type]


async def a_flush_reports() -> None:
    report = ctxtrace.flush(1)
    assert_type(report, ctxtrace.FlushReport)
    assert_type(ctxtrace.shutdown(timeout=0.5), ctxtrace.FlushReport)
    assert_type(await ctxtrace.aflush(), ctxtrace.FlushReport)
    assert_type(await ctxtrace.ashutdown(), ctxtrace.FlushReport)
    assert_type(report.ok, bool)
    assert_type([each.seconds for each in report.exporters], list[float])
    assert_type(ctxtrace.flush_on_exit(5, signals=["SIGTERM"]).cancel(), None)
    ctxtrace.flush("1")  # type: ignore[arg-type]
    ctxtrace.flush_on_exit(signals=15)  # type: ignore[arg-type]


async def a_handler_that_is_flushed_after_keeps_its_type() -> None:
    assert_type(ctxtrace.flush_after(plain)(1, flag=True), str)
    assert_type(await ctxtrace.flush_after(timeout=1)(coroutine)(1), str)
    assert_type(list(ctxtrace.flush_after()(generator)(1)), list[str])
    async for chunk in ctxtrace.flush_after(async_generator)(1):
        assert_type(chunk, str)
    ctxtrace.flush_after(plain)("1")  # type: ignore[arg-type]
    ctxtrace.flush_after(42)  # type: ignore[call-overload]


async def a_lifespan_is_an_async_context_manager() -> None:
    async with ctxtrace.flush_lifespan(timeout=1)(None):
        pass
