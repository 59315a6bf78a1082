"""Roots and parents that a program means, though a run was current close by.

Each was accused once, by a detector that took what is near for what is to blame.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import langsmith
from langsmith import traceable, tracing_context
from opentelemetry import trace
from opentelemetry.context import Context
from vendors.corpus import loses, sound

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Iterator

tracer = trace.get_tracer("meant")


@sound(roots=5)
def results_that_come_back_to_who_sent_the_jobs() -> None:
    jobs: queue.Queue[int | None] = queue.Queue()
    results: queue.Queue[int] = queue.Queue()

    def work() -> None:
        for job in iter(jobs.get, None):
            with tracer.start_as_current_span("job"):  # a trace for each
                results.put(2 * job)

    worker = threading.Thread(target=work)
    worker.start()
    for job in range(4):
        jobs.put(job)
    assert sum(results.get() for _ in range(4)) == 12
    jobs.put(None)
    worker.join()
    with tracer.start_as_current_span("summary"):
        pass


@sound(roots=5)
def results_of_a_pool_that_come_back_by_a_queue() -> None:
    results: queue.Queue[int] = queue.Queue()

    def work(job: int) -> None:
        with langsmith.trace("job"):
            results.put(job)

    with ThreadPoolExecutor(2) as pool:
        for job in range(4):
            pool.submit(work, job)
        assert sum(results.get() for _ in range(4)) == 6
    with langsmith.trace("summary"):
        pass


@sound(roots=2)
def housekeeping_when_nothing_has_come_for_a_while() -> None:
    metrics: queue.Queue[str] = queue.Queue()
    taken = threading.Event()

    def write() -> None:
        buffer = [metrics.get()]
        taken.set()
        try:
            buffer.append(metrics.get(timeout=0.01))
        except queue.Empty:
            with tracer.start_as_current_span("housekeeping"):
                buffer.clear()

    writer = threading.Thread(target=write)
    writer.start()
    with tracer.start_as_current_span("request"):
        metrics.put("a metric")
        taken.wait()
    writer.join()


@sound(roots=4)
def roots_that_say_so_in_a_thread() -> None:
    @traceable
    def audit() -> None:
        pass

    def handle() -> None:
        with langsmith.trace("request"), tracing_context(parent=False):
            audit()
        with tracer.start_as_current_span("request"):
            tracer.start_span("standalone", context=Context()).end()

    handler = threading.Thread(target=handle)
    handler.start()
    handler.join()


@sound(roots=2)
def a_job_that_goes_on_with_the_trace_it_is_given() -> None:
    with ThreadPoolExecutor(1) as pool:
        with tracer.start_as_current_span("answer") as answer:
            pass
        given = trace.set_span_in_context(answer)

        def evaluate() -> None:
            with tracer.start_as_current_span("evaluate", context=given):
                pass

        with tracer.start_as_current_span("scheduler"):
            pool.submit(evaluate).result()


@sound(roots=6)
def a_batch_that_stands_alone_and_answers_a_session() -> None:
    async def batches(items: asyncio.Queue[int], done: asyncio.Queue[int]) -> None:
        while True:
            item = await items.get()
            with ctxtrace.detached(), langsmith.trace("batch"):
                done.put_nowait(item)

    async def session() -> None:
        items: asyncio.Queue[int] = asyncio.Queue()
        done: asyncio.Queue[int] = asyncio.Queue()
        batcher = asyncio.create_task(batches(items, done))
        for turn in range(3):
            with langsmith.trace("turn"):
                await items.put(turn)
                assert await done.get() == turn
        batcher.cancel()

    asyncio.run(session())


@sound(roots=2)
def a_consumer_that_is_linked_to_its_sender() -> None:
    """As the conventions for messaging have it: a root, with a link."""
    messages: queue.Queue[Any] = queue.Queue()

    def consume() -> None:
        for message in iter(messages.get, None):
            with tracer.start_as_current_span(
                "process", context=Context(), links=[trace.Link(message)]
            ):
                pass

    consumer = threading.Thread(target=consume)
    consumer.start()
    with tracer.start_as_current_span("send") as sent:
        messages.put(sent.get_span_context())
    messages.put(None)
    consumer.join()


@sound(roots=60)
def requests_at_once_in_a_thread_with_a_loop() -> None:
    @traceable
    async def step() -> None:
        await asyncio.sleep(0)

    @traceable
    async def request(number: int) -> None:
        for _ in range(number % 7):
            await asyncio.sleep(0)
        await step()

    async def serve() -> None:
        await asyncio.gather(*map(request, range(60)))

    server = threading.Thread(target=lambda: asyncio.run(serve()))
    server.start()
    server.join()


class _Source:
    def items(self) -> Iterator[int]:
        for item in range(2):
            with tracer.start_as_current_span("load"):
                pass
            yield item


@sound(roots=3)
def a_generator_that_is_called_as_a_method_of_every_dict_is() -> None:
    with tracer.start_as_current_span("handler"):
        assert dict({"a": 1}.items())
    assert list(_Source().items()) == [0, 1]


@loses("invalidate")
def a_callback_of_a_pools_future() -> None:
    written = threading.Event()

    def invalidate(_: Future[bool]) -> None:
        with tracer.start_as_current_span("invalidate"):
            pass

    with ThreadPoolExecutor(1) as pool, tracer.start_as_current_span("write"):
        future = pool.submit(written.wait)
        future.add_done_callback(invalidate)  # lost: invalidate
        written.set()
