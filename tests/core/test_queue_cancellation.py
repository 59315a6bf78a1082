"""A task that is cancelled at a queue loses no item and keeps nobody else from going on."""

from __future__ import annotations

import asyncio

import pytest
from chance import examples
from core.support import serving, user
from hypothesis import given
from hypothesis import strategies as st

import ctxtrace

few_examples = examples(20)

async_kinds = pytest.mark.parametrize(
    "make", [asyncio.Queue, asyncio.LifoQueue, asyncio.PriorityQueue]
)


async def settled(turns=10):
    for _ in range(turns):
        await asyncio.sleep(0)


async def started(*coroutines):
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    await settled()
    return tasks


# Each takes one item and returns it.


async def by_get(q):
    return await q.get()


async def by_get_with_context(q):
    return (await q.get_with_context())[0]


async def by_receive(q):
    async with q.receive() as item:
        return item


ways = pytest.mark.parametrize("take", [by_get, by_get_with_context, by_receive])


@ways
async def test_a_task_cancelled_while_it_waits_loses_no_item(take):
    q = ctxtrace.AsyncContextQueue(asyncio.Queue())
    (task,) = await started(take(q))
    q.put_nowait(1)
    task.cancel()  # which was woken, and has not taken it yet
    await settled()
    assert (task.cancelled(), q.qsize(), q.get_nowait()) == (True, 1, 1)


@ways
async def test_a_task_cancelled_while_it_waits_leaves_the_item_to_another(take):
    q = ctxtrace.AsyncContextQueue(asyncio.Queue())
    first, second = await started(take(q), take(q))
    q.put_nowait(1)
    first.cancel()
    assert await second == 1


@async_kinds
async def test_a_loop_cancelled_while_it_waits_loses_no_item(make):
    q, seen = ctxtrace.AsyncContextQueue(make()), []
    first, second = await started(q.serve(seen.append), q.serve(seen.append))
    q.put_nowait(1)
    first.cancel()
    await q.join()
    q.stop()
    await second
    assert (first.cancelled(), seen, q.qsize()) == (True, [1], 0)


@async_kinds
async def test_a_loop_cancelled_at_work_has_called_task_done_and_the_others_go_on(make):
    q, seen, told = ctxtrace.AsyncContextQueue(make()), [], []

    async def handler(item):
        if item == 0:
            await asyncio.Event().wait()
        seen.append((item, user()))

    first, second = await started(*[q.serve(handler, on_error=told.append) for _ in range(2)])
    q.put_nowait(0)
    await settled()
    with serving("ada"):
        q.put_nowait(1)
        q.put_nowait(2)
    first.cancel()
    await q.join()
    q.stop()
    await second
    assert (first.cancelled(), sorted(seen), told) == (True, [(1, "ada"), (2, "ada")], [])


async def test_a_handler_that_cleans_up_when_it_is_cancelled_does_so_in_its_senders_context():
    q, seen = ctxtrace.AsyncContextQueue(asyncio.Queue()), []

    async def handler(_):
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            seen.append(user())

    with serving("ada"):
        q.put_nowait(1)
    (task,) = await started(q.serve(handler))
    task.cancel()
    await settled()
    assert (task.cancelled(), seen) == (True, ["ada"])


async def test_a_handler_that_refuses_to_be_cancelled_keeps_its_loop():
    q, seen = ctxtrace.AsyncContextQueue(asyncio.Queue()), []

    async def handler(item):
        try:
            await asyncio.Event().wait() if item == 1 else None
        except asyncio.CancelledError:
            seen.append("refused")
        seen.append(item)

    q.put_nowait(1)
    (task,) = await started(q.serve(handler))
    task.cancel()
    q.put_nowait(2)
    q.stop()
    await task
    assert seen == ["refused", 1, 2]


async def test_a_block_of_receive_that_is_cancelled_has_called_task_done_and_restores():
    q, seen = ctxtrace.AsyncContextQueue(asyncio.Queue()), []

    async def work():
        try:
            async with q.receive():
                seen.append(user())
                await asyncio.Event().wait()
        finally:
            seen.append(user())

    with serving("ada"):
        q.put_nowait(1)
    (task,) = await started(work())
    task.cancel()
    await q.join()
    await settled()
    assert (task.cancelled(), seen) == (True, ["ada", "nobody"])


