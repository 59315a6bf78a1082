"""Streams that are no generators: iterators in C, classes of the user's, a client's objects."""

from __future__ import annotations

import asyncio
import collections.abc
import contextlib
import copy
import io
import itertools
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest
from core.support import (
    LIMIT,
    USER,
    Boom,
    caught,
    files_of_ours,
    frames,
    has_parent,
    serving,
    user,
)

import ctxtrace

DECORATORS = [ctxtrace.streaming, ctxtrace.traced_stream]
every_decorator = pytest.mark.parametrize("decorate", DECORATORS, ids=["streaming", "traced"])


def for_ada(thing, decorate=ctxtrace.streaming):
    with serving("ada"):
        return decorate(thing)


class Client:
    """A client's stream: what it does, it says, and whose request it does it in."""

    def __init__(self, count=3):
        self.log = []
        self.left = count
        self.response = object()

    def _says(self, what):
        self.log.append((what, user()))

    def method(self):
        return user()


class SyncStream(Client):
    def __iter__(self):
        self._says("iter")
        return self

    def __next__(self):
        self._says("next")
        if not self.left:
            raise StopIteration
        self.left -= 1
        return self.left

    def __enter__(self):
        self._says("enter")
        return self

    def __exit__(self, *error):
        self._says("exit")
        return error[0] is Boom

    def close(self):
        self._says("close")


class AsyncStream(Client):
    def __aiter__(self):
        self._says("aiter")
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        self._says("anext")
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return self.left

    async def __aenter__(self):
        await asyncio.sleep(0)
        self._says("aenter")
        return self

    async def __aexit__(self, *error):
        await asyncio.sleep(0)
        self._says("aexit")

    async def close(self):
        await asyncio.sleep(0)
        self._says("close")

    async def aclose(self):
        await asyncio.sleep(0)
        self._says("aclose")


class BothWays(SyncStream):
    def __aiter__(self):
        return self

    async def __anext__(self):
        self._says("anext")
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return self.left


class IteratesBesides(Client):
    """As openai's Stream: __iter__ is a generator function, and there is __next__ too."""

    def _items(self):
        while self.left:
            self._says("item")
            self.left -= 1
            yield self.left

    def __iter__(self):
        yield from self._items()

    def __next__(self):
        return next(self._items())


class AsyncIteratesBesides(Client):
    async def __aiter__(self):
        while self.left:
            await asyncio.sleep(0)
            self._says("item")
            self.left -= 1
            yield self.left

    async def __anext__(self):
        return 0


class LikeAGenerator(Client):
    def __iter__(self):
        return self

    def __next__(self):
        return self.send(None)

    def send(self, value):
        self._says(f"send {value}")
        return value

    def throw(self, error):
        self._says(f"throw {type(error).__name__}")
        return "thrown"

    def close(self):
        self._says("close")


def control_of(stream):
    """Iterate the bare one where it stands."""
    return list(stream), stream.log


# Iteration.


def test_control_a_bare_stream_object_runs_in_the_context_of_its_consumer():
    _, log = control_of(SyncStream())
    assert {seen for _, seen in log} == {"nobody"}


@every_decorator
@pytest.mark.parametrize("kind", [SyncStream, BothWays, IteratesBesides])
def test_every_step_of_a_stream_object_runs_in_the_captured_context(decorate, kind):
    stream = for_ada(kind(), decorate)
    assert list(stream) == [2, 1, 0]
    assert {seen for _, seen in stream.log} == {"ada"}


@every_decorator
@pytest.mark.parametrize("kind", [AsyncStream, BothWays, AsyncIteratesBesides])
async def test_every_step_of_an_async_stream_object_runs_in_the_captured_context(decorate, kind):
    stream = for_ada(kind(), decorate)
    assert [item async for item in stream] == [2, 1, 0]
    assert {seen for _, seen in stream.log} == {"ada"}


