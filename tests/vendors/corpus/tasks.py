"""Programs whose tasks and callbacks outlive the run that they were started in.

asyncio copies the context for each of them; LangSmith, from 0.7.30 on, has nothing in it then but
a weak reference to a run that has died. A run may be part of a cycle: where a program collects
garbage, it does what a busy service does all the time. The runs that are outlived are of plain
functions: LangSmith ends that of a coroutine in a thread, which may hold it a moment longer.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
from typing import TYPE_CHECKING

import langsmith
from langsmith import traceable
from opentelemetry.trace import get_tracer
from vendors.corpus import WEAK, loses, sound

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


async def answered_then(answered: asyncio.Event, follow_up: Callable[[], Awaitable[None]]) -> None:
    await answered.wait()
    await follow_up()


async def serve(request: Callable[[], asyncio.Future[None]], answered: asyncio.Event) -> None:
    """Serve one request, and then wait for what it has left behind."""
    follow_up = request()
    gc.collect()
    answered.set()
    await follow_up


# After opentelemetry-python-contrib issue 4251: work in the background that outlives the request.
@loses("send_receipt", when=WEAK)
def receipt_sent_by_a_task_after_the_answer() -> None:
    @traceable
    async def send_receipt() -> None:
        pass

    async def main() -> None:
        answered = asyncio.Event()

        @traceable
        def checkout() -> asyncio.Future[None]:
            return asyncio.create_task(answered_then(answered, send_receipt))  # lost: send_receipt

        await serve(checkout, answered)

    asyncio.run(main())


@loses("update_memory", when=WEAK)
def memory_updated_after_the_turn_of_an_agent() -> None:
    @traceable
    async def update_memory() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        answered = asyncio.Event()
        background = []
        with langsmith.trace("turn") as run:
            coroutine = answered_then(answered, update_memory)
            background.append(asyncio.ensure_future(coroutine))  # lost: update_memory
        del run
        gc.collect()
        answered.set()
        await asyncio.gather(*background)

    asyncio.run(main())


@loses("expire_session", when=WEAK)
def session_that_expires_after_the_login() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        expired = asyncio.Event()

        @traceable
        def expire_session() -> None:
            expired.set()

        @traceable
        def login() -> None:
            loop.call_later(0, expire_session)  # lost: expire_session

        login()
        gc.collect()
        await expired.wait()

    asyncio.run(main())


@loses("prefetch", when=WEAK)
def next_page_fetched_ahead_while_the_first_is_read() -> None:
    @traceable
    async def prefetch(page: int) -> int:
        return page

    async def main() -> None:
        first_read = asyncio.Event()

        async def ahead(page: int) -> int:
            await first_read.wait()
            return await prefetch(page)

        class Reader:
            next: asyncio.Task[int] | None = None

            @traceable
            def read(self, page: int) -> int:
                self.next = asyncio.create_task(ahead(page + 1))  # lost: prefetch
                return page

        reader = Reader()
        assert reader.read(1) == 1
        gc.collect()
        first_read.set()
        assert reader.next is not None
        assert await reader.next == 2

    asyncio.run(main())


@loses("close_connection", when=WEAK)
def connection_closed_when_it_has_been_idle() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        closed = asyncio.Event()

        @traceable
        def close_connection() -> None:
            closed.set()

        with langsmith.trace("connect") as run:
            deadline = loop.time()
            loop.call_at(deadline, close_connection)  # lost: close_connection
        del run
        gc.collect()
        await closed.wait()

    asyncio.run(main())


if sys.version_info >= (3, 11):

    @loses("sync_replica", when=WEAK)
    def group_of_the_server_that_a_request_starts_a_task_in() -> None:
        @traceable
        async def sync_replica() -> None:
            pass

        async def main() -> None:
            written = asyncio.Event()
            async with asyncio.TaskGroup() as group:

                @traceable
                def write() -> None:
                    group.create_task(answered_then(written, sync_replica))  # lost: sync_replica

                write()
                gc.collect()
                written.set()

        asyncio.run(main())

    @loses("rebuild index")
    def task_given_an_empty_context() -> None:
        async def rebuild() -> None:
            with get_tracer("index").start_as_current_span("rebuild index"):
                await asyncio.sleep(0)

        async def main() -> None:
            empty = contextvars.Context()
            with get_tracer("index").start_as_current_span("change schema"):
                await asyncio.create_task(rebuild(), context=empty)  # lost: rebuild index

        asyncio.run(main())

    @sound
    def standard_group_within_one_run() -> None:
        @traceable
        async def part(number: int) -> int:
            await asyncio.sleep(0)
            return number

        @traceable
        async def whole() -> int:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(part(number)) for number in range(3)]
            return sum(task.result() for task in tasks)

        assert asyncio.run(whole()) == 3


# Sound: the twins, repaired.


@sound
def receipt_sent_by_a_task_that_holds_its_parent() -> None:
    @traceable
    async def send_receipt() -> None:
        pass

    async def main() -> None:
        answered = asyncio.Event()

        @traceable
        def checkout() -> asyncio.Future[None]:
            return ctxtrace.create_task(answered_then(answered, send_receipt))

        await serve(checkout, answered)

    asyncio.run(main())


@sound
def late_tasks_under_install() -> None:
    @traceable
    async def update_memory() -> None:
        pass

    async def main() -> None:
        answered = asyncio.Event()

        @traceable
        def turn() -> asyncio.Future[None]:
            return asyncio.ensure_future(answered_then(answered, update_memory))

        await serve(turn, answered)

    with ctxtrace.install():
        asyncio.run(main())


@sound
def group_of_ours_that_a_request_starts_a_task_in() -> None:
    @traceable
    async def sync_replica() -> None:
        pass

    async def main() -> None:
        written = asyncio.Event()
        async with ctxtrace.TaskGroup() as group:

            @traceable
            def write() -> None:
                group.create_task(answered_then(written, sync_replica))

            write()
            gc.collect()
            written.set()

    asyncio.run(main())


@sound
def callback_wrapped_where_it_is_scheduled() -> None:
    async def main() -> None:
        expired = asyncio.Event()

        @traceable
        def expire_session() -> None:
            expired.set()

        @traceable
        def login() -> None:
            asyncio.get_running_loop().call_later(0, ctxtrace.wrap(expire_session))

        login()
        gc.collect()
        await expired.wait()

    asyncio.run(main())


# Sound: what only looks like a loss.


@sound
def late_task_of_a_span() -> None:
    """OpenTelemetry's context holds the span itself, for as long as it lives."""

    async def send() -> None:
        with get_tracer("shop").start_as_current_span("send receipt"):
            pass

    async def main() -> None:
        answered = asyncio.Event()

        def checkout() -> asyncio.Future[None]:
            with get_tracer("shop").start_as_current_span("checkout"):
                return asyncio.create_task(answered_then(answered, send))

        await serve(checkout, answered)

    asyncio.run(main())


