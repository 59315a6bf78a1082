"""An item keeps its sender's run alive until it is handled or dropped, and no longer.

All without the garbage collector: what is not freed at once is part of a cycle.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading

import pytest
from core.support import LIMIT, Boom, caught, fail, has_parent

import ctxtrace

pytestmark = pytest.mark.usefixtures("no_gc")

COUNTING = [queue.Queue, queue.LifoQueue, queue.PriorityQueue]
ASYNC = [asyncio.Queue, asyncio.LifoQueue, asyncio.PriorityQueue]

kinds = pytest.mark.parametrize("make", [*COUNTING, queue.SimpleQueue])
counting_kinds = pytest.mark.parametrize("make", COUNTING)
async_kinds = pytest.mark.parametrize("make", ASYNC)


def sent(tracer, make, item=1):
    q = ctxtrace.ContextQueue(make())
    with tracer.run() as run:
        q.put(item)
    return q, run


async def sent_async(tracer, make, item=1):
    q = ctxtrace.AsyncContextQueue(make())
    with tracer.run() as run:
        await q.put(item)
    return q, run


@contextlib.contextmanager
def served(q, handler, **keywords):
    """A thread that serves the queue, and goes on waiting."""
    thread = threading.Thread(target=q.serve, args=(handler,), kwargs=keywords, daemon=True)
    thread.start()
    try:
        yield
    finally:
        q.stop()
        thread.join(LIMIT)


async def settled():
    for _ in range(5):
        await asyncio.sleep(0)


async def started(coroutine):
    task = asyncio.ensure_future(coroutine)
    await settled()
    return task


# While it waits, and when it is taken.


@kinds
def test_control_a_bare_queue_does_not_keep_the_run(make, tracer):
    q = make()
    with tracer.run() as run:
        q.put(1)
    assert (q.qsize(), run()) == (1, None)


@kinds
def test_an_item_that_waits_keeps_the_run(make, tracer):
    q, run = sent(tracer, make)
    assert (q.qsize(), run() is not None) == (1, True)


@kinds
@pytest.mark.parametrize("take", ["get", "get_nowait"])
def test_an_item_that_is_taken_bare_frees_the_run(make, take, tracer):
    q, run = sent(tracer, make)
    assert (getattr(q, take)(), run()) == (1, None)


@kinds
def test_a_queue_that_is_dropped_frees_the_run(make, tracer):
    q, run = sent(tracer, make)
    del q
    assert run() is None


@kinds
def test_a_queue_that_was_used_in_every_way_is_freed_at_once(make, tracer):
    q, _ = sent(tracer, make)
    with q.receive():
        pass
    q.put(2)
    q.stop()
    q.serve(int)
    with tracer.run() as run:
        q.put(3)
    del q
    assert run() is None


@kinds
def test_receive_keeps_the_run_during_the_block_and_no_longer(make, tracer):
    q, run = sent(tracer, make)
    receiving = q.receive()
    with receiving:
        assert has_parent()
    assert run() is None


@kinds
def test_receive_frees_the_run_while_the_error_of_its_block_is_kept(make, tracer):
    q, run = sent(tracer, make)

    def block():
        with q.receive():
            raise Boom

    error = caught(block)
    assert (type(error), run()) == (Boom, None)


@kinds
def test_a_snapshot_from_a_queue_keeps_the_run_until_it_is_dropped(make, tracer):
    q, run = sent(tracer, make)
    item, snapshot = q.get_with_context()
    assert (item, run() is not None) == (1, True)
    del snapshot
    assert run() is None


if hasattr(queue, "ShutDown"):

    @counting_kinds
    def test_items_that_a_shutdown_drops_free_the_run(make, tracer):
        q, run = sent(tracer, make)
        q.shutdown(immediate=True)
        assert run() is None

    @counting_kinds
    def test_a_put_after_a_shutdown_holds_nothing_while_its_error_is_kept(make, tracer):
        q = ctxtrace.ContextQueue(make())
        q.shutdown()
        with tracer.run() as run:
            error = caught(q.put, 1)
        assert (type(error), run()) == (queue.ShutDown, None)

    @async_kinds
    @pytest.mark.parametrize("name", ["put", "put_nowait"])
    async def test_an_async_put_after_a_shutdown_holds_nothing_while_its_error_is_kept(
        make, name, tracer
    ):
        q = ctxtrace.AsyncContextQueue(make())
        q.shutdown()

        async def puts():
            put = getattr(q, name)(1)
            await put

        with tracer.run() as run:
            task = await started(puts())
        assert (type(task.exception()), run()) == (asyncio.QueueShutDown, None)


@counting_kinds
@pytest.mark.parametrize("arguments", [(False,), (True, 0.01)])
def test_a_put_that_found_no_room_holds_nothing_while_its_error_is_kept(make, arguments, tracer):
    q = ctxtrace.ContextQueue(make(1))
    q.put(1)
    with tracer.run() as run:
        error = caught(q.put, 2, *arguments)
    assert (type(error), run()) == (queue.Full, None)


# serve().


@counting_kinds
def test_serve_keeps_the_run_while_the_item_is_handled(make, tracer):
    q, _ = sent(tracer, make)
    seen = []
    q.stop()
    q.serve(lambda _: seen.append(has_parent()))
    assert seen == [True]


@counting_kinds
@pytest.mark.parametrize("handler", [int, fail])
def test_serve_that_waits_for_the_next_item_keeps_no_run(make, handler, tracer):
    q, run = sent(tracer, make)
    with served(q, handler, on_error=id):
        q.join()
        assert run() is None


def test_serve_of_a_simple_queue_keeps_no_run_when_the_next_item_is_handled(tracer):
    q, run = sent(tracer, queue.SimpleQueue)
    handled = threading.Event()
    q.put(2)
    seen = []

    def handler(item):
        if item == 2:
            seen.append(run())
            handled.set()

    with served(q, handler):
        assert handled.wait(LIMIT)
    assert seen == [None]


@counting_kinds
def test_an_error_that_on_error_keeps_holds_no_run(make, tracer):
    q, run = sent(tracer, make)
    kept = []
    with served(q, fail, on_error=kept.append):
        q.join()
        assert ([type(error) for error in kept], run()) == ([Boom], None)


@counting_kinds
def test_an_error_that_the_log_keeps_holds_no_run(make, tracer, caplog):
    q, run = sent(tracer, make)
    with served(q, fail):
        q.join()
        assert (len(caplog.records), run()) == (1, None)


@counting_kinds
def test_errors_of_on_error_that_are_kept_hold_no_run(make, tracer, caplog):
    q, run = sent(tracer, make)
    kept = []

    def on_error(error):
        kept.append(error)
        raise KeyError

    with served(q, fail, on_error=on_error):
        q.join()
        assert (len(kept), len(caplog.records), run()) == (1, 1, None)


class Ending(BaseException):
    pass


@kinds
@pytest.mark.parametrize("where", ["handler", "on_error"])
def test_what_ended_the_loop_holds_no_run(make, where, tracer):
    q, run = sent(tracer, make)

    def ends(_):
        raise Ending

    error = caught(q.serve, *((ends,) if where == "handler" else (fail,)), on_error=ends)
    assert (type(error), run()) == (Ending, None)


# asyncio.


@async_kinds
async def test_control_a_bare_asyncio_queue_does_not_keep_the_run(make, tracer):
    q = make()
    with tracer.run() as run:
        await q.put(1)
    assert (q.qsize(), run()) == (1, None)


@async_kinds
async def test_an_item_that_waits_in_an_async_queue_keeps_the_run(make, tracer):
    q, run = await sent_async(tracer, make)
    assert (q.qsize(), run() is not None) == (1, True)


@async_kinds
@pytest.mark.parametrize("take", ["get", "get_nowait"])
async def test_an_item_that_is_taken_bare_from_an_async_queue_frees_the_run(make, take, tracer):
    q, run = await sent_async(tracer, make)
    item = await q.get() if take == "get" else q.get_nowait()
    assert (item, run()) == (1, None)


@async_kinds
async def test_an_async_queue_that_is_dropped_frees_the_run(make, tracer):
    q, run = await sent_async(tracer, make)
    del q
    assert run() is None


@async_kinds
async def test_async_receive_keeps_the_run_during_the_block_and_no_longer(make, tracer):
    q, run = await sent_async(tracer, make)
    receiving = q.receive()
    async with receiving:
        await asyncio.sleep(0)
        assert has_parent()
    assert run() is None


@async_kinds
async def test_async_receive_frees_the_run_while_the_error_of_its_block_is_kept(make, tracer):
    q, run = await sent_async(tracer, make)

    async def block():
        async with q.receive():
            raise Boom

    task = await started(block())
    assert (type(task.exception()), run()) == (Boom, None)


@async_kinds
async def test_a_snapshot_from_an_async_queue_keeps_the_run_until_it_is_dropped(make, tracer):
    q, run = await sent_async(tracer, make)
    item, snapshot = await q.get_with_context()
    assert (item, run() is not None) == (1, True)
    del snapshot
    assert run() is None


@async_kinds
async def test_an_async_put_that_found_no_room_holds_nothing_while_its_error_is_kept(make, tracer):
    q = ctxtrace.AsyncContextQueue(make(1))
    await q.put(1)
    with tracer.run() as run:
        error = caught(q.put_nowait, 2)
    assert (type(error), run()) == (asyncio.QueueFull, None)


@async_kinds
async def test_a_put_that_waits_for_room_keeps_the_run_until_it_is_taken(make, tracer):
    q = ctxtrace.AsyncContextQueue(make(1))
    await q.put(1)
    with tracer.run() as run:
        task = await started(q.put(2))
    assert run() is not None
    taken = {await q.get()}
    await task
    taken.add(await q.get())
    assert (taken, run()) == ({1, 2}, None)


@async_kinds
async def test_a_put_that_was_cancelled_holds_nothing_while_its_task_is_kept(make, tracer):
    q = ctxtrace.AsyncContextQueue(make(1))
    await q.put(1)

    async def puts():
        try:
            await q.put(2)
        except asyncio.CancelledError as error:
            kept.append(error)
            raise

    kept = []
    with tracer.run() as run:
        task = await started(puts())
    assert run() is not None
    task.cancel()
    await settled()
    assert (task.cancelled(), len(kept), q.qsize(), run()) == (True, 1, 1, None)


async def fails(_):
    await asyncio.sleep(0)
    raise Boom


async def handles(_):
    await asyncio.sleep(0)
    assert has_parent()


@async_kinds
@pytest.mark.parametrize("handler", [handles, fails, int, fail])
async def test_async_serve_that_waits_for_the_next_item_keeps_no_run(make, handler, tracer):
    q, run = await sent_async(tracer, make)
    kept = []
    task = await started(q.serve(handler, on_error=kept.append))
    await q.join()
    assert (len(kept), run()) == (int(handler in (fail, fails)), None)
    q.stop()
    await task


@async_kinds
@pytest.mark.parametrize("handler", [fails, fail])
async def test_an_error_that_the_log_keeps_of_async_serve_holds_no_run(
    make, handler, tracer, caplog
):
    q, run = await sent_async(tracer, make)
    task = await started(q.serve(handler))
    await q.join()
    assert (len(caplog.records), run()) == (1, None)
    q.stop()
    await task


@async_kinds
async def test_errors_of_an_async_on_error_that_are_kept_hold_no_run(make, tracer, caplog):
    q, run = await sent_async(tracer, make)
    kept = []

    async def on_error(error):
        kept.append(error)
        await asyncio.sleep(0)
        raise KeyError

    task = await started(q.serve(fails, on_error=on_error))
    await q.join()
    assert (len(kept), len(caplog.records), run()) == (1, 1, None)
    q.stop()
    await task


@async_kinds
async def test_what_ended_an_async_loop_holds_no_run_while_its_task_is_kept(make, tracer):
    q, run = await sent_async(tracer, make)

    async def ends(_):
        await asyncio.sleep(0)
        raise Ending

    task = await started(q.serve(ends))
    assert (type(task.exception()), run()) == (Ending, None)


@async_kinds
async def test_a_loop_cancelled_at_work_holds_no_run_while_task_and_error_are_kept(make, tracer):
    q, run = await sent_async(tracer, make)

    async def works(_):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            kept.append(error)
            raise

    kept = []
    task = await started(q.serve(works))
    assert run() is not None
    task.cancel()
    await settled()
    assert (task.cancelled(), len(kept), run()) == (True, 1, None)


@async_kinds
async def test_a_loop_that_is_closed_at_work_holds_no_run(make, tracer):
    q, run = await sent_async(tracer, make)
    gate = asyncio.get_running_loop().create_future()

    async def works(_):
        await gate

    loop = q.serve(works)
    loop.send(None)
    assert run() is not None
    loop.close()
    assert run() is None


@async_kinds
async def test_a_block_of_receive_that_is_cancelled_frees_the_run(make, tracer):
    q, run = await sent_async(tracer, make)

    async def block():
        async with q.receive():
            await asyncio.Event().wait()

    task = await started(block())
    assert run() is not None
    task.cancel()
    await settled()
    assert (task.cancelled(), run()) == (True, None)
