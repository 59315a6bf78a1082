"""AsyncContextQueue: an item is handled in the context of whoever put it, in another task."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import inspect
import queue
import sys
import threading

import pytest
from core.support import (
    LIMIT,
    OTHER,
    USER,
    Boom,
    current_run,
    has_parent,
    serving,
    user,
)

import ctxtrace

# Made in the test's own loop: before Python 3.10 an asyncio queue looks for one.
kinds = pytest.mark.parametrize("make", [asyncio.Queue, asyncio.LifoQueue, asyncio.PriorityQueue])


# The three ways to handle an item in its sender's context.


async def by_serve(q, work):
    results = []

    async def handler(item):
        await asyncio.sleep(0)
        results.append((item, work()))
        q.stop()

    await q.serve(handler)
    return results[0]


async def by_receive(q, work):
    async with q.receive() as item:
        await asyncio.sleep(0)
        return item, work()


async def by_get_with_context(q, work):
    async def later():
        await asyncio.sleep(0)
        return work()

    item, snapshot = await q.get_with_context()
    return item, await snapshot.drive(later())


async def by_get(q, work):
    return await q.get(), work()


ways = pytest.mark.parametrize("take", [by_serve, by_receive, by_get_with_context])


async def started(coroutine):
    """A task that has come as far as it comes by itself, before what follows."""
    task = asyncio.ensure_future(coroutine)
    for _ in range(5):
        await asyncio.sleep(0)
    return task


async def put(q, item):
    await q.put(item)


async def put_nowait(q, item):
    q.put_nowait(item)


puts = pytest.mark.parametrize("put", [put, put_nowait])


# Variables and parents.


@kinds
async def test_control_a_task_at_a_bare_queue_does_not_see_the_senders_variable(make):
    q = make()
    task = await started(by_get(q, user))
    with serving("ada"):
        await q.put(1)
    assert await task == (1, "nobody")


@kinds
@puts
@ways
async def test_a_task_that_waits_sees_the_senders_variable(make, put, take):
    q = ctxtrace.AsyncContextQueue(make())
    task = await started(take(q, user))
    with serving("ada"):
        await put(q, 1)
    assert await task == (1, "ada")


@kinds
async def test_control_through_a_bare_queue_a_child_loses_its_parent_that_returned(make, tracer):
    q = make()
    task = await started(by_get(q, has_parent))
    with tracer.run():
        q.put_nowait(1)
    gc.collect()
    assert await task == (1, False)


@kinds
@puts
@ways
async def test_a_child_finds_its_parent_that_returned(make, put, take, tracer):
    q = ctxtrace.AsyncContextQueue(make())
    task = await started(take(q, has_parent))
    with tracer.run():
        await put(q, 1)
    gc.collect()
    assert await task == (1, True)


@kinds
async def test_get_gives_the_bare_item_outside_its_senders_context(make, tracer):
    q = ctxtrace.AsyncContextQueue(make())
    with serving("ada"), tracer.run():
        await q.put(1)
        await q.put(2)
    gc.collect()
    seen = {await q.get(), q.get_nowait()}
    assert (seen, user(), has_parent()) == ({1, 2}, "nobody", False)


async def test_each_item_comes_in_the_context_it_was_put_in():
    q, seen = ctxtrace.AsyncContextQueue(asyncio.Queue()), []
    for name in ("ada", "grace"):
        with serving(name):
            await q.put(name)
    q.stop()
    await q.serve(lambda item: seen.append((item, user())))
    assert seen == [("ada", "ada"), ("grace", "grace")]


@ways
async def test_what_the_sender_sets_after_the_put_is_not_seen(take):
    q = ctxtrace.AsyncContextQueue(asyncio.Queue())
    with serving("ada"):
        await q.put(1)
        with serving("grace"):
            assert await take(q, user) == (1, "ada")


@ways
@pytest.mark.parametrize("item", [None, 0, "", (), [], float("nan"), asyncio.Queue])
async def test_any_object_is_an_item_and_comes_out_itself(take, item):
    q = ctxtrace.AsyncContextQueue(asyncio.Queue())
    await q.put(item)
    assert (await take(q, user))[0] is item


async def test_a_put_that_waits_for_room_sends_the_context_it_was_called_in(tracer):
    q = ctxtrace.AsyncContextQueue(asyncio.Queue(1))
    await q.put(1)

    async def sends():
        with serving("ada"), tracer.run():
            await q.put(2)
        gc.collect()

    task = await started(sends())
    assert await q.get() == 1
    await task
    assert await by_receive(q, lambda: (user(), has_parent())) == (2, ("ada", True))


async def test_an_item_from_another_thread_keeps_context_and_parent(tracer):
    q, sent = ctxtrace.AsyncContextQueue(asyncio.Queue()), threading.Event()
    loop = asyncio.get_running_loop()

    def request():
        with serving("ada"), tracer.run():
            loop.call_soon_threadsafe(ctxtrace.wrap(q.put_nowait), 1)
        gc.collect()
        sent.set()

    thread = threading.Thread(target=request, daemon=True)
    thread.start()
    assert sent.wait(LIMIT)  # the loop stands still until the parent is gone
    seen = await by_receive(q, lambda: (user(), has_parent()))
    thread.join(LIMIT)
    assert seen == (1, ("ada", True))


async def test_control_an_item_from_another_thread_has_lost_its_parent(tracer):
    q, sent = asyncio.Queue(), threading.Event()
    loop = asyncio.get_running_loop()

    def request():
        with serving("ada"), tracer.run():
            loop.call_soon_threadsafe(q.put_nowait, 1)
        gc.collect()
        sent.set()

    thread = threading.Thread(target=request, daemon=True)
    thread.start()
    assert sent.wait(LIMIT)
    seen = await by_get(q, lambda: (user(), has_parent()))
    thread.join(LIMIT)
    assert seen == (1, ("nobody", False))


async def test_a_task_made_while_an_item_is_handled_is_in_its_senders_context(tracer):
    q, tasks = ctxtrace.AsyncContextQueue(asyncio.Queue()), []

    async def child():
        await asyncio.sleep(0)
        return user(), has_parent()

    async def handler(_):
        tasks.append(ctxtrace.create_task(child()))

    with serving("ada"), tracer.run():
        await q.put(1)
    q.stop()
    await q.serve(handler)
    gc.collect()
    assert await tasks[0] == ("ada", True)


if sys.version_info >= (3, 12):

    @ways
    async def test_an_item_is_handled_in_its_senders_context_by_an_eager_task(take, tracer):
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        q = ctxtrace.AsyncContextQueue(asyncio.Queue())
        task = asyncio.create_task(take(q, lambda: (user(), has_parent())))
        with serving("ada"), tracer.run():
            await q.put(1)
        gc.collect()
        assert await task == (1, ("ada", True))


# receive().


async def test_receive_overlays_the_senders_context_and_takes_it_away_again(tracer):
    q = ctxtrace.AsyncContextQueue(asyncio.Queue())
    with serving("ada"), tracer.run():
        await q.put(1)
    with serving("grace"):
        async with q.receive() as item:
            seen = (item, user(), has_parent())
        assert (*seen, user(), has_parent()) == (1, "ada", True, "grace", False)


async def test_receive_takes_away_what_the_block_sets_over_the_senders_variable():
    q = ctxtrace.AsyncContextQueue(asyncio.Queue())
    with serving("ada"):
        await q.put(1)
    async with q.receive():
        USER.set("mary")
    assert user() == "nobody"


async def test_receive_gives_no_parent_to_an_item_put_outside_of_any_run(tracer):
    q = ctxtrace.AsyncContextQueue(asyncio.Queue())
    await q.put(1)
    with tracer.run():
        async with q.receive():
            assert current_run() is None


@pytest.mark.parametrize("way", ["receive", "serve"])
async def test_limit_what_a_block_of_receive_sets_and_its_sender_did_not_have_stays_set(way):
    q, seen = ctxtrace.AsyncContextQueue(asyncio.Queue()), []

    async def handler(item):
        seen.append(OTHER.get())
        OTHER.set(item)

    async def work():
        if way == "serve":
            q.stop()
            await q.serve(handler)
        else:
            for _ in range(2):
                async with q.receive() as item:
                    await handler(item)

    q.put_nowait("first")
    q.put_nowait("second")
    await asyncio.ensure_future(work())
    assert seen == ["unset", "first" if way == "receive" else "unset"]


async def test_receive_takes_the_item_when_it_is_entered():
    q = ctxtrace.AsyncContextQueue(asyncio.Queue())
    await q.put(1)
    receiving = q.receive()
    assert q.qsize() == 1
    async with receiving:
        assert q.qsize() == 0


async def test_receive_cannot_be_entered_twice():
    q = ctxtrace.AsyncContextQueue(asyncio.Queue())
    await q.put(1)
    await q.put(2)
    receiving = q.receive()
    async with receiving:
        pass
    with pytest.raises(RuntimeError, match="call it anew for each with block"):
        await receiving.__aenter__()
    assert q.qsize() == 1


async def test_receive_is_for_async_with_alone():
    q = ctxtrace.AsyncContextQueue(asyncio.Queue())
    await q.put(1)
    with pytest.raises((TypeError, AttributeError)), q.receive():  # the latter before 3.11
        pass
    assert q.qsize() == 1


async def test_receive_passes_on_the_error_of_its_block():
    q = ctxtrace.AsyncContextQueue(asyncio.Queue())
    with serving("ada"):
        await q.put(1)
    error = Boom()
    with pytest.raises(Boom) as raised:
        async with q.receive():
            raise error
    assert (raised.value, user()) == (error, "nobody")


# Items that were put into the inner queue directly.


@kinds
async def test_an_item_put_into_the_inner_queue_comes_out_with_an_empty_snapshot(make, tracer):
    inner = make()
    q = ctxtrace.AsyncContextQueue(inner)
    with serving("ada"), tracer.run():
        await inner.put(1)
        item, snapshot = await q.get_with_context()
        assert (item, snapshot.run(user), snapshot.run(has_parent)) == (1, "nobody", False)
        assert list(snapshot.run(contextvars.copy_context)) == []


@kinds
async def test_get_gives_an_item_put_into_the_inner_queue_as_it_is(make):
    inner = make()
    inner.put_nowait(1)
    inner.put_nowait(2)
    q = ctxtrace.AsyncContextQueue(inner)
    assert {await q.get(), q.get_nowait()} == {1, 2}


@kinds
@pytest.mark.parametrize(
    ("take", "expected"), [(by_serve, ("nobody", False)), (by_receive, ("ada", False))]
)
async def test_an_item_put_into_the_inner_queue_is_handled_without_a_parent(
    make, take, expected, tracer
):
    inner = make()
    q = ctxtrace.AsyncContextQueue(inner)
    with serving("ada"), tracer.run():
        await inner.put(1)
        assert await take(q, lambda: (user(), has_parent())) == (1, expected)


# The interface of the wrapped queue.


def public(thing):
    return {name for name in dir(thing) if not name.startswith("_")}


@kinds
async def test_it_has_every_public_attribute_of_the_queue(make):
    inner = make()
    q = ctxtrace.AsyncContextQueue(inner)
    assert [name for name in sorted(public(inner)) if not hasattr(q, name)] == []


@kinds
async def test_what_it_does_not_do_itself_is_the_queues_own(make):
    inner = make()
    q = ctxtrace.AsyncContextQueue(inner)
    for name in sorted(public(inner) - public(ctxtrace.AsyncContextQueue)):
        assert getattr(q, name) == getattr(inner, name)


@kinds
@pytest.mark.parametrize("name", ["put", "put_nowait", "get", "get_nowait", "join", "task_done"])
async def test_its_methods_are_of_the_kind_of_the_queues(make, name):
    ours, standard = getattr(ctxtrace.AsyncContextQueue(make()), name), getattr(make(), name)
    assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(standard)


async def test_put_and_get_take_whatever_arguments_the_queue_takes():
    class Telling(asyncio.Queue):
        async def put(self, item, *, note=None):
            notes.append(note)
            await super().put(item)

        async def get(self, *, note=None):
            notes.append(note)
            return await super().get()

    notes = []
    q = ctxtrace.AsyncContextQueue(Telling())
    await q.put(1, note="in")
    assert (await q.get(note="out"), notes) == (1, ["in", "out"])


@kinds
@pytest.mark.parametrize("name", ["nonsense", "unfinished_tasks"])
async def test_what_the_queue_lacks_is_no_attribute(make, name):
    inner = make()
    with pytest.raises(AttributeError) as raised:
        getattr(ctxtrace.AsyncContextQueue(inner), name)
    with pytest.raises(AttributeError) as standard:
        getattr(inner, name)
    assert str(raised.value) == str(standard.value)


@kinds
async def test_its_size_is_that_of_the_queue(make):
    inner = make()
    q = ctxtrace.AsyncContextQueue(inner)
    sizes = [(q.qsize(), q.empty())]
    await q.put(1)
    await inner.put(2)
    sizes.append((q.qsize(), q.empty()))
    assert sizes == [(0, True), (2, False)]


@kinds
async def test_a_bounded_queue_stays_bounded(make):
    q = ctxtrace.AsyncContextQueue(make(2))
    await q.put(1)
    before = q.full()
    await q.put(2)
    assert (q.maxsize, before, q.full()) == (2, False, True)
    with pytest.raises(asyncio.QueueFull):
        q.put_nowait(3)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(q.put(3), 0.01)
    assert q.qsize() == 2


@kinds
async def test_taking_from_an_empty_queue_raises_empty_or_waits(make):
    q = ctxtrace.AsyncContextQueue(make())
    with pytest.raises(asyncio.QueueEmpty):
        q.get_nowait()
    for take in (q.get, q.get_with_context, q.receive().__aenter__):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(take(), 0.01)


@kinds
async def test_get_does_not_call_task_done(make):
    q = ctxtrace.AsyncContextQueue(make())
    for item in range(3):
        await q.put(item)
    await q.get()
    q.get_nowait()
    await q.get_with_context()
    joining = await started(q.join())
    for _ in range(3):
        assert not joining.done()
        q.task_done()
    await joining
    with pytest.raises(ValueError, match="called too many times"):
        q.task_done()


@kinds
@pytest.mark.parametrize("error", [None, Boom])
async def test_receive_calls_task_done_once_after_the_block(make, error):
    q = ctxtrace.AsyncContextQueue(make())
    await q.put(1)
    joining = await started(q.join())
    with contextlib.suppress(Boom):
        async with q.receive():
            await asyncio.sleep(0)
            assert not joining.done()
            if error is not None:
                raise error
    await joining
    with pytest.raises(ValueError, match="called too many times"):
        q.task_done()


@kinds
async def test_task_done_is_called_outside_the_senders_context(make):
    class Watched(make):
        def task_done(self):
            seen.append(user())
            super().task_done()

    seen = []
    q = ctxtrace.AsyncContextQueue(Watched())
    with serving("ada"):
        await q.put(1)
        await q.put(2)
    await by_receive(q, user)
    await by_serve(q, user)
    assert seen == ["nobody", "nobody"]


@kinds
async def test_join_returns_when_serve_and_receive_handled_everything(make):
    q, handled = ctxtrace.AsyncContextQueue(make()), []
    for item in range(6):
        await q.put(item)
    joining = await started(q.join())
    async with q.receive():
        serving_task = await started(q.serve(handled.append))
        assert (len(handled), joining.done()) == (5, False)
    await joining
    q.stop()
    await serving_task


if hasattr(asyncio, "QueueShutDown"):

    @kinds
    async def test_a_queue_that_was_shut_down_takes_nothing_more(make):
        q = ctxtrace.AsyncContextQueue(make())
        q.shutdown()
        with pytest.raises(asyncio.QueueShutDown):
            await q.put(1)
        with pytest.raises(asyncio.QueueShutDown):
            q.put_nowait(1)

    @kinds
    async def test_a_queue_that_was_shut_down_gives_what_it_has_and_then_raises(make):
        q = ctxtrace.AsyncContextQueue(make())
        with serving("ada"):
            for item in range(4):
                await q.put(item)
        q.shutdown()
        seen = {
            await q.get(),
            q.get_nowait(),
            await by_receive(q, user),
            await by_get_with_context(q, user),
        }
        assert len(seen) == 4
        for take in (q.get, q.get_with_context, q.receive().__aenter__):
            with pytest.raises(asyncio.QueueShutDown):
                await take()
        with pytest.raises(asyncio.QueueShutDown):
            q.get_nowait()

    @kinds
    @pytest.mark.parametrize("name", ["get", "get_with_context"])
    async def test_a_shutdown_ends_those_that_wait(make, name):
        q = ctxtrace.AsyncContextQueue(make())
        task = await started(getattr(q, name)())
        q.shutdown()
        with pytest.raises(asyncio.QueueShutDown):
            await task

else:

    @kinds
    async def test_before_3_13_there_is_no_shutdown(make):
        assert not hasattr(ctxtrace.AsyncContextQueue(make()), "shutdown")


async def test_its_repr_says_what_it_wraps_and_shows_no_item():
    q = ctxtrace.AsyncContextQueue(asyncio.LifoQueue())
    await q.put("secret")
    assert repr(q) == f"<ctxtrace.AsyncContextQueue of a LifoQueue at {id(q):#x}>"


async def test_it_can_be_subscripted():
    assert ctxtrace.AsyncContextQueue[int](asyncio.Queue()).maxsize == 0


async def test_any_object_with_the_methods_of_a_queue_can_be_wrapped():
    class FromThreads:
        def __init__(self):
            self.inner = queue.Queue()
            for name in ("put_nowait", "get_nowait", "qsize", "empty"):
                setattr(self, name, getattr(self.inner, name))

        async def put(self, item):
            self.inner.put(item)

        async def get(self):
            return self.inner.get()

    q = ctxtrace.AsyncContextQueue(FromThreads())
    with serving("ada"):
        await q.put(1)
    assert await by_receive(q, user) == (1, "ada")


@pytest.mark.parametrize("name", ["put", "put_nowait", "get", "get_nowait"])
async def test_it_is_called_as_the_queue_is(name):
    ours = inspect.signature(getattr(ctxtrace.AsyncContextQueue(asyncio.Queue()), name)).parameters
    standard = inspect.signature(getattr(asyncio.Queue(), name)).parameters
    assert list(ours) == list(standard)


async def test_a_plain_with_says_that_it_is_to_be_async():
    q = ctxtrace.AsyncContextQueue(asyncio.Queue())
    with pytest.raises((TypeError, AttributeError)), q.receive():
        pass


async def test_stop_waits_for_those_who_are_being_given_room():
    q = ctxtrace.AsyncContextQueue(asyncio.Queue(1))
    producers = [asyncio.ensure_future(q.put(number)) for number in range(4)]
    await asyncio.sleep(0)
    seen = []
    q.stop()
    await q.serve(seen.append)
    assert seen == [0, 1, 2, 3]
    await asyncio.gather(*producers)


async def test_a_loop_that_is_cancelled_with_its_stop_is_cancelled_and_leaves_nothing():
    q = ctxtrace.AsyncContextQueue(asyncio.Queue(1))
    went_on = []

    async def serve():
        await q.serve(print)
        went_on.append(True)

    task = asyncio.ensure_future(serve())
    await asyncio.sleep(0)
    q.stop()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert (went_on, q.qsize(), q.empty(), q.full()) == ([], 0, True, False)
