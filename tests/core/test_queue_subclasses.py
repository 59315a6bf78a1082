"""Queues of the user's own: subclasses of the standard ones, and classes that stand alone."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import heapq
import queue
import threading
import types

import pytest
from chance import rounds
from core.support import LIMIT, caught, current_run, serving, user

import ctxtrace


class Ending(BaseException):
    pass


class OwnGet(queue.Queue):
    """Takes in a way of its own, as one that counts or logs does."""

    def get(self, block=True, timeout=None):
        return super().get(block, timeout)


class Alone:
    """Has what a SimpleQueue has, and nothing more."""

    def __init__(self):
        self._inner = queue.SimpleQueue()
        for name in ("put", "get", "put_nowait", "get_nowait", "empty", "qsize"):
            setattr(self, name, getattr(self._inner, name))


class HighestFirst(queue.Queue):
    """A heap by a key that is read from the item."""

    def _init(self, maxsize):
        self.queue = []

    def _put(self, item):
        heapq.heappush(self.queue, (-item.priority, id(item), item))

    def _get(self):
        return heapq.heappop(self.queue)[2]


class Job:
    def __init__(self, priority):
        self.priority = priority


own_kinds = pytest.mark.parametrize("make", [queue.Queue, OwnGet])
all_kinds = pytest.mark.parametrize("make", [queue.Queue, OwnGet, Alone])


@contextlib.contextmanager
def threads(*targets):
    """Run these at once; at the end all are done."""
    running = [threading.Thread(target=target, daemon=True) for target in targets]
    for thread in running:
        thread.start()
    yield
    for thread in running:
        thread.join(LIMIT)
    assert [thread for thread in running if thread.is_alive()] == []


@all_kinds
def test_control_a_thread_at_the_bare_queue_does_not_see_the_senders_variable(make):
    q, seen = make(), []
    with threads(lambda: seen.append((q.get(), user()))), serving("ada"):
        q.put(1)
    assert seen == [(1, "nobody")]


@all_kinds
def test_an_item_is_handled_in_its_senders_context_and_stop_ends_the_loops(make):
    q, seen = ctxtrace.ContextQueue(make()), []
    with threads(*[lambda: q.serve(lambda item: seen.append((item, user())))] * 3):
        for number in range(10):
            with serving(str(number)):
                q.put(number)
        q.stop()
    assert sorted(seen) == [(number, str(number)) for number in range(10)]
    assert (q.qsize(), q.empty()) == (0, True)


@own_kinds
def test_a_handler_that_puts_finds_room_while_all_are_to_end(make):
    for _ in rounds(20):
        q, seen = ctxtrace.ContextQueue(make(2)), []

        def handler(item, q=q, seen=seen):
            q.stop()
            seen.append(item)
            if item < 6:
                q.put(item + 2)

        q.put(0)
        with threads(*[lambda q=q, handler=handler: q.serve(handler)] * 3):
            pass
        assert seen == [0, 2, 4, 6]


@own_kinds
def test_a_loop_that_ends_by_an_error_after_a_stop_leaves_nothing_in_the_queue(make):
    inner = make()
    q = ctxtrace.ContextQueue(inner)

    def handler(_):
        q.stop()
        raise Ending

    q.put(1)
    assert type(caught(q.serve, handler)) is Ending
    assert inner.qsize() == 0
    q.join()


@own_kinds
def test_a_handler_that_calls_task_done_itself_does_not_end_the_loops(make):
    q, seen = ctxtrace.ContextQueue(make()), []

    def handler(item):
        seen.append(item)
        q.task_done()

    with threads(*[lambda: q.serve(handler)] * 2):
        for number in range(6):
            q.put(number)
        q.stop()
    assert sorted(seen) == list(range(6))


@own_kinds
def test_the_stop_of_one_wrapper_leaves_the_loops_of_another_around_the_same_queue(make):
    for _ in rounds(20):
        inner, seen, first_ended = make(2), [], threading.Event()
        first, second = ctxtrace.ContextQueue(inner), ctxtrace.ContextQueue(inner)

        def serve_first(first=first, seen=seen, first_ended=first_ended):
            first.serve(seen.append)
            first_ended.set()

        with threads(serve_first, lambda second=second, seen=seen: second.serve(seen.append)):
            first.put(1)
            first.stop()
            assert first_ended.wait(LIMIT)
            second.put(2)
            second.stop()
        assert (sorted(seen), inner.qsize()) == ([1, 2], 0)


def test_a_queue_that_reads_a_key_from_its_items_finds_it_and_can_be_stopped():
    q, seen = ctxtrace.ContextQueue(HighestFirst()), []
    for priority in (2, 3, 1):
        with serving(str(priority)):
            q.put(Job(priority))
    q.stop()
    q.serve(lambda job: seen.append((job.priority, user())))
    assert seen == [(3, "3"), (2, "2"), (1, "1")]


# asyncio


class AwaitsAfterTaking(asyncio.Queue):
    async def get(self):
        item = await super().get()
        await asyncio.sleep(0)
        await self.gate.wait()
        return item


class AwaitsAfterPutting(asyncio.Queue):
    async def put(self, item):
        await super().put(item)
        await self.gate.wait()


class FromGenerators(asyncio.Queue):
    """Its get is a coroutine of the older kind, which is a generator."""

    @types.coroutine
    def get(self):
        return (yield from super().get().__await__())


class Conditioned:
    """Waits for a condition, and thus for a lock once more after that."""

    def __init__(self):
        self.items = collections.deque()
        self.changed = asyncio.Condition()

    async def put(self, item):
        async with self.changed:
            self.put_nowait(item)
            self.changed.notify()

    def put_nowait(self, item):
        self.items.append(item)

    async def get(self):
        async with self.changed:
            while not self.items:
                await self.changed.wait()
            return self.items.popleft()

    def get_nowait(self):
        if not self.items:
            raise asyncio.QueueEmpty
        return self.items.popleft()

    def empty(self):
        return not self.items

    def qsize(self):
        return len(self.items)


async def settled():
    for _ in range(8):
        await asyncio.sleep(0)


@pytest.mark.parametrize("make", [FromGenerators, Conditioned])
async def test_control_a_task_at_the_bare_async_queue_does_not_see_the_senders_variable(make):
    q = make()

    async def take():
        return await q.get(), user()

    task = asyncio.ensure_future(take())
    await settled()
    with serving("ada"):
        await q.put(1)
    assert await task == (1, "nobody")


@pytest.mark.parametrize("make", [FromGenerators, Conditioned])
async def test_an_async_queue_of_ones_own_carries_and_is_stopped(make):
    q, seen = ctxtrace.AsyncContextQueue(make()), []
    tasks = [
        asyncio.ensure_future(q.serve(lambda item: seen.append((item, user())))) for _ in range(3)
    ]
    await settled()
    for number in range(10):
        with serving(str(number)):
            await q.put(number)
    q.stop()
    await asyncio.gather(*tasks)
    assert sorted(seen) == [(number, str(number)) for number in range(10)]
    assert q.empty()


async def test_a_stop_under_the_lock_that_the_queue_waits_for_ends_the_loops():
    inner = Conditioned()
    q = ctxtrace.AsyncContextQueue(inner)
    tasks = [asyncio.ensure_future(q.serve(print)) for _ in range(3)]
    await settled()
    async with inner.changed:
        q.stop()
        await settled()
    await asyncio.gather(*tasks)


async def test_a_stop_loses_no_item_of_a_queue_that_awaits_after_it_took_one():
    inner, seen = AwaitsAfterTaking(), []
    inner.gate = asyncio.Event()
    q = ctxtrace.AsyncContextQueue(inner)
    tasks = [asyncio.ensure_future(q.serve(seen.append)) for _ in range(2)]
    await settled()
    q.put_nowait(1)
    await settled()
    q.stop()
    await settled()
    inner.gate.set()
    await asyncio.gather(*tasks)
    assert seen == [1]
    await q.join()


async def test_a_put_that_is_cancelled_after_the_queue_took_the_item_keeps_its_sender(tracer):
    inner = AwaitsAfterPutting()
    inner.gate = asyncio.Event()
    q = ctxtrace.AsyncContextQueue(inner)
    with tracer.run() as run:
        putting = asyncio.ensure_future(q.put(1))
        await settled()
        putting.cancel()
        await asyncio.wait([putting])
    assert putting.cancelled()
    item, snapshot = await q.get_with_context()
    assert item == 1
    assert snapshot.run(current_run) is run() is not None
