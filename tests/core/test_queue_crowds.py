"""Eight producers and eight workers: each item is seen once, in its own sender's context."""

from __future__ import annotations

import asyncio
import queue
import threading

import pytest
from core.support import LIMIT, has_parent, serving, user

import ctxtrace

PRODUCERS = WORKERS = 8
EACH = 125

ITEMS = [(producer, number) for producer in range(PRODUCERS) for number in range(EACH)]
EXPECTED = [(item, f"{item}", True) for item in ITEMS]

sizes = pytest.mark.parametrize("maxsize", [0, 4])


def join_all(threads):
    for thread in threads:
        thread.join(LIMIT)
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("way", ["serve", "receive", "get_with_context"])
@pytest.mark.parametrize("make", [queue.Queue, queue.LifoQueue, queue.PriorityQueue])
@sizes
def test_eight_threads_put_and_eight_handle(make, maxsize, way, tracer):
    q, seen = ctxtrace.ContextQueue(make(maxsize)), []

    def produce(producer):
        for number in range(EACH):
            with serving(f"{(producer, number)}"), tracer.run():
                q.put((producer, number))

    def handler(item):
        seen.append((item, user(), has_parent()))

    def work():
        if way == "serve":
            q.serve(handler)
            return
        for _ in range(len(ITEMS) // WORKERS):
            if way == "receive":
                with q.receive(timeout=LIMIT) as item:
                    handler(item)
            else:
                item, snapshot = q.get_with_context(timeout=LIMIT)
                snapshot.run(handler, item)
                q.task_done()

    workers = [threading.Thread(target=work, daemon=True) for _ in range(WORKERS)]
    producers = [
        threading.Thread(target=produce, args=(number,), daemon=True) for number in range(PRODUCERS)
    ]
    for thread in (*workers, *producers):
        thread.start()
    join_all(producers)
    q.stop()
    join_all(workers)
    q.join()
    assert (sorted(seen), q.qsize()) == (EXPECTED, 0)


def test_eight_threads_put_into_a_simple_queue_and_eight_handle(tracer):
    q, seen = ctxtrace.ContextQueue(queue.SimpleQueue()), []

    def produce(producer):
        for number in range(EACH):
            with serving(f"{(producer, number)}"), tracer.run():
                q.put((producer, number))

    def handler(item):
        seen.append((item, user(), has_parent()))

    workers = [
        threading.Thread(target=q.serve, args=(handler,), daemon=True) for _ in range(WORKERS)
    ]
    producers = [
        threading.Thread(target=produce, args=(number,), daemon=True) for number in range(PRODUCERS)
    ]
    for thread in (*workers, *producers):
        thread.start()
    join_all(producers)
    q.stop()
    join_all(workers)
    assert (sorted(seen), q.qsize()) == (EXPECTED, 0)


@pytest.mark.parametrize("way", ["serve", "receive", "get_with_context"])
@pytest.mark.parametrize("make", [asyncio.Queue, asyncio.LifoQueue, asyncio.PriorityQueue])
@sizes
async def test_eight_tasks_put_and_eight_handle(make, maxsize, way, tracer):
    q, seen = ctxtrace.AsyncContextQueue(make(maxsize)), []

    async def produce(producer):
        for number in range(EACH):
            with serving(f"{(producer, number)}"), tracer.run():
                await q.put((producer, number))
            if number % 3 == producer % 3:
                await asyncio.sleep(0)

    async def handler(item):
        await asyncio.sleep(0)
        seen.append((item, user(), has_parent()))

    async def work():
        if way == "serve":
            await q.serve(handler)
            return
        for _ in range(len(ITEMS) // WORKERS):
            if way == "receive":
                async with q.receive() as item:
                    await handler(item)
            else:
                item, snapshot = await q.get_with_context()
                await snapshot.run(handler, item)
                q.task_done()

    workers = [asyncio.ensure_future(work()) for _ in range(WORKERS)]
    await asyncio.gather(*[produce(number) for number in range(PRODUCERS)])
    q.stop()
    await asyncio.gather(*workers)
    await q.join()
    assert (sorted(seen), q.qsize()) == (EXPECTED, 0)


def test_control_eight_workers_at_a_bare_queue_see_no_sender(tracer):
    q, seen = queue.Queue(), []

    def work():
        for _ in range(len(ITEMS) // WORKERS):
            q.get(timeout=LIMIT)
            seen.append((user(), has_parent()))

    workers = [threading.Thread(target=work, daemon=True) for _ in range(WORKERS)]
    for thread in workers:
        thread.start()
    for item in ITEMS:
        with serving(f"{item}"), tracer.run():
            q.put(item)
    join_all(workers)
    assert set(seen) == {("nobody", False)}
