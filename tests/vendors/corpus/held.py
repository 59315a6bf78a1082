"""Runs and spans that a generator or a context manager holds open over its yield."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import langsmith
from langsmith import traceable
from opentelemetry import trace
from vendors.corpus import loses, sound

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

tracer = trace.get_tracer("corpus")

WORDS = ("on", "and", "on")

# A generator that is stepped by a task for each item.


@traceable
def take_turn(words: Any) -> Any:
    return words


async def _conversation() -> AsyncIterator[str]:
    with langsmith.trace("conversation"):
        yield "hello"
        yield take_turn("how are you")  # lost: take_turn


async def _race(stream: AsyncIterator[str]) -> list[str]:
    """Consume a stream as one does who wants to be able to stop waiting for it."""

    async def following() -> str:
        return await stream.__anext__()

    said: list[str] = []
    with contextlib.suppress(StopAsyncIteration):
        while True:
            said.append(await asyncio.wait_for(asyncio.create_task(following()), 30))
    return said


@loses("take_turn")
def a_conversation_that_is_stepped_by_tasks() -> None:
    # After langsmith-sdk issue 2431: the run that is opened in the first step is current in
    # the task of that step alone.
    assert asyncio.run(_race(_conversation())) == ["hello", "how are you"]


@sound
def a_conversation_in_one_context_that_is_stepped_by_tasks() -> None:
    assert asyncio.run(_race(ctxtrace.streaming(_conversation()))) == ["hello", "how are you"]


# Runs that are held over a yield.


async def _fetched(names: tuple[str, ...]) -> AsyncIterator[str]:
    with tracer.start_as_current_span("fetch all"):  # lost: render
        for name in names:
            await asyncio.sleep(0)
            yield name


async def _render(fetched: Callable[..., AsyncIterator[str]]) -> None:
    with tracer.start_as_current_span("report"):
        async for name in fetched(WORDS):
            with tracer.start_as_current_span("render"):
                assert name


@loses("render", how="leak")
def a_report_that_is_rendered_while_it_is_fetched() -> None:
    # After adk-python's pull request 5725: the span that a generator holds over its events leaks
    # into whoever reads them.
    asyncio.run(_render(_fetched))


@sound
def a_report_that_is_rendered_beside_what_is_fetched() -> None:
    asyncio.run(_render(ctxtrace.streaming(_fetched)))


@sound(roots=2)
def a_report_that_is_rendered_when_all_is_fetched() -> None:
    async def main() -> None:
        names = [name async for name in _fetched(WORDS)]
        with tracer.start_as_current_span("render"):
            assert names

    asyncio.run(main())


@sound(roots=2)
def a_request_that_is_served_while_another_is_suspended() -> None:
    async def main() -> None:
        begun, served = asyncio.Event(), asyncio.Event()

        async def download() -> None:
            async for _ in _fetched(WORDS):
                begun.set()
                await served.wait()

        async def ping() -> None:
            await begun.wait()
            with tracer.start_as_current_span("ping"):
                served.set()

        await asyncio.gather(download(), ping())

    asyncio.run(main())


@traceable
def insert(row: int) -> None:
    assert row


@loses("insert", how="leak")
def rows_that_are_inserted_while_the_file_is_parsed() -> None:
    def parsed(lines: tuple[str, ...]) -> Iterator[int]:
        with langsmith.trace("parse"):  # lost: insert
            for line in lines:
                yield len(line)

    @traceable
    def load() -> None:
        for row in parsed(WORDS):
            insert(row)

    load()


@sound
def rows_that_are_inserted_in_a_transaction() -> None:
    @contextlib.contextmanager
    def transaction() -> Iterator[None]:
        with langsmith.trace("transaction"):
            yield

    @traceable
    def load() -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(transaction())
            insert(1)

    load()


@sound
def a_session_that_is_held_by_an_async_context_manager() -> None:
    @contextlib.asynccontextmanager
    async def session() -> AsyncIterator[str]:
        with tracer.start_as_current_span("session"):
            yield "open"

    @tracer.start_as_current_span("answer")
    def answer() -> None:
        pass

    async def main() -> None:
        async with session():
            answer()
            await asyncio.to_thread(answer)

    asyncio.run(main())


@sound(roots=2)
def tests_that_share_a_fixture() -> None:
    # As a runner of tests does it: the fixture is entered before the test and left after it.
    @contextlib.contextmanager
    def database() -> Iterator[None]:
        with langsmith.trace("a test"):
            yield

    for test in (insert, take_turn):
        fixture = database()
        fixture.__enter__()
        test(1)
        fixture.__exit__(None, None, None)