@sound
def tasks_awaited_where_they_are_made() -> None:
    @traceable
    async def search(source: str) -> str:
        await asyncio.sleep(0)
        return source

    @traceable
    async def research() -> list[str]:
        first = asyncio.create_task(search("web"))
        others = await asyncio.gather(search("mail"), search("files"))
        return [await asyncio.wait_for(first, 30), *others]

    assert asyncio.run(research()) == ["web", "mail", "files"]


@sound
def late_task_that_starts_no_run() -> None:
    async def main() -> None:
        answered = asyncio.Event()
        log: list[str] = []

        async def write_log() -> None:
            log.append("answered")

        @traceable
        def request() -> asyncio.Future[None]:
            return asyncio.create_task(answered_then(answered, write_log))

        await serve(request, answered)
        assert log == ["answered"]

    asyncio.run(main())


@sound(roots=3)
def requests_served_at_the_same_time() -> None:
    async def page(name: str) -> None:
        with get_tracer("server").start_as_current_span(name):
            await asyncio.sleep(0)
            with get_tracer("server").start_as_current_span("query"):
                await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(page(f"GET /{number}") for number in range(3)))

    asyncio.run(main())


@sound(roots=2)
def task_that_is_meant_to_stand_alone() -> None:
    @traceable
    async def refresh_cache() -> None:
        pass

    @traceable
    async def request() -> None:
        with ctxtrace.detached():
            task = asyncio.create_task(refresh_cache())
        await task

    asyncio.run(request())


@sound
def task_cancelled_before_its_first_step() -> None:
    @traceable
    async def never() -> None:
        raise AssertionError("it was cancelled")

    @traceable
    async def request() -> None:
        task = asyncio.create_task(never())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(request())


@sound
def stream_of_one_run_within_another() -> None:
    """No run starts in the consumer while the stream is suspended."""

    @traceable
    async def token(number: int) -> str:
        return str(number)

    async def tokens() -> AsyncIterator[str]:
        async with langsmith.trace("model"):
            for number in range(3):
                yield await token(number)

    @traceable
    async def chat() -> str:
        return "".join([part async for part in tokens()])

    assert asyncio.run(chat()) == "012"