@every_decorator
@pytest.mark.parametrize(
    "make",
    [
        lambda: map(user, range(2)),
        lambda: iter(user, "never"),
        lambda: (user() for _ in range(2)),
        lambda: filter(None, map(user, range(2))),
    ],
    ids=["map", "iter", "generator expression", "filter"],
)
def test_every_step_of_an_iterator_runs_in_the_captured_context(decorate, make):
    stream = for_ada(make(), decorate)
    assert [next(stream), next(stream)] == ["ada", "ada"]


@every_decorator
def test_a_file_can_be_streamed(decorate):
    with decorate(io.StringIO("a\nb\n")) as stream:
        assert (next(stream), list(stream)) == ("a\n", ["b\n"])
    assert stream.closed


@every_decorator
def test_a_function_that_returns_a_stream_object_gives_one_that_is_driven(decorate):
    stream = for_ada(3, decorate(lambda count: SyncStream(count)))
    next(stream)
    assert stream.log[-1] == ("next", "ada")


async def test_a_coroutine_function_that_gives_a_stream_object_gives_one_that_is_driven():
    @ctxtrace.streaming
    async def create():
        await asyncio.sleep(0)
        return AsyncStream()

    with serving("ada"):
        coroutine = create()
    stream = await coroutine
    assert [item async for item in stream] == [2, 1, 0]
    assert {seen for _, seen in stream.log} == {"ada"}


def test_a_class_that_makes_streams_can_be_decorated():
    stream = for_ada(3, ctxtrace.streaming(SyncStream))
    assert (list(stream), {seen for _, seen in stream.log}) == ([2, 1, 0], {"ada"})


def test_what_a_stream_object_sets_it_finds_in_its_next_step_and_its_consumer_never_sees():
    class Sets(SyncStream):
        def __next__(self):
            seen = user()
            USER.set("guest")
            return seen

    stream = for_ada(Sets())
    assert [next(stream), next(stream), user()] == ["ada", "guest", "nobody"]


# What else a client's object has.


@every_decorator
def test_the_attributes_of_a_stream_object_are_there(decorate):
    client = SyncStream()
    stream = decorate(client)
    assert (stream.response, stream.left) == (client.response, 3)


@every_decorator
def test_setting_and_deleting_an_attribute_reaches_the_object(decorate):
    client = SyncStream()
    stream = decorate(client)
    stream.left = 1
    stream.new = "new"
    del stream.response
    assert (client.left, client.new, hasattr(client, "response")) == (1, "new", False)


@every_decorator
@pytest.mark.parametrize("kind", [SyncStream, AsyncStream, BothWays, IteratesBesides])
def test_a_stream_object_stays_an_instance_of_its_class_and_looks_like_it(decorate, kind):
    client = kind()
    stream = decorate(client)
    assert isinstance(stream, kind)
    assert isinstance(stream, Client)
    assert (repr(stream), stream.__class__) == (repr(client), kind)


ABCS = [
    collections.abc.Iterator,
    collections.abc.AsyncIterator,
    collections.abc.Iterable,
    collections.abc.AsyncIterable,
    collections.abc.Generator,
    collections.abc.AsyncGenerator,
    collections.abc.Awaitable,
    collections.abc.Callable,
    contextlib.AbstractContextManager,
    contextlib.AbstractAsyncContextManager,
]
KINDS = [SyncStream, AsyncStream, BothWays, IteratesBesides, AsyncIteratesBesides, LikeAGenerator]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("abc", ABCS)
def test_a_stream_object_is_of_the_abstract_classes_that_the_bare_one_is_of(kind, abc):
    assert isinstance(ctxtrace.streaming(kind()), abc) == isinstance(kind(), abc)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("abc", ABCS)
def test_the_type_of_a_stream_object_has_the_methods_that_the_bare_ones_has(kind, abc):
    assert issubclass(type(ctxtrace.streaming(kind())), abc) == issubclass(kind, abc)


