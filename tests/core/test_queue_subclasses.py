"""Queues of the user's own: subclasses of the standard ones, and classes that stand alone."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import heapq
import queue
import sys
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


class Pairs(OwnGet):
    """Looks into its items as they are put, and refuses whatever is no pair."""

    def _put(self, item):
        _, _ = item
        super()._put(item)


class SaysItIsShutDown(queue.Queue):
    """Has a name of Python 3.13's for something of its own, where that is free."""

    is_shutdown = sys.version_info < (3, 13)


class NoneForEmpty(queue.Queue):
    def get_nowait(self):
        try:
            return super().get_nowait()
        except queue.Empty:
            return None


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


def test_a_queue_that_refuses_all_but_its_own_kind_of_item_can_be_stopped():
    q, seen = ctxtrace.ContextQueue(Pairs()), []
    with threads(*[lambda: q.serve(lambda item: seen.append((item, user())))] * 2):
        with serving("ada"):
            q.put((1, 2))
        q.stop()
    assert seen == [((1, 2), "ada")]


@pytest.mark.parametrize("make", [NoneForEmpty, SaysItIsShutDown])
def test_a_loop_waits_for_what_the_queues_get_waits_for_and_nothing_else(make):
    waits = threading.Event()

    class Watched(threading.Condition):
        def wait(self, timeout=None):
            waits.set()
            return super().wait(timeout)

    inner, seen = make(), []
    inner.not_empty = Watched(inner.mutex)
    q = ctxtrace.ContextQueue(inner)
    with threads(lambda: q.serve(seen.append)):
        is_waiting = waits.wait(LIMIT)
        q.put(1)
        q.stop()
    assert (seen, is_waiting) == ([1], True)


# asyncio


class AwaitsBeforeTaking(asyncio.Queue):
    """As one that limits a rate does."""

    async def get(self):
        await asyncio.sleep(0)
        return await super().get()


class WithTimeouts(asyncio.Queue):
    """Wakes now and then; before Python 3.12 each wait is a task."""

    timeouts = 0

    async def get(self):
        while True:
            try:
                return await asyncio.wait_for(super().get(), 0.001)
            except asyncio.TimeoutError:
                self.timeouts += 1


class TakesInATask(asyncio.Queue):
    async def get(self):
        return await asyncio.ensure_future(super().get())


class Opens(asyncio.Queue):
    """Keeps pairs, of which its get gives the second, and its get_nowait both."""

    async def put(self, item):
        await super().put((0, item))

    async def get(self):
        return (await super().get())[1]


class GivesFutures:
    """Its get is no coroutine: it returns a future, that is set by whoever puts."""

    def __init__(self):
        self.items = collections.deque()
        self.getters = collections.deque()

    async def put(self, item):
        self.put_nowait(item)

    def put_nowait(self, item):
        while self.getters:
            getter = self.getters.popleft()
            if not getter.done():
                getter.set_result(item)
                return
        self.items.append(item)

    def get(self):
        future = asyncio.get_running_loop().create_future()
        if self.items:
            future.set_result(self.items.popleft())
        else:
            self.getters.append(future)
        return future

    def get_nowait(self):
        return self.items.popleft()  # an error of its own where there is none

    def empty(self):
        return not self.items

    def qsize(self):
        return len(self.items)


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


own_async_kinds = pytest.mark.parametrize(
    "make",
    [
        AwaitsBeforeTaking,
        WithTimeouts,
        TakesInATask,
        Opens,
        GivesFutures,
        FromGenerators,
        Conditioned,
    ],
)


@own_async_kinds
async def test_control_a_task_at_the_bare_async_queue_does_not_see_the_senders_variable(make):
    q = make()

    async def take():
        return await q.get(), user()

    task = asyncio.ensure_future(take())
    await settled()
    with serving("ada"):
        await q.put(1)
    assert await task == (1, "nobody")


@own_async_kinds
@pytest.mark.parametrize("stop", ["before", "after"])
async def test_an_async_queue_of_ones_own_carries_and_is_stopped(make, stop):
    q, seen = ctxtrace.AsyncContextQueue(make()), []
    tasks = [
        asyncio.ensure_future(q.serve(lambda item: seen.append((item, user())))) for _ in range(3)
    ]
    if stop == "after":
        await settled()
    for number in range(10):
        with serving(str(number)):
            await q.put(number)
    if stop == "after":
        await settled()
    q.stop()
    await asyncio.gather(*tasks)
    assert sorted(seen) == [(number, str(number)) for number in range(10)]
    assert q.empty()


async def cancelled(q):
    task = asyncio.ensure_future(q.get())
    await settled()
    task.cancel()
    await asyncio.wait([task])


async def cancelled_while_it_serves(q):
    task = asyncio.ensure_future(ctxtrace.AsyncContextQueue(q).serve(print))
    await settled()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def stopped(q):
    wrapper = ctxtrace.AsyncContextQueue(q)
    task = asyncio.ensure_future(wrapper.serve(print))
    await settled()
    wrapper.stop()
    await task


async def stopped_and_cancelled(q):
    wrapper = ctxtrace.AsyncContextQueue(q)
    task = asyncio.ensure_future(wrapper.serve(print))
    await settled()
    wrapper.stop()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def cancelled_and_stopped(q):
    wrapper = ctxtrace.AsyncContextQueue(q)
    task = asyncio.ensure_future(wrapper.serve(print))
    await settled()
    task.cancel()
    await asyncio.sleep(0)
    wrapper.stop()
    await asyncio.wait([task])
    assert task.cancelled()


ends = pytest.mark.parametrize(
    "end",
    [
        cancelled,
        cancelled_while_it_serves,
        stopped,
        stopped_and_cancelled,
        cancelled_and_stopped,
    ],
)


@own_async_kinds
@ends
async def test_a_loop_that_ends_leaves_nobody_behind_who_takes_the_next_item(make, end):
    q = make()
    await end(q)
    await q.put(1)
    await settled()
    assert (q.qsize(), await asyncio.wait_for(q.get(), LIMIT)) == (1, 1)


async def test_a_loop_is_stopped_whose_queue_gave_up_waiting_before_and_began_anew():
    inner = WithTimeouts()
    q = ctxtrace.AsyncContextQueue(inner)
    task = asyncio.ensure_future(q.serve(print))
    while inner.timeouts < 2:
        await asyncio.sleep(0)
    q.stop()
    await asyncio.wait_for(task, LIMIT)


async def test_a_loop_that_lost_the_last_item_to_another_is_stopped():
    q, seen = ctxtrace.AsyncContextQueue(AwaitsBeforeTaking()), []
    q.put_nowait(1)
    tasks = [asyncio.ensure_future(q.serve(seen.append)) for _ in range(2)]
    await settled()
    q.stop()
    await asyncio.wait_for(asyncio.gather(*tasks), LIMIT)
    assert seen == [1]


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
