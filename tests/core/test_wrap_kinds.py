"""wrap(): whatever is wrapped, the result is of the same kind and runs in the snapshot."""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor

import pytest
from core.support import LIMIT, USER, Boom, caught, files_of_ours, frames, serving, user

import ctxtrace

# Each kind as a callable of one argument, which gives (argument, user) by its own means.


def function(argument):
    """Tell who the user is."""
    return argument, user()


async def coroutine_function(argument):
    """Tell who the user is."""
    await asyncio.sleep(0)
    return argument, user()


def generator_function(argument):
    """Tell who the user is."""
    yield argument
    yield user()


async def async_generator_function(argument):
    """Tell who the user is."""
    yield argument
    await asyncio.sleep(0)
    yield user()


class Tools:
    def method(self, argument):
        return function(argument)

    async def coroutine_method(self, argument):
        return await coroutine_function(argument)

    def generator_method(self, argument):
        yield from generator_function(argument)

    async def async_generator_method(self, argument):
        async for item in async_generator_function(argument):
            yield item

    @classmethod
    def class_method(cls, argument):
        return function(argument)

    @classmethod
    async def coroutine_class_method(cls, argument):
        return await coroutine_function(argument)

    @staticmethod
    def static_method(argument):
        return function(argument)

    @staticmethod
    async def coroutine_static_method(argument):
        return await coroutine_function(argument)


class Callable_:
    def __call__(self, argument):
        return function(argument)


class CoroutineCallable:
    async def __call__(self, argument):
        return await coroutine_function(argument)


class GeneratorCallable:
    def __call__(self, argument):
        yield from generator_function(argument)


class AsyncGeneratorCallable:
    async def __call__(self, argument):
        async for item in async_generator_function(argument):
            yield item


def two(_, argument):
    return function(argument)


async def two_coroutine(_, argument):
    return await coroutine_function(argument)


def two_generator(_, argument):
    yield from generator_function(argument)


async def two_async_generator(_, argument):
    async for item in async_generator_function(argument):
        yield item


class TwoCoroutineCallable:
    async def __call__(self, _, argument):
        return await coroutine_function(argument)


tools = Tools()

KINDS = {
    "function": function,
    "coroutine function": coroutine_function,
    "generator function": generator_function,
    "async generator function": async_generator_function,
    "method": tools.method,
    "coroutine method": tools.coroutine_method,
    "generator method": tools.generator_method,
    "async generator method": tools.async_generator_method,
    "classmethod": tools.class_method,
    "coroutine classmethod": tools.coroutine_class_method,
    "staticmethod": tools.static_method,
    "coroutine staticmethod": tools.coroutine_static_method,
    "object": Callable_(),
    "coroutine object": CoroutineCallable(),
    "generator object": GeneratorCallable(),
    "async generator object": AsyncGeneratorCallable(),
    "bound __call__ of a coroutine object": CoroutineCallable().__call__,
    "partial function": functools.partial(two, 0),
    "partial coroutine function": functools.partial(two_coroutine, 0),
    "partial generator function": functools.partial(two_generator, 0),
    "partial async generator function": functools.partial(two_async_generator, 0),
    "partial of a partial": functools.partial(functools.partial(two_coroutine, 0)),
    "partial coroutine method": functools.partial(tools.coroutine_method),
    "partial coroutine object": functools.partial(TwoCoroutineCallable(), 0),
}

every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


def outcome(called):
    """What a call of any kind gives in the end, consumed here."""

    async def consume():
        if inspect.isawaitable(called):
            return await called
        return tuple([item async for item in called])

    if inspect.isawaitable(called) or inspect.isasyncgen(called):
        return asyncio.run(consume())
    return tuple(called)


@every_kind
def test_control_consumed_elsewhere_no_kind_sees_the_callers_variable(kind):
    assert outcome(kind(1)) == (1, "nobody")


@every_kind
def test_every_kind_runs_in_the_captured_context(kind):
    with serving("ada"):
        wrapped = ctxtrace.wrap(kind)
    assert outcome(wrapped(1)) == (1, "ada")


@every_kind
def test_every_kind_given_to_run_runs_in_the_captured_context(kind):
    with serving("ada"):
        snapshot = ctxtrace.capture()
    assert outcome(snapshot.run(kind, 1)) == (1, "ada")


@every_kind
def test_every_kind_can_be_called_again(kind):
    with serving("ada"):
        wrapped = ctxtrace.wrap(kind)
    assert [outcome(wrapped(1)), outcome(wrapped(2))] == [(1, "ada"), (2, "ada")]