def test_a_stream_object_without_a_length_has_none():
    assert not isinstance(ctxtrace.streaming(SyncStream()), collections.abc.Sized)


# Closing.


@every_decorator
def test_with_runs_inside_and_gives_the_stream(decorate):
    stream = for_ada(SyncStream(), decorate)
    with stream as inside:
        assert inside is stream
        next(inside)
    assert stream.log == [("enter", "ada"), ("next", "ada"), ("exit", "ada")]


def test_with_may_swallow_an_error_as_the_bare_one():
    with ctxtrace.streaming(SyncStream()):
        raise Boom
    with pytest.raises(KeyError), ctxtrace.streaming(SyncStream()):
        raise KeyError


@every_decorator
async def test_async_with_runs_inside_and_gives_the_stream(decorate):
    stream = for_ada(AsyncStream(), decorate)
    async with stream as inside:
        assert inside is stream
        await inside.__anext__()
    assert stream.log == [("aenter", "ada"), ("anext", "ada"), ("aexit", "ada")]


@every_decorator
def test_close_runs_inside(decorate):
    stream = for_ada(SyncStream(), decorate)
    stream.close()
    assert stream.log == [("close", "ada")]


@every_decorator
@pytest.mark.parametrize("name", ["close", "aclose"])
async def test_an_async_close_runs_inside(decorate, name):
    stream = for_ada(AsyncStream(), decorate)
    await getattr(stream, name)()
    assert stream.log == [(name, "ada")]


@every_decorator
def test_what_a_with_gives_that_is_another_stream_is_driven_too(decorate):
    class Manager(SyncStream):
        def __enter__(self):
            return map(user, range(1))

    with for_ada(Manager(), decorate) as inside:
        assert list(inside) == ["ada"]


def test_what_a_with_gives_that_is_no_stream_is_given_as_it_is():
    class Manager(SyncStream):
        def __enter__(self):
            return 42

    with for_ada(Manager()) as inside:
        assert inside == 42


@pytest.mark.parametrize("name", ["send", "throw", "close"])
def test_the_methods_of_an_object_like_a_generator_run_inside(name):
    stream = for_ada(LikeAGenerator())
    getattr(stream, name)(*{"send": [1], "throw": [Boom()], "close": []}[name])
    assert [seen for _, seen in stream.log] == ["ada"]


class Holder(SyncStream):
    """Closes, when it is dropped, a generator that it has and nobody else."""

    def __init__(self, closed):
        super().__init__()
        self.generator = self.items(closed)
        next(self.generator)

    @staticmethod
    def items(closed):
        try:
            yield
        finally:
            closed.append(user())


def test_control_a_dropped_object_closes_its_generator_in_the_droppers_context(no_gc):
    closed = []
    holder = Holder(closed)
    del holder
    assert closed == ["nobody"]


@every_decorator
def test_a_dropped_stream_object_closes_its_generator_inside(decorate, no_gc):
    closed = []
    stream = for_ada(Holder(closed), decorate)
    del stream
    assert closed == ["ada"]


# Steps at once.


def overlapping(make):
    """Two steps of one stream in two threads, the second begun while the first runs."""
    barrier = threading.Barrier(2, timeout=LIMIT)

    class Meets(SyncStream):
        def __next__(self):
            barrier.wait()
            seen = user()
            barrier.wait()
            return seen

    stream = for_ada(Meets(), make)
    with ThreadPoolExecutor(2) as pool:
        return [future.result(LIMIT) for future in [pool.submit(next, stream) for _ in range(2)]]


def test_control_two_threads_may_step_a_bare_object_at_once():
    assert overlapping(lambda stream: stream) == ["nobody"] * 2


@every_decorator
def test_two_threads_may_step_a_stream_object_at_once(decorate):
    assert overlapping(decorate) == ["ada"] * 2


@every_decorator
def test_a_stream_object_may_step_itself(decorate):
    class Nested(SyncStream):
        def __next__(self):
            if box:
                return next(box.pop()), user()
            return user()

    stream = for_ada(Nested(), decorate)
    box = [stream]
    assert next(stream) == ("ada", "ada")


