"""diagnose(): errors come out as without it, and nothing lives longer for it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import multiprocessing.pool
import queue
import sys
import threading
import weakref

import pytest
from core.diagnosing import diagnosing, lose, registered
from core.support import LIMIT, Boom, caught, fail, files_of_ours, frames

from ctxtrace.diagnosis import _crossings, _diagnosis


@pytest.fixture
def own():
    with registered() as tracer:
        yield tracer


def in_an_executor():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(fail).exception(LIMIT)


def in_a_pool_of_multiprocessing():
    failures = queue.Queue()
    with multiprocessing.pool.ThreadPool(1) as pool:
        pool.apply_async(fail, error_callback=failures.put)
        return failures.get(timeout=LIMIT)


def in_a_thread():
    failures = []
    before = threading.excepthook
    threading.excepthook = lambda args: failures.append(args.exc_value)
    try:
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join(LIMIT)
    finally:
        threading.excepthook = before
    return failures[0]


def in_a_task():
    async def failing():
        fail()

    async def main():
        task = asyncio.create_task(failing())
        await asyncio.wait([task])
        return task.exception()

    return asyncio.run(main())


class Incomparable:
    def __lt__(self, other):
        return fail()


def put_into_a_queue():
    items = queue.PriorityQueue()
    items.put(Incomparable())
    return caught(items.put, Incomparable())


def taken_from_a_queue():
    items = queue.PriorityQueue()
    items.queue = [Incomparable() for _ in range(3)]
    return caught(items.get)


@pytest.mark.parametrize(
    "program",
    [
        in_an_executor,
        in_a_pool_of_multiprocessing,
        in_a_thread,
        in_a_task,
        put_into_a_queue,
        taken_from_a_queue,
    ],
    ids=lambda f: f.__name__,
)
def test_an_error_of_the_programs_own_is_as_without(own, program):
    without = program()
    with diagnosing(), own.run("parent"):
        error = program()
    assert type(error) is type(without) is Boom
    assert error.args == without.args
    assert frames(error)[-1] == frames(without)[-1] == "fail"
    if sys.version_info >= (3, 11):
        assert files_of_ours(error) == []
        assert frames(error) == frames(without)


def test_a_refused_call_is_refused_in_the_same_words(own):
    pool = concurrent.futures.ThreadPoolExecutor(1)
    pool.shutdown()
    for call in (lambda: pool.submit(fail), lambda: pool.submit()):
        without = caught(call)
        with diagnosing(), own.run("parent"):
            error = caught(call)
        assert type(error) is type(without)
        assert str(error).rpartition(".")[2] == str(without).rpartition(".")[2]


def test_callbacks_of_a_future_are_called_as_without(own):
    called = []
    with diagnosing(), own.run("parent"), concurrent.futures.ThreadPoolExecutor(1) as pool:
        future = pool.submit(int, "7")
        future.add_done_callback(lambda done: called.append(done.result()))
        assert future.result(LIMIT) == 7
    assert called == [7]


# What it keeps alive: nothing.


class Thing:
    def __call__(self, thing):
        return Thing()


def submitted(own):
    function, argument = Thing(), Thing()
    with own.run("parent") as run, concurrent.futures.ThreadPoolExecutor(1) as pool:
        result = pool.submit(function, argument).result(LIMIT)
    return [weakref.ref(each) for each in (function, argument, result, run)]


def started(own):
    function, argument = Thing(), Thing()
    with own.run("parent") as run:
        thread = threading.Thread(target=function, args=(argument,))
        thread.start()
        thread.join(LIMIT)
    return [weakref.ref(each) for each in (function, argument, run, thread)]


def put(own):
    items, item = queue.Queue(), Thing()
    with own.run("parent") as run:
        items.put(item)
        items.get()
    return [weakref.ref(each) for each in (items, item, run)]


def left_in_a_queue(own):
    items, item = queue.Queue(), Thing()
    with own.run("parent") as run:
        items.put(item)
    return [weakref.ref(each) for each in (items, item, run)]


@pytest.mark.parametrize(
    "program", [submitted, started, put, left_in_a_queue], ids=lambda f: f.__name__
)
def test_what_crossed_dies_as_it_would_without(own, no_gc, program):
    with diagnosing() as report:
        assert [reference() for reference in program(own)] == [None] * len(program(own))
        assert report.to_dict()["crossings"]


def test_a_diagnosis_that_is_dropped_dies(own, no_gc):
    with diagnosing() as report:
        lose(own)
    reference = weakref.ref(report)
    del report
    assert reference() is None


def crossings_alive():
    gc.collect()
    return sum(isinstance(each, _crossings.Crossing) for each in gc.get_objects())


def test_a_timer_that_starts_itself_anew_does_not_grow(own, monkeypatch):
    monkeypatch.setattr(_diagnosis, "MOST_CROSSINGS", 10)
    alive = []

    async def main():
        done = asyncio.Event()

        def again(left):
            if left:
                asyncio.get_running_loop().call_later(0, again, left - 1)
            else:
                alive.append(crossings_alive())
                done.set()

        with own.run("parent"):
            again(1000)
        await asyncio.wait_for(done.wait(), LIMIT)

    before = crossings_alive()  # other tests keep what they have seen
    with diagnosing() as report:
        asyncio.run(main())
    assert 1 < alive[0] - before < 50
    assert len(report.to_dict()["crossings"]) == 10