@every_kind
def test_every_kind_passes_on_keywords(kind):
    with serving("ada"):
        wrapped = ctxtrace.wrap(kind)
    assert outcome(wrapped(argument=1)) == (1, "ada")


@every_kind
def test_every_kind_raises_an_error_in_the_arguments_at_the_call(kind):
    wrapped = ctxtrace.wrap(kind)
    with pytest.raises(TypeError, match="argument"):
        wrapped()


@every_kind
def test_every_kind_keeps_its_signature(kind):
    assert inspect.signature(ctxtrace.wrap(kind)) == inspect.signature(kind)


@every_kind
@pytest.mark.parametrize(
    "question",
    [
        inspect.iscoroutinefunction,
        asyncio.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
    ],
    ids=lambda question: f"{question.__module__}.{question.__name__}",
)
def test_whatever_inspect_says_of_a_kind_it_says_when_wrapped(kind, question):
    # An object with `async def __call__` is made more visible than it was.
    if not isinstance(kind, CoroutineCallable):
        assert question(ctxtrace.wrap(kind)) == question(kind)


def test_an_object_with_an_async_call_is_seen_as_a_coroutine_function_when_wrapped():
    assert inspect.iscoroutinefunction(ctxtrace.wrap(CoroutineCallable()))


PLAIN_KINDS = pytest.mark.parametrize(
    "kind", [function, coroutine_function, generator_function, async_generator_function]
)


@PLAIN_KINDS
@pytest.mark.parametrize("name", ["__name__", "__qualname__", "__module__", "__doc__"])
def test_a_wrapped_function_keeps_its_name_and_docstring(kind, name):
    assert getattr(ctxtrace.wrap(kind), name) == getattr(kind, name)


@PLAIN_KINDS
def test_a_wrapped_function_refers_to_the_original(kind):
    assert ctxtrace.wrap(kind).__wrapped__ is kind


@PLAIN_KINDS
def test_a_wrapped_function_keeps_attributes_that_were_set_on_it(kind):
    kind.mark = "set"
    try:
        assert ctxtrace.wrap(kind).mark == "set"
    finally:
        del kind.mark


@pytest.mark.parametrize("kind", [coroutine_function, generator_function, async_generator_function])
def test_what_a_wrapped_function_returns_is_of_the_same_type_and_has_the_same_names(kind):
    plain, driven = kind(1), ctxtrace.wrap(kind)(1)
    said = [(type(each), each.__name__, each.__qualname__) for each in (plain, driven)]
    for each in (plain, driven):
        if inspect.iscoroutine(each):
            each.close()
    assert said[0] == said[1]


def test_a_wrapped_class_makes_instances_in_the_captured_context():
    class Who:
        def __init__(self):
            self.user = user()

    with serving("ada"):
        wrapped = ctxtrace.wrap(Who)
    made = wrapped()
    assert isinstance(made, Who)
    assert made.user == "ada"


def test_a_class_whose_instances_are_coroutine_callables_makes_an_instance_when_wrapped():
    assert isinstance(ctxtrace.wrap(CoroutineCallable)(), CoroutineCallable)


def test_a_wrapped_builtin_is_called():
    assert ctxtrace.wrap(len)([1, 2]) == 2


def test_a_wrapped_builtin_calls_back_in_the_captured_context():
    with serving("ada"):
        wrapped = ctxtrace.wrap(max)
    assert wrapped([1, 2], key=lambda number: -number if user() == "ada" else number) == 1


def test_a_plain_function_that_returns_a_coroutine_gives_it_undriven():
    def returns_a_coroutine():
        return coroutine_function(user())

    with serving("ada"):
        wrapped = ctxtrace.wrap(returns_a_coroutine)
    assert asyncio.run(wrapped()) == ("ada", "nobody")


def test_a_function_made_awaitable_by_types_coroutine_can_be_awaited_when_wrapped():
    @types.coroutine
    def old_style():
        yield
        return user()

    async def main():
        return await wrapped()

    with serving("ada"):
        wrapped = ctxtrace.wrap(old_style)
    assert asyncio.run(main()) == "ada"


if sys.version_info >= (3, 12):

    def test_a_function_marked_as_a_coroutine_function_is_driven():
        @inspect.markcoroutinefunction
        def marked():
            return coroutine_function(1)

        with serving("ada"):
            wrapped = ctxtrace.wrap(marked)
        assert inspect.iscoroutinefunction(wrapped)
        assert asyncio.run(wrapped()) == (1, "ada")


