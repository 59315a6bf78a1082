"""Programs in which a worker that is older than the request takes items from a queue."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import TYPE_CHECKING, Any

import langsmith
from langsmith import traceable
from opentelemetry.trace import get_tracer
from vendors.corpus import loses, sound, tracing

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Jobs = queue.Queue[Any]


def consume(jobs: Jobs, handle: Callable[[Any], Any]) -> None:
    """A worker as many services have one: until it is given None."""
    while (job := jobs.get()) is not None:
        handle(job)
        jobs.task_done()


def worker(jobs: Jobs, handle: Callable[[Any], Any]) -> threading.Thread:
    thread = threading.Thread(target=consume, args=(jobs, handle), name="worker")
    thread.start()
    return thread


async def consume_async(jobs: asyncio.Queue[Any], handle: Callable[[Any], Awaitable[Any]]) -> None:
    while (job := await jobs.get()) is not None:
        await handle(job)
        jobs.task_done()


@loses("index_document")
def items_of_a_request_taken_by_an_older_thread() -> None:
    @traceable
    def index_document(text: str) -> int:
        return len(text)

    jobs: Jobs = queue.Queue()
    thread = worker(jobs, index_document)

    @traceable
    def upload(text: str) -> None:
        jobs.put(text)  # lost: index_document
        jobs.join()

    upload("hello")
    jobs.put(None)
    thread.join()


@loses("alert")
def most_urgent_first() -> None:
    def alert(job: tuple[int, str]) -> None:
        with get_tracer("alerts").start_as_current_span("alert") as span:
            span.set_attribute("urgency", job[0])

    alerts: queue.PriorityQueue[Any] = queue.PriorityQueue()

    def drain() -> None:
        for _ in range(2):
            alert(alerts.get())

    thread = threading.Thread(target=drain)
    thread.start()
    with get_tracer("alerts").start_as_current_span("check disks"):
        for urgency, disk in ((2, "almost full"), (1, "full")):
            alerts.put_nowait((urgency, disk))  # lost: alert
    thread.join()


# After opentelemetry-python-contrib issue 2892: who consumes a queue has no parent span.
@loses("process message")
def messages_taken_by_an_older_task() -> None:
    async def process(message: str) -> None:
        with get_tracer("bus").start_as_current_span("process message"):
            await asyncio.sleep(0)

    async def main() -> None:
        messages: asyncio.Queue[Any] = asyncio.Queue()
        consumer = asyncio.create_task(consume_async(messages, process))
        with get_tracer("bus").start_as_current_span("publish"):
            await messages.put("hello")  # lost: process message
            await messages.join()
        await messages.put(None)
        await consumer

    asyncio.run(main())


@loses("complete")
def requests_batched_for_a_model() -> None:
    """As a client does that has one task to talk to the server: an answer is a future."""

    @traceable
    async def complete(prompt: str) -> str:
        return prompt[::-1]

    class Model:
        def __init__(self) -> None:
            self.waiting: asyncio.Queue[Any] = asyncio.Queue()

        async def serve(self) -> None:
            while True:
                prompt, answer = await self.waiting.get()
                answer.set_result(await complete(prompt))

        async def ask(self, prompt: str) -> str:
            answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            self.waiting.put_nowait((prompt, answer))  # lost: complete
            return await answer

    async def main() -> None:
        model = Model()
        serving = asyncio.create_task(model.serve())
        async with langsmith.trace("chat"):
            assert await model.ask("abc") == "cba"
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(main())


@loses("store")
def second_of_two_stages() -> None:
    """The first item is carried, and what the stage puts on to the next is not."""

    @traceable
    def store(row: str) -> None:
        pass

    rows: Jobs = queue.Queue()
    storing = worker(rows, store)

    @traceable
    def clean(row: str) -> None:
        rows.put(row.strip())  # lost: store

    raw: ctxtrace.ContextQueue[str] = ctxtrace.ContextQueue(queue.Queue())

    def take_one() -> None:
        with raw.receive() as row:
            clean(row)

    cleaning = threading.Thread(target=take_one)
    cleaning.start()
    with langsmith.trace("import"):
        raw.put("  a row ")
        cleaning.join()
        rows.join()
    rows.put(None)
    storing.join()


@loses("moderate", how="missing")
def tracing_turned_on_for_one_request_lost_in_a_queue() -> None:
    @traceable
    async def moderate(comment: str) -> bool:
        return "bad" not in comment

    @traceable
    async def post(comments: asyncio.Queue[Any]) -> None:
        comments.put_nowait("fine")  # lost: moderate
        await comments.join()

    async def main() -> None:
        comments: Any = asyncio.Queue()
        moderator = asyncio.create_task(consume_async(comments, moderate))
        with tracing():
            await post(comments)
        comments.put_nowait(None)
        await moderator

    asyncio.run(main())


# Sound: the twins, repaired.


@sound(roots=2)
def items_that_bring_their_request() -> None:
    @traceable
    def index_document(text: str) -> int:
        return len(text)

    jobs: ctxtrace.ContextQueue[str] = ctxtrace.ContextQueue(queue.Queue())

    def take(times: int) -> None:
        for _ in range(times):
            with jobs.receive() as text:
                index_document(text)

    thread = threading.Thread(target=take, args=(2,))
    thread.start()
    for request in ("first", "second"):
        with langsmith.trace(request):
            jobs.put("hello")
    thread.join()


@sound
def messages_that_bring_their_request_to_a_task() -> None:
    async def process(message: str) -> None:
        with get_tracer("bus").start_as_current_span("process message"):
            await asyncio.sleep(0)

    async def main() -> None:
        messages: ctxtrace.AsyncContextQueue[str] = ctxtrace.AsyncContextQueue(asyncio.Queue())

        async def take() -> None:
            async with messages.receive() as message:
                await process(message)

        consumer = asyncio.create_task(take())
        with get_tracer("bus").start_as_current_span("publish"):
            await messages.put("hello")
            await consumer

    asyncio.run(main())


@sound
def function_wrapped_before_it_is_queued() -> None:
    """A queue of calls, each bound to the request that made it."""

    @traceable
    def thumbnail() -> None:
        pass

    calls: Jobs = queue.Queue()
    thread = worker(calls, lambda call: call())
    with langsmith.trace("upload"):
        calls.put(ctxtrace.wrap(thumbnail))
        calls.join()
    calls.put(None)
    thread.join()


# Sound: what only looks like a loss.


@sound(roots=2)
def items_put_outside_of_any_run() -> None:
    @traceable
    def convert(name: str) -> str:
        return name

    jobs: Jobs = queue.Queue()
    thread = worker(jobs, convert)
    for name in ("a.png", "b.png"):
        jobs.put(name)
    jobs.put(None)
    thread.join()


@sound(roots=2)
def worker_that_only_counts() -> None:
    seen: list[Any] = []
    jobs: Jobs = queue.Queue()
    thread = worker(jobs, seen.append)
    for request in ("first", "second"):
        with get_tracer("shop").start_as_current_span(request):
            jobs.put(request)
    jobs.put(None)
    thread.join()
    assert seen == ["first", "second"]


@sound
def result_that_comes_back_by_a_queue() -> None:
    """The queue carries what a thread found to the request, which goes on with it."""

    @traceable
    def use(value: int) -> None:
        pass

    results: queue.Queue[int] = queue.Queue()
    with langsmith.trace("request"):
        thread = threading.Thread(target=results.put, args=(7,))
        thread.start()
        use(results.get())
        thread.join()


@sound
def workers_started_within_their_trace() -> None:
    """A crawl that has its own workers: each task copies the context of the crawl."""

    @traceable
    async def visit(url: str) -> None:
        await asyncio.sleep(0)

    @traceable
    async def crawl() -> None:
        urls: asyncio.Queue[Any] = asyncio.Queue()
        workers = [asyncio.create_task(consume_async(urls, visit)) for _ in range(2)]
        for url in ("/", "/about", None, None):
            await urls.put(url)
        await asyncio.gather(*workers)

    asyncio.run(crawl())


@sound(roots=3)
def request_loop_with_a_trace_each() -> None:
    """A server: requests come by a queue, and each is a trace of its own."""

    def answer(path: str) -> None:
        with langsmith.trace(f"GET {path}"), langsmith.trace("render"):
            pass

    requests: Jobs = queue.Queue()
    thread = worker(requests, answer)
    for path in ("/", "/about", "/contact"):
        requests.put(path)
    requests.put(None)
    thread.join()


@sound
def queue_between_two_steps_of_one_thread() -> None:
    @traceable
    def collect(number: int) -> int:
        return number

    @traceable
    def walk() -> int:
        left: queue.SimpleQueue[int] = queue.SimpleQueue()
        left.put(3)
        total = 0
        while not left.empty():
            number = left.get()
            total += collect(number)
            if number:
                left.put(number - 1)
        return total

    assert walk() == 6
