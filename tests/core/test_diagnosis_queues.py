"""diagnose() and queues: whose an item is that is taken, and what a refused one leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import queue
import threading

import pytest
from core.diagnosing import diagnosing, registered
from core.support import LIMIT, caught

import ctxtrace
from ctxtrace import _errors
from ctxtrace.diagnosis import _queues

STOP = object()


@pytest.fixture
def own():
    with registered() as tracer:
        yield tracer


@contextlib.contextmanager
def worker(own, items):
    """Take what is in a queue, in a thread that was there before, and start a run for each item."""

    def work():
        while items.get(timeout=LIMIT) is not STOP:
            with own.run("child"):
                served.release()

    served = threading.Semaphore(0)
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield lambda: served.acquire(timeout=LIMIT)
    finally:
        items.put(STOP)
        thread.join(LIMIT)


class Last:
    """Comes after everything in a queue that is in order."""

    def __lt__(self, other):
        return False


def put(own, items, name, *things):
    with own.run(name):
        for thing in things:
            items.put(thing)


def callers(report):
    return [loss.caller[-1] for loss in report.losses]


def test_an_item_is_its_senders_until_the_next_one_is_taken(own):
    items = queue.Queue()
    with diagnosing() as report, worker(own, items) as served:
        for name in ("first", "second"):
            put(own, items, name, name)
            served()
    assert callers(report) == ["first", "second"]
    assert {loss.kind for loss in report.losses} == {"Queue.put"}


def test_control_items_that_bring_their_senders_context_lose_nothing(own):
    items = ctxtrace.ContextQueue(queue.Queue())

    def work():
        for _ in range(2):
            with items.receive(), own.run("child"):
                pass

    with diagnosing() as report:
        thread = threading.Thread(target=work)
        thread.start()
        put(own, items, "first", "an item")
        put(own, items, "second", "an item")
        thread.join(LIMIT)
    assert not report, report.explain()
    assert report.forest() == {"first": "child", "second": "child"}


@pytest.mark.parametrize("item", ["the same", None, 7], ids=str)
def test_one_item_that_is_put_twice_is_each_senders_in_turn(own, item):
    items = queue.Queue()
    with diagnosing() as report:
        put(own, items, "first", item)
        put(own, items, "second", item)
        with worker(own, items) as served:
            served()
            served()
    assert callers(report) == ["first", "second"]


def test_an_item_that_overtakes_others_is_still_its_senders(own):
    items = queue.PriorityQueue()
    with diagnosing() as report:
        put(own, items, "second", (2, "item"))
        put(own, items, "first", (1, "item"))
        items.put((3, STOP))
        taken = []

        def work():
            while items.queue[0][0] < 3:
                taken.append(items.get_nowait())
                with own.run("child"):
                    pass

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(LIMIT)
    assert callers(report) == ["first", "second"]
    assert taken == [(1, "item"), (2, "item")]


def test_an_item_that_nobody_in_a_run_has_put_is_not_for_who_put_the_last(own):
    items = queue.Queue()
    with diagnosing() as report, worker(own, items) as served:
        put(own, items, "first", "an item")
        served()
        items.put("another")
        served()
    assert report.explain().count("child  ") == 1
    assert "runs)" not in report.explain()


@pytest.mark.parametrize("item", ["the same", None], ids=str)
def test_an_item_that_is_refused_is_not_its_senders(own, item):
    items = queue.Queue(1)
    with diagnosing() as report:
        put(own, items, "first", item)
        with own.run("refused"):
            assert isinstance(caught(items.put_nowait, item), queue.Full)
            assert isinstance(caught(items.put, item, timeout=0), queue.Full)
        with worker(own, items) as served:
            served()
            put(own, items, "second", item)
            served()
    assert callers(report) == ["first", "second"]


def test_what_is_refused_leaves_nothing_behind(own):
    items = queue.Queue(1)
    with diagnosing(), own.run("parent"):
        items.put("first")
        caught(items.put_nowait, "second")
        assert len(_queues._put[items]) == 1
        items.get()
        assert len(_queues._put[items]) == 0


def test_a_queue_that_is_dropped_leaves_nothing_behind(own):
    before = len(_queues._put)
    with diagnosing(), own.run("parent"):
        items = queue.Queue()
        items.put("an item")
        assert len(_queues._put) == before + 1
        del items
        gc.collect()
        assert len(_queues._put) == before


def test_a_queue_that_is_emptied_by_other_means_does_not_grow_for_ever(own, monkeypatch):
    monkeypatch.setattr(_queues, "_MOST_ITEMS", 10)
    items = queue.Queue()
    with diagnosing(), own.run("parent"):
        for number in range(1000, 1100):
            items.put(str(number))
            items.queue.clear()
            assert len(_queues._put[items]) <= 11


def test_an_answer_that_comes_back_through_a_queue_makes_no_loss(own):
    asked, answered = queue.Queue(), queue.Queue()

    def work():
        for question in iter(asked.get, STOP):
            answered.put(question)

    with diagnosing() as report:
        thread = threading.Thread(target=work)
        thread.start()
        put(own, asked, "question", "an item")
        assert answered.get(timeout=LIMIT) == "an item"
        with own.run("next question"):
            pass
        asked.put(STOP)
        thread.join(LIMIT)
    assert not report, report.explain()
    assert report.forest() == {"question": None, "next question": None}


def test_a_queue_that_cannot_be_known_again_is_used_as_it_is(own, monkeypatch, caplog):
    class Unhashable(queue.Queue):
        __hash__ = None

    monkeypatch.setattr(_errors, "_said", set())
    caplog.set_level(logging.WARNING, logger="ctxtrace")
    items = Unhashable()
    with diagnosing(), own.run("parent"):
        items.put("an item")
        assert items.get() == "an item"
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == len(set(said)) > 0


# asyncio.


def test_an_item_of_asyncio_is_its_senders_whoever_gave_up_before(own):
    async def main():
        items = asyncio.Queue(1)
        served = asyncio.Event()

        async def work():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(items.get(), 0)
            ready.set()
            while await items.get() is not None:
                with own.run("child"):
                    served.set()

        ready = asyncio.Event()
        task = asyncio.create_task(work())
        await ready.wait()
        for name in ("first", "second"):
            served.clear()
            with own.run(name):
                await items.put("an item")
                await served.wait()
        await items.put(None)
        await task

    with diagnosing() as report:
        asyncio.run(main())
    assert callers(report) == ["first", "second"]
    assert {loss.kind for loss in report.losses} == {"asyncio.Queue.put"}


def test_an_item_of_asyncio_that_never_got_in_leaves_nothing_behind(own):
    async def main():
        items = asyncio.Queue(1)
        with own.run("parent"):
            await items.put("first")
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(items.put("second"), 0.001)
            with pytest.raises(asyncio.QueueFull):
                items.put_nowait("third")
            assert len(_queues._put[items]) == 1
            assert await items.get() == "first"
            assert len(_queues._put[items]) == 0

    with diagnosing() as report:
        asyncio.run(main())
    assert not report
