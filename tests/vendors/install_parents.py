"""What outlives a request that a LangSmith run was opened for, and starts another run after it."""

from __future__ import annotations

import asyncio
import contextvars
import gc
from typing import TYPE_CHECKING, Any

import anyio
import langsmith
import pytest
from langsmith import traceable
from vendors.tracers import LANGSMITH_IS_WEAK

import ctxtrace
from ctxtrace.testing import record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

WHOLE = [("request", [("late", [])])]
SPLIT = [("late", []), ("request", [])]
LOST = SPLIT if LANGSMITH_IS_WEAK else WHOLE


@pytest.fixture
def recording() -> Iterator[Any]:
    with record("langsmith") as recording:
        yield recording


@pytest.fixture
def installed() -> Iterator[Any]:
    with ctxtrace.install() as installation:
        yield installation


@traceable
def late() -> None:
    pass


class Outgoing(langsmith.Client):
    """A client of the user's own. Sends nothing, and says what it would have sent."""

    def __init__(self) -> None:
        super().__init__(
            api_url="http://localhost", api_key="none", auto_batch_tracing=False, info={}
        )
        self.created: list[tuple[str, bool]] = []
        self.updated: list[str] = []

    def create_run(self, name: str, *_: Any, **kwargs: Any) -> None:
        self.created.append((name, kwargs.get("parent_run_id") is not None))

    def update_run(self, *_: Any, **kwargs: Any) -> None:
        self.updated.append(kwargs["name"])


def context_of_an_ended_request(**of_the_run: Any) -> contextvars.Context:
    """What a timer, a connection pool or a finished task keeps of a request."""
    context = traceable(name="request", **of_the_run)(contextvars.copy_context)()
    gc.collect()
    return context


# The ways to outlive it.


async def a_task(ended: asyncio.Event, work: Callable[[], None]) -> None:
    await ended.wait()
    work()


def create_task(ended: Any, work: Any, _: Any) -> Any:
    return asyncio.create_task(a_task(ended, work))


def create_task_in_a_task(ended: Any, work: Any, _: Any) -> Any:
    async def outer() -> None:
        await ended.wait()
        await asyncio.create_task(a_task(ended, work))

    return asyncio.create_task(outer())


def start_soon_in_a_group_from_outside(ended: Any, work: Any, group: Any) -> Any:
    done = asyncio.Event()

    async def task() -> None:
        await a_task(ended, work)
        done.set()

    group.start_soon(task)
    return done.wait()


def call_later(_: Any, work: Any, __: Any) -> Any:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_later(0, lambda: done.set_result(work()))
    return done


def an_async_generator_in_a_task(ended: Any, work: Any, _: Any) -> Any:
    async def numbers() -> AsyncIterator[int]:
        yield 1
        await ended.wait()
        work()
        yield 2

    async def consume() -> None:
        assert [number async for number in numbers()] == [1, 2]

    return asyncio.create_task(consume())


def to_thread_from_a_task(ended: Any, work: Any, _: Any) -> Any:
    async def task() -> None:
        await ended.wait()
        await anyio.to_thread.run_sync(work)

    return asyncio.create_task(task())


WAYS = pytest.mark.parametrize(
    "start",
    [
        create_task,
        create_task_in_a_task,
        start_soon_in_a_group_from_outside,
        call_later,
        an_async_generator_in_a_task,
        to_thread_from_a_task,
    ],
    ids=lambda f: f.__name__,
)


def outlive(start: Any, work: Callable[[], None], request: Any = None) -> None:
    """Start something in a request, and have it work when the request's run has died."""

    async def main() -> None:
        ended = asyncio.Event()
        async with anyio.create_task_group() as group:
            begin = request or traceable(name="request")(start)
            waiting = begin(ended, work, group)
            gc.collect()
            ended.set()
            await waiting

    asyncio.run(main())