@every_decorator
async def test_two_tasks_may_step_an_async_stream_object_at_once(decorate):
    both = asyncio.Event()

    class Meets(AsyncStream):
        async def __anext__(self):
            self.left -= 1
            if self.left == 1:
                both.set()
            await both.wait()
            return user()

    stream = for_ada(Meets(), decorate)
    assert await asyncio.gather(stream.__anext__(), stream.__anext__()) == ["ada", "ada"]


# Errors and pins.


class Fails(SyncStream):
    def __next__(self):
        raise Boom("on purpose")

    __enter__ = close = __next__


@every_decorator
@pytest.mark.parametrize("name", ["__next__", "close"])
def test_an_error_of_a_stream_object_passes_through(decorate, name):
    error = caught(getattr(decorate(Fails()), name))
    assert (type(error), str(error)) == (Boom, "on purpose")


@every_decorator
def test_an_error_of_an_async_step_passes_through(decorate):
    class Fails(AsyncStream):
        async def __anext__(self):
            raise Boom("on purpose")

    async def main():
        await decorate(Fails()).__anext__()

    error = caught(lambda: asyncio.run(main()))
    assert (type(error), str(error)) == (Boom, "on purpose")


@every_decorator
def test_a_cancelled_step_is_cancelled_inside(decorate):
    seen = []

    class Waits(AsyncStream):
        async def __anext__(self):
            try:
                self.inside.set()
                await asyncio.Event().wait()
            finally:
                seen.append(user())

    async def main():
        client = Waits()
        client.inside = asyncio.Event()
        stream = for_ada(client, decorate)

        async def step():
            return await stream.__anext__()

        task = asyncio.ensure_future(step())
        await client.inside.wait()
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert (asyncio.run(main()), seen) == (True, ["ada"])


class Parents(SyncStream):
    def __next__(self):
        super().__next__()
        return has_parent()


class AsyncParents(AsyncStream):
    async def __anext__(self):
        await super().__anext__()
        return has_parent()


def in_a_run(tracer, make, decorate):
    with tracer.run() as run:
        return decorate(make()), run


@every_decorator
@pytest.mark.parametrize("end", ["exhausted", "closed", "left"])
def test_a_kept_stream_object_that_is_over_frees_the_run(decorate, end, tracer, no_gc):
    stream, run = in_a_run(tracer, Parents, decorate)
    assert next(stream)
    assert run() is not None
    if end == "exhausted":
        assert list(stream) == [True, True]
    elif end == "closed":
        stream.close()
    else:
        with stream:
            pass
    assert run() is None


@every_decorator
@pytest.mark.parametrize("end", ["exhausted", "close", "aclose", "left"])
async def test_a_kept_async_stream_object_that_is_over_frees_the_run(decorate, end, tracer, no_gc):
    stream, run = in_a_run(tracer, AsyncParents, decorate)
    assert await stream.__anext__()
    assert run() is not None
    if end == "exhausted":
        assert [item async for item in stream] == [True, True]
    elif end == "left":
        async with stream:
            pass
    else:
        await getattr(stream, end)()
    assert run() is None


@every_decorator
def test_a_dropped_stream_object_frees_the_run(decorate, tracer, no_gc):
    stream, run = in_a_run(tracer, Parents, decorate)
    assert next(stream)
    del stream
    assert run() is None


@every_decorator
def test_a_stream_object_that_failed_frees_the_run(decorate, tracer, no_gc):
    stream, run = in_a_run(tracer, Fails, decorate)
    caught(next, stream)
    del stream
    assert run() is None


# What is refused.


async def a_list():
    return [1]


class NoStream:
    pass


@contextlib.contextmanager
def a_coroutine():
    coroutine = a_list()
    yield coroutine
    coroutine.close()


