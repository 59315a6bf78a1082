"""Programs in which a run takes a parent that it should not have."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import langsmith
from langsmith import traceable
from opentelemetry.trace import get_tracer
from vendors.corpus import loses, sound

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def consume(jobs: queue.Queue[Any], handle: Callable[[Any], None]) -> None:
    while (job := jobs.get()) is not None:
        handle(job)
        jobs.task_done()


@loses("index second", how="leak", roots=2)
def worker_that_the_first_request_starts() -> None:
    """Started when it is first needed, the worker holds the run that was current then."""

    class Indexer:
        def __init__(self) -> None:
            self.jobs: queue.Queue[Any] = queue.Queue()
            self.thread: threading.Thread | None = None

        def add(self, name: str) -> None:
            if self.thread is None:
                self.thread = ctxtrace.Thread(target=consume, args=(self.jobs, self.index))
                self.thread.start()  # lost: index second
            self.jobs.put(name)

        def index(self, name: str) -> None:
            with langsmith.trace(f"index {name}"):
                pass

    indexer = Indexer()
    for name in ("first", "second"):
        with langsmith.trace(name):
            indexer.add(name)
            indexer.jobs.join()
    indexer.jobs.put(None)
    assert indexer.thread is not None
    indexer.thread.join()


@loses("upload batch", how="leak")
def uploader_that_a_request_starts_under_install() -> None:
    def upload(_: object) -> None:
        with get_tracer("uploader").start_as_current_span("upload batch"):
            pass

    batches: queue.Queue[Any] = queue.Queue()
    with ctxtrace.install():
        with get_tracer("api").start_as_current_span("first request"):
            thread = threading.Thread(target=consume, args=(batches, upload))
            thread.start()  # lost: upload batch
        batches.put("what a timer has gathered, outside of any request")
        batches.put(None)
        thread.join()


@loses("evict", how="leak")
def janitor_started_with_a_context_copied_by_hand() -> None:
    """The copy was meant for one piece of work, and the thread works for ever."""

    def evict(_: object) -> None:
        with get_tracer("cache").start_as_current_span("evict"):
            pass

    keys: queue.Queue[Any] = queue.Queue()
    with get_tracer("api").start_as_current_span("GET /"):
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(consume, keys, evict))
        thread.start()  # lost: evict
    for key in ("a", "b", None):
        keys.put(key)
    thread.join()


# After ogx pull request 5168: tasks that write for all requests have the trace of the one that
# started them.
@loses("write second", how="leak", roots=2)
def writer_task_that_the_first_request_starts() -> None:
    class Store:
        def __init__(self) -> None:
            self.rows: asyncio.Queue[Any] = asyncio.Queue()
            self.writer: asyncio.Task[None] | None = None

        async def write(self, row: str) -> None:
            if self.writer is None:
                self.writer = asyncio.create_task(self.work())  # lost: write second
            await self.rows.put(row)
            await self.rows.join()

        async def work(self) -> None:
            while True:
                row = await self.rows.get()
                with get_tracer("store").start_as_current_span(f"write {row}"):
                    self.rows.task_done()

    async def main() -> None:
        store = Store()
        for request in ("first", "second"):
            with get_tracer("api").start_as_current_span(request):
                await store.write(request)
        assert store.writer is not None
        store.writer.cancel()
        await asyncio.gather(store.writer, return_exceptions=True)

    asyncio.run(main())


@loses("render row", how="leak")
def span_held_open_while_the_rows_are_used() -> None:
    def rows() -> Iterator[str]:
        with get_tracer("db").start_as_current_span("scan"):  # lost: render row
            for number in range(2):
                yield f"row {number}"

    for row in rows():
        with get_tracer("web").start_as_current_span("render row") as span:
            span.set_attribute("row", row)


@loses("speak", how="leak")
def run_held_open_while_the_tokens_are_spoken() -> None:
    def tokens() -> Iterator[str]:
        with langsmith.trace("model", run_type="llm"):  # lost: speak
            yield "Hello"
            yield "you"

    @traceable
    def speak(words: str) -> int:
        return len(words)

    stream = tokens()
    assert sum(speak(word) for word in stream) == 8


# After opentelemetry-python issue 2606: a span that a generator holds open, stepped in threads
# of a pool, stays current in a thread when the generator is done with it.
@loses("nightly cleanup", how="leak")
def span_left_current_in_a_thread_of_a_pool() -> None:
    def export() -> Iterator[str]:
        with get_tracer("export").start_as_current_span("export"):  # lost: nightly cleanup
            yield "a,b"
            yield "c,d"

    def cleanup() -> None:
        with get_tracer("cron").start_as_current_span("nightly cleanup"):
            pass

    lines = export()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(next, lines).result() == "a,b"
        pool.submit(cleanup).result()
        assert pool.submit(list, lines).result() == ["c,d"]


# Sound: the twins, repaired.


@sound(roots=2)
def worker_started_before_any_request() -> None:
    def index(name: str) -> None:
        with langsmith.trace(f"index {name}"):
            pass

    def handle(job: tuple[ctxtrace.Snapshot, str]) -> None:
        snapshot, name = job
        snapshot.run(index, name)

    jobs: queue.Queue[Any] = queue.Queue()
    thread = ctxtrace.Thread(target=consume, args=(jobs, handle))
    thread.start()
    for name in ("first", "second"):
        with langsmith.trace(name):
            jobs.put((ctxtrace.capture(), name))
    jobs.put(None)
    thread.join()


@sound(roots=3)
def worker_that_the_first_request_starts_detached() -> None:
    def upload(_: object) -> None:
        with get_tracer("uploader").start_as_current_span("upload batch"):
            pass

    batches: queue.Queue[Any] = queue.Queue()
    with get_tracer("api").start_as_current_span("first request"), ctxtrace.detached():
        thread = ctxtrace.Thread(target=consume, args=(batches, upload))
        thread.start()
    for batch in ("a", "b", None):
        batches.put(batch)
    thread.join()


@sound
def worker_that_serves_its_own_request_alone() -> None:
    @traceable
    def resize(name: str) -> None:
        pass

    @traceable
    def album(names: list[str]) -> None:
        left: queue.Queue[Any] = queue.Queue()
        thread = ctxtrace.Thread(target=consume, args=(left, resize))
        thread.start()
        for name in [*names, None]:
            left.put(name)
        thread.join()

    album(["a.png", "b.png"])


@sound(roots=3)
def rows_read_by_a_generator_with_a_context_of_its_own() -> None:
    @ctxtrace.streaming
    def rows() -> Iterator[str]:
        with get_tracer("db").start_as_current_span("scan"):
            for number in range(2):
                yield f"row {number}"

    for row in rows():
        with get_tracer("web").start_as_current_span("render row") as span:
            span.set_attribute("row", row)


@sound
def workers_of_a_pool_forget_each_request() -> None:
    """A pool's thread lives on; what it runs for the next request is in that one's context."""

    @traceable
    def job(number: int) -> int:
        return number

    with ctxtrace.ThreadPoolExecutor(1) as pool, langsmith.trace("whole"):
        for number in range(2):
            with langsmith.trace("request"):
                assert pool.submit(job, number).result() == number


# Sound: what only looks like a leak.


@sound
def span_held_open_over_the_yield_of_a_context_manager() -> None:
    @contextlib.contextmanager
    def connection() -> Iterator[str]:
        with get_tracer("db").start_as_current_span("connection"):
            yield "open"

    with connection() as state, get_tracer("db").start_as_current_span("query"):
        assert state == "open"


@sound
def resources_of_an_exit_stack() -> None:
    """As fixtures are: each is a context manager, and what they open is meant for the others."""

    @contextlib.contextmanager
    def database() -> Iterator[str]:
        with langsmith.trace("database"):
            yield "database"

    @contextlib.asynccontextmanager
    async def client() -> Any:
        async with langsmith.trace("client"):
            yield "client"

    @traceable
    def use(*things: str) -> None:
        pass

    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            first = stack.enter_context(database())
            second = await stack.enter_async_context(client())
            use(first, second)

    asyncio.run(main())


@sound
def span_held_open_while_nothing_else_is_traced() -> None:
    def rows() -> Iterator[int]:
        with get_tracer("db").start_as_current_span("scan"):
            for number in range(3):
                with get_tracer("db").start_as_current_span("fetch"):
                    row = number
                yield row

    with get_tracer("web").start_as_current_span("page"):
        assert sum(rows()) == 3


@sound(roots=3)
def span_closed_before_the_rows_are_used() -> None:
    def rows() -> Iterator[int]:
        with get_tracer("db").start_as_current_span("scan"):
            found = [1, 2]
        yield from found

    for number in rows():
        with get_tracer("web").start_as_current_span("render row") as span:
            span.set_attribute("row", number)