@pytest.mark.parametrize("method", ["method", "coroutine_method", "generator_method"])
def test_a_wrapped_function_kept_in_a_class_becomes_a_method(method):
    with serving("ada"):
        wrapped = ctxtrace.wrap(getattr(Tools, method))

    class Other:
        me = "other"
        wrapped_method = wrapped

    assert outcome(Other().wrapped_method(1)) == (1, "ada")


def test_a_wrapped_wrapped_function_runs_in_the_inner_snapshot():
    with serving("ada"):
        inner = ctxtrace.wrap(function)
    with serving("grace"):
        outer = ctxtrace.wrap(inner)
    assert outer(1) == (1, "ada")


def test_a_wrapped_function_may_call_itself():
    with serving("ada"):

        @ctxtrace.wrap
        def countdown(number):
            return [(number, user()), *(countdown(number - 1) if number else [])]

    assert countdown(2) == [(2, "ada"), (1, "ada"), (0, "ada")]


def test_a_wrapped_generator_function_may_call_itself():
    with serving("ada"):

        @ctxtrace.wrap
        def countdown(number):
            yield user()
            if number:
                yield from countdown(number - 1)

    assert list(countdown(2)) == ["ada"] * 3


def test_a_wrapped_coroutine_function_may_call_itself():
    with serving("ada"):

        @ctxtrace.wrap
        async def countdown(number):
            return [user(), *(await countdown(number - 1) if number else [])]

    assert asyncio.run(countdown(2)) == ["ada"] * 3


def test_calls_of_a_wrapped_function_in_many_threads_at_once_do_not_meet():
    all_inside = threading.Barrier(8, timeout=LIMIT)

    def inside(number):
        USER.set(f"{user()} {number}")
        all_inside.wait()
        return user()

    with serving("ada"):
        wrapped = ctxtrace.wrap(inside)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(wrapped, range(8))) == [f"ada {number}" for number in range(8)]


async def test_calls_of_a_wrapped_coroutine_function_at_once_do_not_meet():
    async def inside(number):
        USER.set(f"{user()} {number}")
        await asyncio.sleep(0)
        return user()

    with serving("ada"):
        wrapped = ctxtrace.wrap(inside)
    results = await asyncio.gather(*map(wrapped, range(4)))
    assert results == [f"ada {number}" for number in range(4)]


def fails(_):
    raise Boom


async def fails_as_a_coroutine(_):
    await asyncio.sleep(0)
    raise Boom


def fails_as_a_generator(_):
    yield 1
    raise Boom


async def fails_as_an_async_generator(_):
    yield 1
    raise Boom


@pytest.mark.parametrize(
    "kind", [fails, fails_as_a_coroutine, fails_as_a_generator, fails_as_an_async_generator]
)
def test_the_errors_of_every_kind_pass_through(kind):
    with pytest.raises(Boom):
        outcome(ctxtrace.wrap(kind)(1))


if sys.version_info >= (3, 11):

    @pytest.mark.parametrize(
        "kind", [fails, fails_as_a_coroutine, fails_as_a_generator, fails_as_an_async_generator]
    )
    def test_the_tracebacks_of_every_kind_are_those_of_the_bare_function(kind):
        bare = caught(lambda: outcome(kind(1)))
        wrapped = caught(lambda: outcome(ctxtrace.wrap(kind)(1)))
        assert files_of_ours(wrapped) == []
        assert frames(wrapped) == frames(bare)

    def test_an_error_thrown_into_a_wrapped_generator_shows_no_frame_of_ours():
        generator = ctxtrace.wrap(generator_function)(1)
        next(generator)
        assert files_of_ours(caught(generator.throw, Boom())) == []

    async def test_an_error_thrown_into_a_wrapped_async_generator_shows_no_frame_of_ours():
        generator = ctxtrace.wrap(async_generator_function)(1)
        await generator.__anext__()
        with pytest.raises(Boom) as raised:
            await generator.athrow(Boom())
        assert files_of_ours(raised.tb) == []

    async def test_a_cancelled_wrapped_coroutine_shows_no_frame_of_ours():
        task = asyncio.ensure_future(ctxtrace.wrap(asyncio.Event().wait)())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as raised:
            await task
        assert files_of_ours(raised.tb) == []