def refusal(function, *arguments):
    error = caught(function, *arguments)
    assert type(error) is TypeError
    assert str(error).endswith(".")
    return str(error)


@every_decorator
@pytest.mark.parametrize(
    ("thing", "given", "hint"),
    [
        (42, "'int'", "it is no iterator, and cannot be called to make one"),
        (None, "'NoneType'", "it is no iterator, and cannot be called to make one"),
        (["secret"], "'list'", "pass iter(...) of it"),
        (NoStream, "the class NoStream", "its instances have no __next__() and no __anext__()"),
    ],
)
def test_what_makes_no_stream_is_refused(decorate, thing, given, hint):
    text = refusal(decorate, thing)
    assert f"{decorate.__name__}() takes a generator function" in text
    assert f"{given}: {hint}" in text
    assert "secret" not in text


@every_decorator
def test_a_coroutine_is_refused(decorate):
    with a_coroutine() as coroutine:
        text = refusal(decorate, coroutine)
    assert "decorate the function instead of its call, or await it first" in text
    assert "'coroutine'" in text


def test_what_is_only_asynchronously_iterable_is_refused():
    class Iterable:
        def __aiter__(self):
            return self

    assert "pass what its __aiter__() returns" in refusal(ctxtrace.streaming, Iterable())


def returns_a_list():
    return ["secret"]


def returns_none():
    return None


def returns_a_number():
    return 42


@every_decorator
@pytest.mark.parametrize(
    ("function", "given", "hint"),
    [
        (returns_a_list, "'list'", "return iter(...) of it"),
        (returns_none, "'NoneType'", "return an iterator"),
        (returns_a_number, "'int'", "return an iterator"),
    ],
)
def test_a_function_that_returns_no_stream_fails_at_the_call(decorate, function, given, hint):
    text = refusal(decorate(function))
    name = f"{function.__name__}()"
    for expected in (name, f"@{decorate.__name__}", f"it gave an object of type {given},", hint):
        assert expected in text
    assert "secret" not in text


@every_decorator
def test_a_coroutine_function_that_gives_no_stream_fails_when_it_is_awaited(decorate):
    async def main():
        coroutine = decorate(a_list)()
        await coroutine

    text = refusal(lambda: asyncio.run(main()))
    assert "it gave an object of type 'list', which is not an iterator or async iterator" in text


def test_traced_stream_refuses_a_name_by_position():
    assert "traced_stream(name='stream')" in refusal(ctxtrace.traced_stream, "stream")


def test_traced_stream_refuses_a_run_type_that_langsmith_does_not_know():
    with pytest.raises(ValueError, match=r"run_type is 'model', and must be one of tool, chain"):
        ctxtrace.traced_stream(run_type="model")


def test_traced_stream_refuses_a_reduce_that_cannot_be_called():
    text = refusal(lambda: ctxtrace.traced_stream(reduce=42))
    assert text == "reduce is 42, and must be a function of the list of chunks."


def test_traced_stream_refuses_a_reduce_that_would_have_to_be_awaited():
    text = refusal(lambda: ctxtrace.traced_stream(reduce=a_list))
    assert "is the coroutine function" in text
    assert "can end where nothing can be awaited" in text


def test_traced_stream_refuses_a_negative_number_of_chunks():
    with pytest.raises(ValueError, match=r"max_chunks is -1, and must not be negative\."):
        ctxtrace.traced_stream(max_chunks=-1)


if sys.version_info >= (3, 11):

    @every_decorator
    def test_no_frame_of_ours_is_in_the_traceback_of_a_step(decorate):
        assert files_of_ours(caught(next, decorate(Fails()))) == []

else:

    @every_decorator
    def test_the_last_frame_of_a_traceback_of_a_step_is_the_users(decorate):
        assert frames(caught(next, decorate(Fails())))[-1] == "__next__"


# What an object can do besides being iterated.