@async_kinds
async def test_a_put_that_was_cancelled_puts_nothing_and_leaves_its_place_to_another(make):
    q = ctxtrace.AsyncContextQueue(make(1))
    q.put_nowait(0)
    first, second = await started(q.put(1), q.put(2))
    taken = q.get_nowait()
    first.cancel()
    await second
    assert (first.cancelled(), taken, q.get_nowait(), q.qsize()) == (True, 0, 2, 0)


# Random scripts.

steps = st.one_of(
    st.tuples(st.just("put"), st.just(0)),
    st.tuples(st.just("put nowait"), st.just(0)),
    st.tuples(st.just("take"), st.just(0)),
    st.tuples(st.just("take nowait"), st.just(0)),
    st.tuples(st.just("cancel a put"), st.integers(0, 5)),
    st.tuples(st.just("cancel a take"), st.integers(0, 5)),
    st.tuples(st.just("turns"), st.integers(1, 3)),
)
scripts = st.lists(steps, max_size=40)


async def play(script, q, take):
    """Do what a script says to a queue, and tell what became of each task and item."""
    puts, takes, results = [], [], []
    for number, (what, argument) in enumerate(script):
        if what == "put":
            puts.append(asyncio.ensure_future(q.put(number)))
        elif what == "put nowait":
            try:
                results.append(("put", q.put_nowait(number)))
            except asyncio.QueueFull:
                results.append("full")
        elif what == "take":
            takes.append(asyncio.ensure_future(take(q)))
        elif what == "take nowait":
            try:
                results.append(("taken", q.get_nowait()))
            except asyncio.QueueEmpty:
                results.append("empty")
        elif what == "turns":
            await settled(argument)
        else:
            tasks = puts if what == "cancel a put" else takes
            if argument < len(tasks):
                results.append(tasks[argument].cancel())
        results.append((q.qsize(), q.empty(), q.full()))
    await settled()
    for tasks in (puts, takes):
        for task in tasks:
            if not task.done():
                task.cancel()
                await settled()
                results.append("pending")
            else:
                results.append("cancelled" if task.cancelled() else ("done", task.result()))
    while not q.empty():
        results.append(("left", q.get_nowait()))
        await settled()
    return results


@async_kinds
@ways
@few_examples
@given(script=scripts, maxsize=st.integers(0, 3))
def test_a_random_script_of_puts_takes_and_cancels_ends_as_on_the_bare_queue(
    make, take, script, maxsize
):
    async def main():
        expected = await play(script, make(maxsize), by_get)
        ours = await play(script, ctxtrace.AsyncContextQueue(make(maxsize)), take)
        return ours, expected

    ours, expected = asyncio.run(main())
    assert ours == expected


async def play_served(script, q):
    """Do it with loops that serve in place of takes; stop at the end."""
    put, handled, interrupted, loops = [], [], [], []

    async def handler(item):
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            interrupted.append(item)
            raise
        handled.append(item)

    for number, (what, argument) in enumerate(script):
        if what.startswith("put"):
            try:
                q.put_nowait(number)
                put.append(number)
            except asyncio.QueueFull:
                pass
        elif what.startswith("take"):
            loops.append(asyncio.ensure_future(q.serve(handler)))
        elif what == "turns":
            await settled(argument)
        elif argument < len(loops):
            loops[argument].cancel()
    q.stop()
    if loops:
        _, pending = await asyncio.wait(loops, timeout=5)
        assert not pending
    await q.serve(handler)  # what is left by loops that were all cancelled
    await asyncio.wait_for(q.join(), 5)
    assert q.qsize() == 0
    return sorted(handled + interrupted), put


@async_kinds
@few_examples
@given(script=scripts, maxsize=st.integers(0, 3))
def test_in_a_random_script_of_puts_loops_and_cancels_each_item_is_handled_once(
    make, script, maxsize
):
    async def main():
        return await play_served(script, ctxtrace.AsyncContextQueue(make(maxsize)))

    ours, put = asyncio.run(main())
    assert ours == put
