"""stop: every loop ends, all items are handled, and nothing is left in the queue."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import signal
import threading

import pytest
from chance import rounds
from core.support import LIMIT, Boom, caught, serving, user

import ctxtrace

KINDS = [queue.Queue, queue.SimpleQueue, queue.LifoQueue, queue.PriorityQueue]

kinds = pytest.mark.parametrize("make", KINDS)
counting_kinds = pytest.mark.parametrize(
    "make", [queue.Queue, queue.LifoQueue, queue.PriorityQueue]
)
async_kinds = pytest.mark.parametrize(
    "make", [asyncio.Queue, asyncio.LifoQueue, asyncio.PriorityQueue]
)

# A loop that does not end makes its test wait this long; others never do.
SOON = 5.0


class Ending(BaseException):
    pass


@contextlib.contextmanager
def threads(*targets):
    """Run these at once; at the end all are done."""
    barrier = threading.Barrier(len(targets))

    def run(target):
        barrier.wait(LIMIT)
        target()

    running = [threading.Thread(target=run, args=(target,), daemon=True) for target in targets]
    for thread in running:
        thread.start()
    yield
    for thread in running:
        thread.join(SOON)
    assert [thread for thread in running if thread.is_alive()] == []


def empty(q):
    """Whether nothing is left: no item, nothing of ours, and nobody for join to wait for."""
    return q.qsize() == 0 and getattr(q, "unfinished_tasks", 0) == 0


async def settled():
    for _ in range(5):
        await asyncio.sleep(0)


async def started(*coroutines):
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    await settled()
    return tasks


async def ended(*tasks):
    """Wait for tasks, and say whether they ended."""
    _, pending = await asyncio.wait(tasks, timeout=SOON)
    for task in pending:
        task.cancel()
    await settled()
    return not pending


@kinds
def test_a_stop_before_any_serve_lets_it_handle_what_is_there(make):
    q, seen = ctxtrace.ContextQueue(make()), []
    for item in range(3):
        q.put(item)
    q.stop()
    q.serve(seen.append)
    assert (sorted(seen), empty(q)) == ([0, 1, 2], True)


@kinds
def test_a_stop_is_for_good_and_items_put_later_are_handled_by_a_later_serve(make):
    q, seen = ctxtrace.ContextQueue(make()), []
    q.stop()
    q.serve(seen.append)
    with serving("ada"):
        q.put(1)
    q.serve(lambda item: seen.append((item, user())))
    q.serve(seen.append)
    assert (seen, empty(q)) == ([(1, "ada")], True)


@kinds
def test_items_put_after_a_stop_can_be_taken_by_other_means(make):
    q = ctxtrace.ContextQueue(make())
    q.stop()
    for item in range(4):
        q.put(item)
    taken = [q.get(timeout=LIMIT), q.get_nowait(), q.get_with_context(timeout=LIMIT)[0]]
    with q.receive() as item:
        taken.append(item)
    assert sorted(taken) == [0, 1, 2, 3]


@kinds
def test_a_stop_with_nobody_there_leaves_nothing_in_the_queue(make):
    q = ctxtrace.ContextQueue(make())
    q.stop()
    q.stop()
    assert empty(q)


@kinds
@pytest.mark.parametrize("times", [1, 2])
def test_a_stop_from_inside_a_handler_ends_the_loop_after_what_is_there(make, times):
    q, seen = ctxtrace.ContextQueue(make()), []
    for item in range(3):
        q.put(item)

    def handler(item):
        seen.append(item)
        for _ in range(times):
            q.stop()

    q.serve(handler)
    assert (sorted(seen), empty(q)) == ([0, 1, 2], True)


@kinds
@pytest.mark.parametrize("workers", [1, 3])
def test_a_stop_ends_loops_that_wait(make, workers):
    # They wait, or are about to: in 120 rounds it is both.
    for _ in rounds(120 // workers):
        q = ctxtrace.ContextQueue(make())
        with threads(*[lambda q=q: q.serve(print)] * workers, q.stop):
            pass
        assert empty(q)


@kinds
def test_two_stops_at_once_end_loops_that_wait(make):
    for _ in rounds(40):
        q = ctxtrace.ContextQueue(make())
        with threads(*[lambda q=q: q.serve(print)] * 2, q.stop, q.stop):
            pass
        assert empty(q)


@kinds
def test_a_stop_after_the_last_put_loses_no_item_and_ends_every_loop(make):
    for _ in rounds(60):
        q, seen = ctxtrace.ContextQueue(make()), []

        def produce(q=q):
            for item in range(5):
                q.put(item)
            q.stop()

        with threads(*[lambda q=q, seen=seen: q.serve(seen.append)] * 3, produce):
            pass
        assert (sorted(seen), empty(q)) == ([0, 1, 2, 3, 4], True)


@kinds
def test_items_put_while_others_stop_are_handled_by_then_or_by_a_later_serve(make):
    for _ in rounds(60):
        q, seen = ctxtrace.ContextQueue(make()), []

        def produce(q=q):
            for item in range(5):
                q.put(item)

        with threads(*[lambda q=q, seen=seen: q.serve(seen.append)] * 2, produce, q.stop):
            pass
        q.serve(seen.append)
        assert (sorted(seen), empty(q)) == ([0, 1, 2, 3, 4], True)


@kinds
def test_a_stop_together_with_one_who_takes_by_get_loses_no_item_and_ends_every_loop(make):
    for _ in rounds(30):
        q, seen, taken = ctxtrace.ContextQueue(make()), [], []

        def produce(q=q):
            for item in range(6):
                q.put(item)
            q.stop()

        def take(q=q, taken=taken):
            for _ in range(6):
                with contextlib.suppress(queue.Empty):
                    taken.append(q.get_nowait())

        with threads(*[lambda q=q, seen=seen: q.serve(seen.append)] * 2, produce, take):
            pass
        assert sorted(seen + taken) == list(range(6))
        assert q.qsize() == 0


@kinds
def test_one_who_waits_in_get_while_loops_are_stopped_gets_the_next_item(make):
    for _ in rounds(40):
        q, taken = ctxtrace.ContextQueue(make()), []
        stopped = [threading.Event() for _ in range(2)]

        def serve(event, q=q):
            q.serve(print)
            event.set()

        def put_when_they_are_gone(q=q, stopped=stopped):
            q.stop()
            for event in stopped:
                assert event.wait(LIMIT)
            q.put(1)

        with threads(
            *[lambda event=event: serve(event) for event in stopped],
            lambda q=q, taken=taken: taken.append(q.get(timeout=LIMIT)),
            put_when_they_are_gone,
        ):
            pass
        assert (taken, q.qsize()) == ([1], 0)


@counting_kinds
def test_a_stop_of_a_full_queue_while_all_workers_are_busy_drains_it(make):
    q, seen, gate, busy = ctxtrace.ContextQueue(make(2)), [], threading.Event(), []
    both_busy = threading.Barrier(3)

    def handler(item):
        if len(busy) < 2:
            busy.append(item)
            both_busy.wait(LIMIT)
            assert gate.wait(LIMIT)
        seen.append(item)

    with threads(*[lambda: q.serve(handler)] * 2):
        q.put(0)
        q.put(1)
        both_busy.wait(LIMIT)
        q.put(2)
        q.put(3)
        assert q.full()
        q.stop()
        gate.set()
    assert (sorted(seen), empty(q)) == ([0, 1, 2, 3], True)


@counting_kinds
def test_a_stop_of_a_bounded_queue_ends_every_loop_while_another_takes_by_get(make):
    for _ in rounds(60):
        q, seen, taken = ctxtrace.ContextQueue(make(1)), [], []

        def put_stop_take(q=q, taken=taken):
            q.put(1)
            q.stop()
            with contextlib.suppress(queue.Empty):
                taken.append(q.get_nowait())

        with threads(*[lambda q=q, seen=seen: q.serve(seen.append)] * 2, put_stop_take):
            pass
        assert (seen + taken, q.qsize()) == ([1], 0)


@counting_kinds
def test_join_returns_after_a_stop(make):
    for _ in rounds(30):
        q, seen = ctxtrace.ContextQueue(make()), []

        def produce(q=q):
            q.put(1)
            q.stop()
            q.join()

        with threads(*[lambda q=q, seen=seen: q.serve(seen.append)] * 2, produce):
            pass
        assert (seen, empty(q)) == ([1], True)


@kinds
def test_a_loop_that_is_ended_by_an_error_leaves_the_others_to_stop(make):
    for _ in rounds(40):
        q, seen, errors = ctxtrace.ContextQueue(make()), [], []

        def handler(item, seen=seen):
            seen.append(item)
            if item == 1:
                raise Ending

        def serve(q=q, errors=errors, handler=handler):
            with contextlib.suppress(AssertionError):  # of caught(), where nothing is raised
                errors.append(caught(q.serve, handler))

        def produce(q=q):
            for item in range(5):
                q.put(item)
            q.stop()

        with threads(serve, serve, produce):
            pass
        assert (sorted(seen), [type(error) for error in errors]) == ([0, 1, 2, 3, 4], [Ending])
        assert empty(q)


@kinds
def test_a_loop_that_failed_on_each_item_is_stopped_as_others_are(make):
    q, errors = ctxtrace.ContextQueue(make()), []

    def handler(_):
        raise Boom

    with threads(lambda: q.serve(handler, on_error=errors.append)):
        for item in range(10):
            q.put(item)
        q.stop()
    assert (len(errors), empty(q)) == (10, True)


def test_a_stop_by_a_signal_ends_a_loop_around_a_simple_queue():
    q, seen = ctxtrace.ContextQueue(queue.SimpleQueue()), []
    before = signal.signal(signal.SIGUSR1, lambda *_: q.stop())
    try:
        q.put(1)

        def handler(item):
            seen.append(item)
            signal.raise_signal(signal.SIGUSR1)

        q.serve(handler)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [1]


def test_a_stop_by_a_signal_ends_a_loop_that_waits_at_a_simple_queue():
    def handler(_):
        raise Ending  # the watchdog's item

    for _ in rounds(20):
        q = ctxtrace.ContextQueue(queue.SimpleQueue())
        before = signal.signal(signal.SIGUSR1, lambda *_, q=q: q.stop())
        watchdog = threading.Timer(SOON, q.put, (1,))
        watchdog.start()
        main = threading.get_ident()
        sender = threading.Thread(target=signal.pthread_kill, args=(main, signal.SIGUSR1))
        try:
            sender.start()
            q.serve(handler)
        finally:
            sender.join(LIMIT)
            watchdog.cancel()
            watchdog.join(LIMIT)
            signal.signal(signal.SIGUSR1, before)
        assert q.qsize() == 0


# asyncio: what threads only do now and then happens here every time.


@async_kinds
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("workers", [1, 3])
async def test_a_stop_ends_tasks_that_wait(make, times, workers):
    q = ctxtrace.AsyncContextQueue(make())
    tasks = await started(*[q.serve(print) for _ in range(workers)])
    for _ in range(times):
        q.stop()
    assert await ended(*tasks)
    await q.join()
    assert q.qsize() == 0


@async_kinds
async def test_a_stop_before_any_async_serve_lets_it_handle_what_is_there(make):
    q, seen = ctxtrace.AsyncContextQueue(make()), []
    for item in range(3):
        await q.put(item)
    q.stop()
    await q.serve(seen.append)
    assert (sorted(seen), q.qsize()) == ([0, 1, 2], 0)


@async_kinds
async def test_items_put_after_a_stop_are_handled_by_a_later_async_serve(make):
    q, seen = ctxtrace.AsyncContextQueue(make()), []
    q.stop()
    with serving("ada"):
        await q.put(1)
    await q.serve(lambda item: seen.append((item, user())))
    await q.serve(seen.append)
    await q.join()
    assert (seen, q.qsize()) == ([(1, "ada")], 0)


@async_kinds
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("order", ["put, stop", "stop, put", "put, stop, put", "put, stop, stop"])
async def test_puts_and_stops_in_one_turn_lose_no_item_and_end_every_task(make, workers, order):
    q, seen, items = ctxtrace.AsyncContextQueue(make()), [], []

    async def handler(item):
        await asyncio.sleep(0)
        seen.append(item)

    tasks = await started(*[q.serve(handler) for _ in range(workers)])
    for step in order.split(", "):
        if step == "stop":
            q.stop()
        else:
            for _ in range(4):
                items.append(len(items))
                q.put_nowait(items[-1])
    assert await ended(*tasks)
    await q.join()
    assert (sorted(seen), q.qsize()) == (items, 0)


@async_kinds
async def test_a_stop_from_inside_an_async_handler_ends_every_task(make):
    q, seen = ctxtrace.AsyncContextQueue(make()), []

    async def handler(item):
        seen.append(item)
        await asyncio.sleep(0)
        q.stop()

    tasks = await started(*[q.serve(handler) for _ in range(3)])
    for item in range(2):
        q.put_nowait(item)
    assert await ended(*tasks)
    assert (sorted(seen), q.qsize()) == ([0, 1], 0)


@async_kinds
async def test_a_stop_of_a_full_queue_with_puts_that_wait_drains_it(make):
    q, seen, gate = ctxtrace.AsyncContextQueue(make(1)), [], asyncio.Event()

    async def handler(item):
        await gate.wait()
        seen.append(item)

    tasks = await started(q.serve(handler), q.serve(handler))
    puts = await started(*[q.put(item) for item in range(4)])
    assert (q.full(), puts[3].done()) == (True, False)
    q.stop()
    gate.set()
    assert await ended(*tasks, *puts)
    await q.serve(handler)
    await q.join()
    assert (sorted(seen), q.qsize()) == ([0, 1, 2, 3], 0)


@async_kinds
async def test_a_stop_of_a_full_queue_ends_a_task_whose_item_another_takes_by_get(make):
    q = ctxtrace.AsyncContextQueue(make(1))
    tasks = await started(q.serve(print))
    q.put_nowait(1)
    q.stop()
    assert q.get_nowait() == 1
    assert await ended(*tasks)
    assert q.qsize() == 0


@async_kinds
@pytest.mark.parametrize("order", ["put, stop", "stop, put"])
async def test_get_nowait_gives_the_items_that_are_there_while_a_stop_goes_round(make, order):
    q, taken = ctxtrace.AsyncContextQueue(make()), []
    tasks = await started(q.serve(taken.append))
    for step in order.split(", "):
        if step == "stop":
            q.stop()
        else:
            q.put_nowait(1)
            q.put_nowait(2)
    taken.append(q.get_nowait())
    assert len(taken) == 1
    assert await ended(*tasks)
    assert (sorted(taken), q.qsize()) == ([1, 2], 0)


@async_kinds
@pytest.mark.parametrize("getters", [1, 3])
@pytest.mark.parametrize("first", ["getters", "servers"])
async def test_a_stop_ends_tasks_beside_others_that_wait_in_get(make, getters, first):
    q = ctxtrace.AsyncContextQueue(make())
    serves, gets = [q.serve(print) for _ in range(2)], [q.get() for _ in range(getters)]
    tasks = await started(*(gets + serves if first == "getters" else serves + gets))
    getting = tasks[:getters] if first == "getters" else tasks[2:]
    q.stop()
    assert await ended(*[task for task in tasks if task not in getting])
    assert (q.qsize(), [task.done() for task in getting]) == (0, [False] * getters)
    for item in range(getters):
        q.put_nowait(item)
    assert sorted(await asyncio.gather(*getting)) == list(range(getters))


@async_kinds
@pytest.mark.parametrize("order", ["put, stop", "stop, put"])
async def test_a_stop_ends_a_task_while_another_is_woken_for_the_item_that_is_there(make, order):
    q = ctxtrace.AsyncContextQueue(make())
    getting, serving_task = await started(q.get(), q.serve(print))
    for step in order.split(", "):
        if step == "stop":
            q.stop()
        else:
            q.put_nowait(1)
    assert await ended(serving_task)
    assert await getting == 1


async def test_a_queue_wrapped_twice_stops_the_tasks_of_the_one_that_was_stopped():
    inner = asyncio.Queue()
    first, second = ctxtrace.AsyncContextQueue(inner), ctxtrace.AsyncContextQueue(inner)
    getting, serving_task = await started(second.get(), first.serve(print))
    first.stop()
    is_ended = await ended(serving_task)
    second.put_nowait(1)
    assert await getting == 1
    assert is_ended


@async_kinds
async def test_a_task_that_ends_by_an_error_after_a_stop_leaves_nothing_of_ours(make):
    q = ctxtrace.AsyncContextQueue(make())

    async def ends(_):
        raise Ending

    (task,) = await started(q.serve(ends))
    q.put_nowait(1)
    q.stop()
    await settled()
    assert type(task.exception()) is Ending
    assert (q.qsize(), q.empty()) == (0, True)


@pytest.mark.parametrize("before", range(5))
async def test_a_stop_goes_round_a_priority_queue_of_bare_items_that_look_at_each_other(before):
    class Job:
        def __init__(self, priority):
            self.priority = priority

        def __lt__(self, other):
            return self.priority < other.priority

    inner, seen = asyncio.PriorityQueue(), []
    q = ctxtrace.AsyncContextQueue(inner)
    (task,) = await started(q.serve(lambda job: seen.append(job.priority)))
    for priority in range(before):
        inner.put_nowait(Job(priority))
    q.stop()
    for priority in range(before, 5):
        inner.put_nowait(Job(priority))
    assert await ended(task)
    assert (task.exception(), seen) == (None, [0, 1, 2, 3, 4])


@async_kinds
async def test_a_waiting_task_that_is_cancelled_with_the_stop_leaves_it_to_the_others(make):
    q = ctxtrace.AsyncContextQueue(make())
    tasks = await started(*[q.serve(print) for _ in range(3)])
    q.stop()
    tasks[0].cancel()
    assert await ended(*tasks)
    assert ([task.cancelled() for task in tasks], q.qsize()) == ([True, False, False], 0)


@async_kinds
async def test_a_task_that_is_cancelled_at_work_after_a_stop_leaves_the_rest_to_the_others(make):
    q, seen, gate = ctxtrace.AsyncContextQueue(make()), [], asyncio.Event()

    async def handler(item):
        if item == 0:
            await gate.wait()
        seen.append(item)

    tasks = await started(q.serve(handler), q.serve(handler))
    q.put_nowait(0)
    await settled()
    for item in (1, 2):
        q.put_nowait(item)
    q.stop()
    tasks[0].cancel()
    assert await ended(*tasks)
    assert (tasks[0].cancelled(), sorted(seen), q.qsize()) == (True, [1, 2], 0)
    await q.join()


if hasattr(queue, "ShutDown"):

    @async_kinds
    @pytest.mark.parametrize("order", ["stop, shutdown", "shutdown, stop"])
    @pytest.mark.parametrize("immediate", [False, True])
    async def test_a_stop_with_a_shutdown_ends_tasks_that_wait_and_tasks_at_work(
        make, order, immediate
    ):
        q, seen, gate = ctxtrace.AsyncContextQueue(make()), [], asyncio.Event()

        async def handler(item):
            await gate.wait()
            seen.append(item)

        tasks = await started(q.serve(handler), q.serve(handler))
        q.put_nowait(1)
        await settled()
        for step in order.split(", "):
            if step == "stop":
                q.stop()
            else:
                q.shutdown(immediate)
        gate.set()
        assert await ended(*tasks)
        assert ([task.exception() for task in tasks], seen, q.qsize()) == ([None, None], [1], 0)
        await q.join()

    @counting_kinds
    @pytest.mark.parametrize("immediate", [False, True])
    def test_a_stop_with_a_shutdown_ends_threads_that_wait_and_threads_at_work(make, immediate):
        for _ in rounds(30):
            q = ctxtrace.ContextQueue(make())

            def stops(q=q, immediate=immediate):
                q.put(1)
                q.stop()
                q.shutdown(immediate)
                q.join()

            with threads(*[lambda q=q: q.serve(str)] * 3, stops):
                pass
            assert empty(q)