def test_looking_for_something_in_a_stream_object_takes_its_steps_in_the_captured_context():
    class Who:
        def __iter__(self):
            return self

        def __next__(self):
            return user()

    with serving("ada"):
        stream = ctxtrace.streaming(Who())
    assert "ada" in stream


def test_a_stream_object_can_be_teed():
    first, second = itertools.tee(ctxtrace.streaming(iter([1, 2])))
    assert (list(first), list(second)) == ([1, 2], [1, 2])


def test_a_copy_of_a_stream_object_is_a_copy_of_the_bare_one():
    stream = ctxtrace.streaming(iter([1, 2]))
    assert list(copy.copy(stream)) == [1, 2]
    assert list(stream) == [1, 2]


async def test_a_stream_object_is_closed_with_the_arguments_it_is_given():
    class Socket:
        async def __anext__(self):
            raise StopAsyncIteration

        async def close(self, *, code):
            return code, user()

    with serving("ada"):
        stream = ctxtrace.streaming(Socket())
    assert await stream.close(code=1000) == (1000, "ada")


@every_decorator
async def test_what_a_stream_that_is_no_generator_sends_is_its_own(decorate):
    class Duplex:
        def __init__(self):
            self.sent = []

        async def __anext__(self):
            raise StopAsyncIteration

        async def send(self, item):
            self.sent.append(item)

    stream = decorate(Duplex())
    await stream.send("item")
    assert stream.sent == ["item"]


async def test_an_async_stream_object_that_can_be_awaited_can_be_iterated_too():
    class Cursor:
        def __aiter__(self):
            return self

        async def __anext__(self):
            raise StopAsyncIteration

        def __await__(self):
            yield from asyncio.sleep(0).__await__()
            return self, user()

    with serving("ada"):
        stream = ctxtrace.streaming(Cursor())
    assert [item async for item in stream] == []
    assert (await stream)[1] == "ada"


def test_a_stream_object_can_be_called_if_it_could_be_before():
    class Callable:
        def __next__(self):
            raise StopIteration

        def __call__(self, argument):
            return argument, user()

    with serving("ada"):
        stream = ctxtrace.streaming(Callable())
    assert stream(1) == (1, "ada")


def test_an_attribute_called_close_that_is_no_method_stays_what_it_is():
    class Market:
        close = 4.5

        def __next__(self):
            raise StopIteration

    assert ctxtrace.streaming(Market()).close == 4.5


def test_a_stream_object_of_a_class_without_a_hash_is_a_stream():
    class Meta(type):
        __hash__ = None

        def __eq__(cls, other):
            return cls is other

    class Unhashable(metaclass=Meta):
        def __iter__(self):
            return self

        def __next__(self):
            raise StopIteration

    assert list(ctxtrace.streaming(Unhashable())) == []


def test_a_stream_object_that_is_no_context_manager_says_so_as_the_bare_one_does():
    def enter(stream):
        with stream:
            pass

    class Steps:
        def __next__(self):
            raise StopIteration

    said = caught(enter, Steps())
    assert type(caught(enter, ctxtrace.streaming(Steps()))) is type(said)
    assert str(caught(enter, ctxtrace.streaming(Steps()))) == str(said)


def test_a_repr_that_fails_does_not_keep_a_method_from_being_decorated():
    class Model:
        def __repr__(self):
            raise AssertionError("nobody is to ask")

        def rows(self):
            yield 1

    assert list(ctxtrace.streaming(Model().rows)()) == [1]


def test_a_stream_object_whose_iterator_is_another_works_where_sniffio_is_loaded(monkeypatch):
    sniffio = types.ModuleType("sniffio")
    sniffio.current_async_library_cvar = ContextVar("library", default=None)
    monkeypatch.setitem(sys.modules, "sniffio", sniffio)

    class Client:
        def __iter__(self):
            yield user()

        def __next__(self):
            return user()

    with serving("ada"):
        stream = ctxtrace.streaming(Client())
    assert list(stream) == ["ada"]
