"""ContextQueue: an item is handled in the context of whoever put it, in another thread."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import inspect
import queue
import threading

import pytest
from core.support import (
    LIMIT,
    OTHER,
    USER,
    Boom,
    caught,
    current_run,
    has_parent,
    serving,
    user,
)

import ctxtrace

KINDS = [queue.Queue, queue.SimpleQueue, queue.LifoQueue, queue.PriorityQueue]
COUNTING = [kind for kind in KINDS if kind is not queue.SimpleQueue]

kinds = pytest.mark.parametrize("make", KINDS)
counting_kinds = pytest.mark.parametrize("make", COUNTING)


@contextlib.contextmanager
def worker(work, *args):
    """A thread that was started before the block, and goes to work after it."""
    results, gate = [], threading.Event()

    def target():
        assert gate.wait(LIMIT)
        results.append(work(*args))

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    try:
        yield results
    finally:
        gate.set()
        thread.join(LIMIT)
    assert results


@contextlib.contextmanager
def started(thread):
    thread.start()
    yield
    thread.join(LIMIT)
    assert not thread.is_alive()


# The three ways to handle an item in its sender's context.


def by_serve(q, work):
    results = []

    def handler(item):
        results.append((item, work()))
        q.stop()

    q.serve(handler)
    return results[0]


def by_receive(q, work):
    with q.receive(timeout=LIMIT) as item:
        return item, work()


def by_get_with_context(q, work):
    item, snapshot = q.get_with_context(timeout=LIMIT)
    return item, snapshot.run(work)


def by_get(q, work):
    return q.get(timeout=LIMIT), work()


WAYS = [by_serve, by_receive, by_get_with_context]
ways = pytest.mark.parametrize("take", WAYS)


# Variables and parents.


@kinds
def test_control_a_worker_of_a_bare_queue_does_not_see_the_senders_variable(make):
    q = make()
    with worker(by_get, q, user) as seen, serving("ada"):
        q.put(1)
    assert seen == [(1, "nobody")]


@kinds
@ways
def test_a_worker_sees_the_senders_variable(make, take):
    q = ctxtrace.ContextQueue(make())
    with worker(take, q, user) as seen, serving("ada"):
        q.put(1)
    assert seen == [(1, "ada")]


@kinds
def test_a_worker_that_waits_already_sees_the_senders_variable(make):
    q, seen, handled = ctxtrace.ContextQueue(make()), [], threading.Event()

    def handler(item):
        seen.append((item, user()))
        handled.set()

    thread = threading.Thread(target=q.serve, args=(handler,), daemon=True)
    thread.start()
    with serving("ada"):
        q.put(1)
    assert handled.wait(LIMIT)
    q.stop()
    thread.join(LIMIT)
    assert seen == [(1, "ada")]


@kinds
def test_control_through_a_bare_queue_a_child_loses_its_parent_whose_frame_is_gone(make, tracer):
    q = make()
    with worker(by_get, q, has_parent) as seen:
        with tracer.run():
            q.put(1)
        gc.collect()
    assert seen == [(1, False)]


@kinds
@ways
def test_a_child_finds_its_parent_whose_frame_is_gone(make, take, tracer):
    q = ctxtrace.ContextQueue(make())
    with worker(take, q, has_parent) as seen:
        with tracer.run():
            q.put(1)
        gc.collect()
    assert seen == [(1, True)]


@kinds
@pytest.mark.parametrize("take", ["get", "get_nowait"])
def test_get_gives_the_bare_item_outside_its_senders_context(make, take, tracer):
    q = ctxtrace.ContextQueue(make())
    with serving("ada"), tracer.run():
        q.put(1)
    gc.collect()
    assert (getattr(q, take)(), user(), has_parent()) == (1, "nobody", False)


@ways
@pytest.mark.parametrize("put", ["put", "put_nowait"])
def test_each_item_comes_in_the_context_it_was_put_in(take, put):
    q = ctxtrace.ContextQueue(queue.Queue())
    for name in ("ada", "grace"):
        with serving(name):
            getattr(q, put)(name)
    if take is by_serve:
        seen = []
        q.stop()
        q.serve(lambda item: seen.append((item, user())))
    else:
        seen = [take(q, user), take(q, user)]
    assert seen == [("ada", "ada"), ("grace", "grace")]


@ways
def test_what_the_sender_sets_after_the_put_is_not_seen(take):
    q = ctxtrace.ContextQueue(queue.Queue())
    with serving("ada"):
        q.put(1)
        with serving("grace"):
            assert take(q, user) == (1, "ada")


@ways
@pytest.mark.parametrize("item", [None, 0, "", (), [], float("nan"), contextvars.Context()])
def test_any_object_is_an_item_and_comes_out_itself(take, item):
    q = ctxtrace.ContextQueue(queue.Queue())
    q.put(item)
    assert take(q, user)[0] is item


def test_a_snapshot_can_be_used_more_than_once_and_in_another_thread(tracer):
    q = ctxtrace.ContextQueue(queue.Queue())
    with serving("ada"), tracer.run():
        q.put(1)
    _, snapshot = q.get_with_context()
    with worker(snapshot.run, lambda: (user(), has_parent())) as seen:
        pass
    assert (seen, snapshot.run(user), snapshot.run(has_parent)) == ([("ada", True)], "ada", True)


def test_get_with_context_gives_a_snapshot():
    q = ctxtrace.ContextQueue(queue.Queue())
    q.put(1)
    assert type(q.get_with_context()[1]) is ctxtrace.Snapshot


def test_an_item_that_is_put_on_is_handled_in_the_context_of_the_first_sender():
    first, second = (ctxtrace.ContextQueue(queue.Queue()) for _ in range(2))
    with serving("ada"):
        first.put(1)
    first.stop()
    first.serve(second.put)
    assert by_receive(second, user) == (1, "ada")


def test_a_queue_between_two_threads_with_loops_of_their_own_keeps_context_and_parent(tracer):
    q, sent, seen = ctxtrace.ContextQueue(queue.Queue()), threading.Event(), []

    async def produce():
        with serving("ada"), tracer.run():
            q.put(1)
            await asyncio.sleep(0)
        gc.collect()
        sent.set()

    async def child():
        await asyncio.sleep(0)
        return user(), has_parent()

    async def consume():
        assert await asyncio.to_thread(sent.wait, LIMIT)
        item, snapshot = await asyncio.to_thread(q.get_with_context, True, LIMIT)
        seen.append((item, *await snapshot.drive(child())))

    threads = [
        threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
        for main in (consume, produce)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert seen == [(1, "ada", True)]


def test_a_queue_subclass_that_drops_what_it_holds_already_drops_the_same_items():
    class Unique(queue.Queue):
        def _init(self, maxsize):
            self.queue = {}

        def _put(self, item):
            self.queue.setdefault(item)

        def _get(self):
            item = next(iter(self.queue))
            del self.queue[item]
            return item

    inner = Unique()
    q = ctxtrace.ContextQueue(inner)
    for item in (1, 2, 1, 3, 2):
        q.put(item)
    inner.put(3)
    inner.put(4)
    q.put(4)
    assert [q.get() for _ in range(q.qsize())] == [1, 2, 3, 4]


# receive().


def test_receive_overlays_the_senders_context_and_takes_it_away_again(tracer):
    q = ctxtrace.ContextQueue(queue.Queue())
    with serving("ada"), tracer.run():
        q.put(1)
    with serving("grace"):
        with q.receive() as item:
            seen = (item, user(), has_parent())
        assert (*seen, user(), has_parent()) == (1, "ada", True, "grace", False)


def test_receive_takes_away_what_the_block_sets_over_the_senders_variable():
    q = ctxtrace.ContextQueue(queue.Queue())
    with serving("ada"):
        q.put(1)
    with q.receive():
        USER.set("mary")
    assert user() == "nobody"


def test_receive_gives_no_parent_to_an_item_put_outside_of_any_run(tracer):
    q = ctxtrace.ContextQueue(queue.Queue())
    q.put(1)
    with tracer.run(), q.receive():
        assert current_run() is None


@pytest.mark.parametrize("way", ["receive", "serve"])
def test_limit_what_a_block_of_receive_sets_and_its_sender_did_not_have_stays_set(way):
    q, seen = ctxtrace.ContextQueue(queue.Queue()), []

    def handler(item):
        seen.append(OTHER.get())
        OTHER.set(item)

    def work():
        if way == "serve":
            q.stop()
            q.serve(handler)
        else:
            for _ in range(2):
                with q.receive() as item:
                    handler(item)

    q.put("first")
    q.put("second")
    contextvars.copy_context().run(work)
    assert seen == ["unset", "first" if way == "receive" else "unset"]


def test_receive_takes_the_item_when_it_is_entered():
    q = ctxtrace.ContextQueue(queue.Queue())
    q.put(1)
    receiving = q.receive()
    assert q.qsize() == 1
    with receiving:
        assert q.qsize() == 0


def test_receive_cannot_be_entered_twice():
    q = ctxtrace.ContextQueue(queue.Queue())
    q.put(1)
    q.put(2)
    receiving = q.receive()
    with receiving:
        pass
    with pytest.raises(RuntimeError, match="call it anew for each with block"), receiving:
        pass
    assert q.qsize() == 1


def test_receive_passes_on_the_error_of_its_block():
    q = ctxtrace.ContextQueue(queue.Queue())
    with serving("ada"):
        q.put(1)
    error = Boom()
    with pytest.raises(Boom) as raised, q.receive():
        raise error
    assert (raised.value, user()) == (error, "nobody")


def test_receive_blocks_can_be_nested():
    q = ctxtrace.ContextQueue(queue.Queue())
    for name in ("ada", "grace"):
        with serving(name):
            q.put(name)
    with q.receive() as outer:
        with q.receive() as inner:
            seen = [(outer, inner, user())]
        seen.append(user())
    assert (seen, user()) == ([("ada", "grace", "grace"), "ada"], "nobody")


# Items that were put into the inner queue directly.


@kinds
def test_an_item_put_into_the_inner_queue_comes_out_as_it_is_with_an_empty_snapshot(make, tracer):
    inner = make()
    q = ctxtrace.ContextQueue(inner)
    with serving("ada"), tracer.run():
        inner.put(1)
        item, snapshot = q.get_with_context()
        assert (item, snapshot.run(user), snapshot.run(has_parent)) == (1, "nobody", False)
        assert list(snapshot.run(contextvars.copy_context)) == []


@kinds
def test_get_gives_an_item_put_into_the_inner_queue_as_it_is(make):
    inner = make()
    inner.put(1)
    assert ctxtrace.ContextQueue(inner).get() == 1


@kinds
def test_serve_handles_an_item_put_into_the_inner_queue_in_an_empty_context(make, tracer):
    inner = make()
    q = ctxtrace.ContextQueue(inner)
    with serving("ada"), tracer.run():
        inner.put(1)
        assert by_serve(q, lambda: (user(), has_parent())) == (1, ("nobody", False))


@kinds
def test_receive_takes_an_item_put_into_the_inner_queue_without_a_parent(make, tracer):
    inner = make()
    q = ctxtrace.ContextQueue(inner)
    with serving("ada"), tracer.run():
        inner.put(1)
        assert by_receive(q, lambda: (user(), has_parent())) == (1, ("ada", False))


@ways
def test_items_that_were_there_before_the_wrapper_come_out(take):
    inner = queue.Queue()
    inner.put(1)
    assert take(ctxtrace.ContextQueue(inner), user) == (1, "nobody")


# The interface of the wrapped queue.


def public(thing):
    return {name for name in dir(thing) if not name.startswith("_")}


@kinds
def test_it_has_every_public_attribute_of_the_queue(make):
    inner = make()
    q = ctxtrace.ContextQueue(inner)
    assert [name for name in sorted(public(inner)) if not hasattr(q, name)] == []


@kinds
def test_what_it_does_not_do_itself_is_the_queues_own(make):
    inner = make()
    q = ctxtrace.ContextQueue(inner)
    for name in sorted(public(inner) - public(ctxtrace.ContextQueue)):
        assert getattr(q, name) == getattr(inner, name)


def test_put_and_get_take_whatever_arguments_the_queue_takes():
    class Favouring(queue.Queue):
        def put(self, item, block=True, timeout=None, *, first=False):
            super().put(item, block, timeout)
            if first:
                self.queue.rotate(1)

        def get(self, block=True, timeout=None, *, last=False):
            if last:
                self.queue.rotate(1)
            return super().get(block, timeout)

    q = ctxtrace.ContextQueue(Favouring())
    for item in range(3):
        q.put(item, first=item == 2)
    assert [q.get(last=True), q.get(), q.get()] == [1, 2, 0]


@pytest.mark.parametrize("name", sorted(public(queue.Queue()) - public(queue.SimpleQueue())))
def test_what_a_simple_queue_lacks_is_no_attribute(name):
    inner = queue.SimpleQueue()
    with pytest.raises(AttributeError) as raised:
        getattr(ctxtrace.ContextQueue(inner), name)
    with pytest.raises(AttributeError) as standard:
        getattr(inner, name)
    assert str(raised.value) == str(standard.value)


@kinds
def test_what_no_queue_has_is_no_attribute(make):
    assert not hasattr(ctxtrace.ContextQueue(make()), "nonsense")


def test_what_a_subclass_of_a_queue_adds_is_an_attribute():
    class Named(queue.Queue):
        name = "mine"

    assert ctxtrace.ContextQueue(Named()).name == "mine"


@kinds
def test_its_size_is_that_of_the_queue(make):
    inner = make()
    q = ctxtrace.ContextQueue(inner)
    sizes = [(q.qsize(), q.empty())]
    q.put(1)
    inner.put(2)
    sizes.append((q.qsize(), q.empty()))
    assert sizes == [(0, True), (2, False)]


@counting_kinds
def test_a_bounded_queue_stays_bounded(make):
    q = ctxtrace.ContextQueue(make(2))
    q.put(1)
    before = q.full()
    q.put(2)
    assert (q.maxsize, before, q.full()) == (2, False, True)


@counting_kinds
@pytest.mark.parametrize(
    "put",
    [
        lambda q: q.put_nowait(2),
        lambda q: q.put(2, False),
        lambda q: q.put(2, block=False),
        lambda q: q.put(2, True, 0.01),
        lambda q: q.put(2, timeout=0.01),
    ],
)
def test_a_put_into_a_full_queue_raises_full_and_puts_nothing(make, put):
    q = ctxtrace.ContextQueue(make(1))
    q.put(1)
    with pytest.raises(queue.Full):
        put(q)
    assert (q.qsize(), q.get()) == (1, 1)


@kinds
@pytest.mark.parametrize("name", ["get", "get_with_context", "receive"])
@pytest.mark.parametrize("arguments", [(False,), (True, 0.01)])
def test_taking_from_an_empty_queue_raises_empty(make, name, arguments):
    q = ctxtrace.ContextQueue(make())
    take = getattr(q, name)
    with pytest.raises(queue.Empty):
        take(*arguments).__enter__()


@kinds
def test_get_nowait_from_an_empty_queue_raises_empty(make):
    with pytest.raises(queue.Empty):
        ctxtrace.ContextQueue(make()).get_nowait()


@kinds
def test_a_negative_timeout_is_refused_as_by_the_queue(make):
    standard = caught(make().get, True, -1)
    ours = caught(ctxtrace.ContextQueue(make()).get, True, -1)
    assert (type(ours), str(ours)) == (ValueError, str(standard))


@counting_kinds
def test_a_negative_timeout_of_a_put_is_refused_as_by_the_queue(make):
    bare, wrapped = make(1), ctxtrace.ContextQueue(make(1))
    standard, ours = caught(bare.put, 1, True, -1), caught(wrapped.put, 1, True, -1)
    assert (type(ours), str(ours)) == (ValueError, str(standard))


def test_a_put_that_waits_goes_on_when_there_is_room():
    q = ctxtrace.ContextQueue(queue.Queue(1))
    q.put(1)

    def puts():
        USER.set("ada")
        q.put(2, timeout=LIMIT)

    thread = threading.Thread(target=puts, daemon=True)
    thread.start()
    assert q.get() == 1
    assert by_receive(q, user) == (2, "ada")
    thread.join(LIMIT)


@counting_kinds
def test_get_does_not_call_task_done(make):
    q = ctxtrace.ContextQueue(make())
    q.put(1)
    q.put(2)
    q.put(3)
    q.get()
    q.get_nowait()
    q.get_with_context()
    assert q.unfinished_tasks == 3


@counting_kinds
def test_task_done_and_join_are_those_of_the_queue(make):
    q = ctxtrace.ContextQueue(make())
    q.put(1)
    q.get()
    q.task_done()
    q.join()
    with pytest.raises(ValueError, match="called too many times"):
        q.task_done()


@counting_kinds
@pytest.mark.parametrize("fails", [False, True])
def test_receive_calls_task_done_once_after_the_block(make, fails):
    q = ctxtrace.ContextQueue(make())
    q.put(1)
    q.put(2)
    with contextlib.suppress(Boom), q.receive():
        inside = q.unfinished_tasks
        if fails:
            raise Boom
    assert (inside, q.unfinished_tasks) == (2, 1)


@counting_kinds
def test_task_done_is_called_outside_the_senders_context(make):
    class Watched(make):
        def task_done(self):
            seen.append(user())
            super().task_done()

    seen = []
    q = ctxtrace.ContextQueue(Watched())
    with serving("ada"):
        q.put(1)
        q.put(2)
    with q.receive():
        pass
    by_serve(q, user)
    assert seen == ["nobody", "nobody"]


@counting_kinds
@pytest.mark.parametrize("way", ["receive", "serve"])
def test_join_returns_when_everything_was_handled(make, way):
    q, handled = ctxtrace.ContextQueue(make()), []
    for item in range(3):
        q.put(item)

    def receives():
        for _ in range(3):
            with q.receive(timeout=LIMIT) as item:
                handled.append(item)

    def joins():
        q.join()
        seen.extend(handled)

    seen = []
    joining = threading.Thread(target=joins, daemon=True)
    joining.start()
    target = receives if way == "receive" else lambda: q.serve(handled.append)
    working = threading.Thread(target=target, daemon=True)
    working.start()
    joining.join(LIMIT)
    q.stop()
    working.join(LIMIT)
    assert sorted(seen) == [0, 1, 2]


if hasattr(queue, "ShutDown"):

    @counting_kinds
    def test_a_queue_that_was_shut_down_takes_nothing_more(make):
        q = ctxtrace.ContextQueue(make())
        q.shutdown()
        for put in (q.put, q.put_nowait):
            with pytest.raises(queue.ShutDown):
                put(1)

    @counting_kinds
    def test_a_queue_that_was_shut_down_gives_what_it_has_and_then_raises(make):
        q = ctxtrace.ContextQueue(make())
        with serving("ada"):
            for item in range(4):
                q.put(item)
        q.shutdown()
        seen = {q.get(), q.get_nowait(), by_receive(q, user), by_get_with_context(q, user)}
        assert len(seen) == 4
        for take in (q.get, q.get_nowait, q.get_with_context, q.receive().__enter__):
            with pytest.raises(queue.ShutDown):
                take()

    @counting_kinds
    def test_a_queue_that_is_shut_down_at_once_drops_its_items(make):
        q = ctxtrace.ContextQueue(make())
        q.put(1)
        q.shutdown(immediate=True)
        with pytest.raises(queue.ShutDown):
            q.get()
        q.join()
        assert q.is_shutdown

else:

    @kinds
    def test_before_3_13_there_is_no_shutdown(make):
        assert not hasattr(ctxtrace.ContextQueue(make()), "shutdown")


def test_its_repr_says_what_it_wraps_and_shows_no_item():
    q = ctxtrace.ContextQueue(queue.LifoQueue())
    q.put("secret")
    assert repr(q) == f"<ctxtrace.ContextQueue of a LifoQueue at {id(q):#x}>"


def test_it_can_be_subscripted():
    assert ctxtrace.ContextQueue[int](queue.Queue()).maxsize == 0


def test_any_object_with_the_methods_of_a_queue_can_be_wrapped():
    class Stack:
        def __init__(self):
            self.things = []

        def put(self, thing, block=True, timeout=None):
            self.things.append(thing)

        def get(self, block=True, timeout=None):
            if not self.things:
                raise queue.Empty
            return self.things.pop()

        put_nowait, get_nowait = put, get

        def qsize(self):
            return len(self.things)

        def empty(self):
            return not self.things

    q = ctxtrace.ContextQueue(Stack())
    for name in ("ada", "grace", "mary"):
        with serving(name):
            q.put(name)
    seen = [by_receive(q, user), by_get_with_context(q, user)]
    q.stop()
    q.serve(lambda item: seen.append((item, user())))
    assert seen == [("mary", "mary"), ("grace", "grace"), ("ada", "ada")]


@kinds
@pytest.mark.parametrize("name", ["put", "get"])
def test_it_is_called_as_the_queue_is(make, name):
    ours = inspect.signature(getattr(ctxtrace.ContextQueue(make()), name)).parameters
    standard = inspect.signature(getattr(make(), name)).parameters
    assert [(p.name, p.default) for p in ours.values()] == [
        (p.name, p.default) for p in standard.values()
    ]


def test_each_method_is_the_queues_of_the_same_name():
    called = []

    class Noting(queue.Queue):
        def put(self, *args, **kwargs):
            called.append("put")
            super().put(*args, **kwargs)

        def put_nowait(self, item):
            called.append("put_nowait")
            super().put(item, block=False)

        def get(self, *args, **kwargs):
            called.append("get")
            return super().get(*args, **kwargs)

        def get_nowait(self):
            called.append("get_nowait")
            return super().get(block=False)

    q = ctxtrace.ContextQueue(Noting())
    q.put_nowait(1)
    q.get_nowait()
    q.put(1)
    q.get()
    assert called == ["put_nowait", "get_nowait", "put", "get"]


def test_an_attribute_that_is_set_is_the_queues():
    inner = queue.Queue(1)
    q = ctxtrace.ContextQueue(inner)
    q.maxsize = 2
    q.label = "mails"
    q.put_nowait(1)
    q.put_nowait(2)
    assert (inner.maxsize, hasattr(inner, "label"), q.label) == (2, False, "mails")


def test_an_error_of_the_block_is_not_hidden_by_a_task_done_too_many():
    q = ctxtrace.ContextQueue(queue.Queue())
    q.put(1)

    def block():
        with q.receive():
            q.task_done()
            raise Boom

    with pytest.raises(Boom):
        block()


def test_a_task_done_too_many_is_an_error_as_it_is_for_the_queue():
    q = ctxtrace.ContextQueue(queue.Queue())
    q.put(1)
    with pytest.raises(ValueError, match="called too many times"), q.receive():
        q.task_done()


def test_a_handler_that_calls_task_done_itself_is_told_and_does_not_end_the_loop(caplog):
    q = ctxtrace.ContextQueue(queue.Queue())
    q.put(1)
    seen = []

    def handler(item):
        seen.append(item)
        q.task_done()
        if item == 1:
            q.put(2)
        q.stop()

    q.serve(handler)
    assert seen == [1, 2]
    q.join()
    assert "serve() calls it after each, so a handler is not to" in caplog.text


def test_an_empty_get_of_a_queue_with_a_timeout_of_its_own_does_not_end_the_loop():
    class Impatient(queue.Queue):
        def get(self, block=True, timeout=0):
            return super().get(block, timeout)

    q = ctxtrace.ContextQueue(Impatient())
    seen = []
    with started(threading.Thread(target=q.serve, args=(seen.append,))):
        q.put(1)
        q.join()
        q.put(2)
        q.stop()
    assert seen == [1, 2]
