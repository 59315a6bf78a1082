"""What a queue cannot do is refused with a TypeError: which object, why, what to do instead."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import multiprocessing
import queue

import pytest

import ctxtrace

SECRET = "secret item"


@contextlib.contextmanager
def refused(*texts):
    with pytest.raises(TypeError) as raised:
        yield
    text = str(raised.value)
    for expected in texts:
        assert expected in text
    assert text.endswith(".")
    assert SECRET not in text


both = pytest.mark.parametrize("make", [ctxtrace.ContextQueue, ctxtrace.AsyncContextQueue])

INSTEAD = {
    ctxtrace.ContextQueue: "pass a queue.Queue(), SimpleQueue(), LifoQueue() or PriorityQueue()",
    ctxtrace.AsyncContextQueue: "pass an asyncio.Queue(), LifoQueue() or PriorityQueue()",
}


@both
@pytest.mark.parametrize("thing", [42, None, object(), [SECRET], {"get": SECRET}, len])
def test_what_is_no_queue_is_refused(make, thing):
    with refused(
        f"{make.__name__}() takes a queue, and got a {type(thing).__name__}, which has no put()",
        INSTEAD[make],
    ):
        make(thing)


@both
def test_what_is_half_a_queue_is_refused_with_what_it_lacks(make):
    class Half:
        def put(self, item):
            pass

        get = put_nowait = qsize = put

    with refused("Half, which has no get_nowait(), empty(): pass", INSTEAD[make]):
        make(Half())


@both
@pytest.mark.parametrize("kind", [queue.Queue, queue.SimpleQueue, asyncio.Queue, dict])
def test_a_class_is_refused(make, kind):
    with refused(f"got the class {kind.__name__}", INSTEAD[make]):
        make(kind)


@pytest.mark.parametrize("kind", [asyncio.Queue, asyncio.LifoQueue, asyncio.PriorityQueue])
async def test_a_queue_for_asyncio_is_refused_between_threads(kind):
    with refused(
        f"ContextQueue() cannot wrap a {kind.__name__}, which is a queue for asyncio",
        "use ctxtrace.AsyncContextQueue().",
    ):
        ctxtrace.ContextQueue(kind())


@pytest.mark.parametrize(
    "kind", [queue.Queue, queue.SimpleQueue, queue.LifoQueue, queue.PriorityQueue]
)
def test_a_queue_between_threads_is_refused_for_asyncio(kind):
    with refused(
        f"AsyncContextQueue() cannot wrap a {kind.__name__}, which is a queue between threads",
        "use ctxtrace.ContextQueue().",
    ):
        ctxtrace.AsyncContextQueue(kind())


@both
@pytest.mark.parametrize("name", ["Queue", "JoinableQueue", "SimpleQueue"])
def test_a_queue_between_processes_is_refused(make, name):
    thing = getattr(multiprocessing, name)()
    try:
        with refused(
            f"{make.__name__}() cannot carry a context through a {name} of multiprocessing",
            "Use the queue as it is",
        ):
            make(thing)
    finally:
        thing.close() if hasattr(thing, "close") else None


@both
async def test_a_queue_that_carries_already_is_refused(make):
    for thing in (
        ctxtrace.ContextQueue(queue.Queue()),
        ctxtrace.AsyncContextQueue(asyncio.Queue()),
    ):
        with refused(f"got {thing!r}, which carries already", "use that"):
            make(thing)


@both
async def test_a_subclass_of_a_queue_that_carries_already_is_refused(make):
    class Mine(ctxtrace.ContextQueue):
        pass

    with refused("<ctxtrace.Mine of a Queue at ", "which carries already"):
        make(Mine(queue.Queue()))


def test_one_whose_init_was_not_called_has_no_attributes():
    class Forgetful(ctxtrace.ContextQueue):
        def __init__(self):
            pass

    with pytest.raises(AttributeError):
        Forgetful().maxsize  # noqa: B018 - the look itself


# Handlers.


def generates(_):
    yield


async def generates_async(_):
    yield


async def awaits(_):
    pass


class CallGenerates:
    def __call__(self, _):
        yield


class CallAwaits:
    async def __call__(self, _):
        pass


class HasMethods:
    def generates(self, _):
        yield

    async def awaits(self, _):
        pass


NOT_CALLABLE = [42, "handler", [1], object()]
GENERATORS = [
    generates,
    generates_async,
    functools.partial(generates),
    CallGenerates(),
    HasMethods().generates,
]
COROUTINES = [awaits, functools.partial(awaits), CallAwaits(), HasMethods().awaits]

names = pytest.mark.parametrize("name", ["handler", "on_error"])


def serve_with(q, name, function):
    arguments = {"handler": print, name: function}
    return q.serve(arguments.pop("handler"), **arguments)


@names
@pytest.mark.parametrize("function", NOT_CALLABLE)
def test_serve_refuses_what_cannot_be_called(name, function):
    with refused(f"ContextQueue.serve() calls its {name}", "cannot be called", repr(function)):
        serve_with(ctxtrace.ContextQueue(queue.Queue()), name, function)


@names
@pytest.mark.parametrize("function", NOT_CALLABLE)
async def test_async_serve_refuses_what_cannot_be_called(name, function):
    with refused(f"AsyncContextQueue.serve() calls its {name}", "cannot be called"):
        await serve_with(ctxtrace.AsyncContextQueue(asyncio.Queue()), name, function)


@pytest.mark.parametrize("make", ["sync", "async"])
async def test_serve_refuses_no_handler_at_all(make):
    with refused("calls its handler", "None cannot be called"):
        if make == "sync":
            ctxtrace.ContextQueue(queue.Queue()).serve(None)
        else:
            await ctxtrace.AsyncContextQueue(asyncio.Queue()).serve(None)


@names
@pytest.mark.parametrize("function", GENERATORS)
def test_serve_refuses_a_generator_function(name, function):
    with refused(f"ContextQueue.serve() calls its {name}", "generator function", repr(function)):
        serve_with(ctxtrace.ContextQueue(queue.Queue()), name, function)


@names
@pytest.mark.parametrize("function", GENERATORS)
async def test_async_serve_refuses_a_generator_function(name, function):
    with refused("AsyncContextQueue.serve()", "generator function", repr(function)):
        await serve_with(ctxtrace.AsyncContextQueue(asyncio.Queue()), name, function)


@names
@pytest.mark.parametrize("function", COROUTINES)
def test_serve_refuses_a_coroutine_function(name, function):
    with refused("coroutine function", "serve an AsyncContextQueue", repr(function)):
        serve_with(ctxtrace.ContextQueue(queue.Queue()), name, function)


def test_serve_refuses_before_it_takes_an_item():
    q = ctxtrace.ContextQueue(queue.Queue())
    q.put(SECRET)
    with refused("cannot be called"):
        q.serve(42)
    assert (q.qsize(), q.unfinished_tasks) == (1, 1)


def test_serve_takes_on_error_by_name_alone():
    with pytest.raises(TypeError, match="positional argument"):
        ctxtrace.ContextQueue(queue.Queue()).serve(print, print)


# Items that cannot be ordered are refused in the words of the bare queue.


def test_items_that_cannot_be_ordered_are_refused_as_by_the_bare_queue():
    def text(q):
        q.put({"key": SECRET})
        with pytest.raises(TypeError) as raised:
            q.put({"key": SECRET})
        return str(raised.value)

    expected = text(queue.PriorityQueue())
    assert text(ctxtrace.ContextQueue(queue.PriorityQueue())) == expected


async def test_async_items_that_cannot_be_ordered_are_refused_as_by_the_bare_queue():
    async def text(q):
        await q.put({"key": SECRET})
        with pytest.raises(TypeError) as raised:
            await q.put({"key": SECRET})
        return str(raised.value)

    expected = await text(asyncio.PriorityQueue())
    assert await text(ctxtrace.AsyncContextQueue(asyncio.PriorityQueue())) == expected
