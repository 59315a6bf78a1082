"""Generators that are consumed elsewhere, and the streams and threads of anyio."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import anyio.to_thread
from langsmith import traceable
from opentelemetry import trace
from vendors.corpus import loses, sound

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from anyio.streams.memory import MemoryObjectReceiveStream

tracer = trace.get_tracer("corpus")

WORDS = ("on", "and", "on")


# Generators that are consumed when the run in which they were called has ended.


@traceable
def generate(word: str) -> str:
    return word.upper()


def _tokens() -> Iterator[str]:
    for word in WORDS:
        yield generate(word)  # lost: generate


@loses("generate")
def a_traced_function_that_returns_a_generator() -> None:
    @traceable
    def answer() -> Iterator[str]:
        return _tokens()

    assert "".join(answer()) == "ONANDON"


@sound
def a_traced_function_that_returns_a_generator_that_keeps_its_context() -> None:
    @traceable
    def answer() -> Iterator[str]:
        return ctxtrace.streaming(_tokens())

    assert "".join(answer()) == "ONANDON"


@sound
def a_traced_generator_that_is_consumed_where_it_was_called() -> None:
    @traceable
    def answer() -> str:
        return "".join(traceable(_tokens)())

    assert answer() == "ONANDON"


@traceable
def grade(essay: str) -> int:
    return len(essay)


@loses("grade")
def grades_that_are_lazy() -> None:
    @traceable
    def grades(essays: tuple[str, ...]) -> Iterator[int]:
        return (grade(essay) for essay in essays)  # lost: grade

    assert sum(grades(WORDS)) == 7


@sound
def grades_that_are_not_lazy() -> None:
    @traceable
    def grades(essays: tuple[str, ...]) -> list[int]:
        return [grade(essay) for essay in essays]

    assert sum(grades(WORDS)) == 7


@loses("page")
def pages_that_are_read_when_the_span_is_over() -> None:
    async def pages() -> AsyncIterator[int]:
        for number in range(2):
            await asyncio.sleep(0)
            with tracer.start_as_current_span("page"):  # lost: page
                size = number + 1
            yield size

    async def crawl() -> AsyncIterator[int]:
        with tracer.start_as_current_span("crawl"):
            return pages()

    async def main() -> None:
        assert [size async for size in await crawl()] == [1, 2]

    asyncio.run(main())


@traceable
def transcribe(audio: str) -> str:
    return audio


def _spoken() -> Iterator[str]:
    for word in WORDS:
        yield transcribe(word)  # lost: transcribe


def _play_elsewhere(spoken: Callable[[], Iterator[str]]) -> None:
    streams: queue.Queue[Iterator[str] | None] = queue.Queue()

    def play() -> None:
        for stream in iter(streams.get, None):
            assert "".join(stream) == "onandon"

    @traceable
    def record() -> Iterator[str]:
        return spoken()

    player = threading.Thread(target=play)
    player.start()
    # Put outside of any run: it is not the queue that loses what the stream starts.
    streams.put(record())
    streams.put(None)
    player.join()


@loses("transcribe")
def a_generator_that_goes_through_a_queue_to_a_worker() -> None:
    _play_elsewhere(_spoken)


@sound
def a_generator_with_its_context_that_goes_through_a_queue_to_a_worker() -> None:
    _play_elsewhere(ctxtrace.streaming(_spoken))


@traceable
async def rank(word: str) -> str:
    return word


@loses("rank")
def an_async_generator_that_a_running_task_consumes() -> None:
    async def ranked() -> AsyncIterator[str]:
        for word in WORDS:
            yield await rank(word)  # lost: rank

    async def main() -> None:
        handed: asyncio.Future[AsyncIterator[str]] = asyncio.get_running_loop().create_future()

        async def consume() -> list[str]:
            return [word async for word in await handed]

        consumer = asyncio.create_task(consume())
        await asyncio.sleep(0)

        @traceable
        async def search() -> None:
            handed.set_result(ranked())
            await consumer

        await search()

    asyncio.run(main())


@sound
def an_async_generator_that_its_own_run_consumes() -> None:
    async def ranked() -> AsyncIterator[str]:
        for word in WORDS:
            yield await rank(word)

    @traceable
    async def search() -> list[str]:
        return [word async for word in ranked()]

    assert asyncio.run(search()) == list(WORDS)


# Streams and threads of anyio.


def _resize(image: str) -> None:
    with tracer.start_as_current_span("resize"):
        assert image


async def _upload(receiver: Callable[..., Any], send: Any, receive: Any) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(receiver, receive)
        async with send:
            with tracer.start_as_current_span("upload"):
                await send.send("image")  # lost: resize


@loses("resize")
def images_that_a_running_task_receives() -> None:
    async def resizer(images: MemoryObjectReceiveStream[str]) -> None:
        async with images:
            async for image in images:
                _resize(image)

    async def main() -> None:
        await _upload(resizer, *anyio.create_memory_object_stream[str](10))

    anyio.run(main)


@sound
def images_that_a_running_task_receives_with_their_context() -> None:
    async def resizer(images: Any) -> None:
        async with images:
            await images.serve(_resize)

    async def main() -> None:
        streams = anyio.create_memory_object_stream[str](10)
        await _upload(resizer, *ctxtrace.context_stream(*streams))

    anyio.run(main)


@sound
def images_that_are_sent_by_nobody() -> None:
    async def main() -> None:
        send, receive = anyio.create_memory_object_stream[str](10)
        with send, receive:
            send.send_nowait("image")
            _resize(await receive.receive())

    anyio.run(main)


@traceable
async def report_progress() -> None:
    await anyio.sleep(0)


@sound
def work_that_goes_to_a_thread_and_back() -> None:
    def convert() -> None:
        generate("half")
        anyio.from_thread.run(report_progress)

    @traceable
    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, convert)
            group.start_soon(report_progress)

    anyio.run(main)
