"""streaming(): a stream keeps the context it was called in; what the bare one does without."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import gc
import inspect
import pickle
import sys
import threading
import types
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import TYPE_CHECKING

import pytest
from core.support import (
    LIMIT,
    USER,
    Boom,
    caught,
    current_run,
    fail,
    files_of_ours,
    frames,
    has_parent,
    in_a_subprocess,
    serving,
    user,
)

import ctxtrace
from ctxtrace import streaming

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


def bare(function):
    return function


async def settled():
    """Let the loop close what was dropped."""
    for _ in range(5):
        await asyncio.sleep(0)


# Whose context: captured at the call.


def users():
    while True:
        yield user()


async def async_users():
    while True:
        await asyncio.sleep(0)
        yield user()


@pytest.mark.parametrize(("decorate", "seen"), [(bare, "nobody"), (streaming, "ada")])
def test_a_stream_is_served_in_the_context_of_its_call_and_a_bare_one_in_its_consumers(
    decorate, seen
):
    with serving("ada"):
        stream = decorate(users)()
    assert [next(stream), stream.send(None)] == [seen, seen]


@pytest.mark.parametrize(("decorate", "seen"), [(bare, "nobody"), (streaming, "ada")])
async def test_an_async_stream_is_served_in_the_context_of_its_call_and_a_bare_one_is_not(
    decorate, seen
):
    with serving("ada"):
        stream = decorate(async_users)()
    assert [await stream.__anext__(), await stream.asend(None)] == [seen, seen]
    await stream.aclose()


def test_two_calls_of_one_function_have_each_their_own_context():
    function = streaming(users)
    with serving("ada"):
        ada = function()
    with serving("grace"):
        grace = function()
    assert [next(ada), next(grace), next(ada)] == ["ada", "grace", "ada"]


def sets_a_variable():
    token = USER.set("guest")
    try:
        yield user()
        yield user()
    finally:
        USER.reset(token)


async def async_sets_a_variable():
    token = USER.set("guest")
    try:
        yield user()
        await asyncio.sleep(0)
        yield user()
    finally:
        await asyncio.sleep(0)
        USER.reset(token)


def test_control_what_a_bare_generator_sets_its_consumer_sees():
    stream = sets_a_variable()
    next(stream)
    assert user() == "guest"
    stream.close()


def test_what_a_stream_sets_it_finds_in_its_next_step_and_its_consumer_never_sees():
    stream = streaming(sets_a_variable)()
    assert [next(stream), user(), next(stream), user()] == ["guest", "nobody"] * 2
    stream.close()


def test_what_its_consumer_sets_between_the_steps_a_stream_does_not_see():
    stream = streaming(users)()
    with serving("grace"):
        assert next(stream) == "nobody"


async def test_what_an_async_stream_sets_it_finds_in_its_next_step_and_its_consumer_never_sees():
    stream = streaming(async_sets_a_variable)()
    seen = []
    async for item in stream:
        seen += [item, user()]
    assert seen == ["guest", "nobody"] * 2


def test_a_stream_that_is_given_in_place_of_a_function_is_captured_then():
    generator = users()
    with serving("ada"):
        stream = streaming(generator)
    assert next(stream) == "ada"


def test_a_stream_in_the_middle_goes_on_in_the_captured_context():
    generator = users()
    before = next(generator)
    with serving("ada"):
        stream = streaming(generator)
    assert [before, next(stream)] == ["nobody", "ada"]


# Tokens: reset in `finally`, however the stream is closed.


def closed_by_close(stream):
    stream.close()


def closed_by_a_break(stream):
    for _ in stream:
        break
    stream.close()


def closed_by_exhaustion(stream):
    list(stream)


def closed_by_an_error(stream):
    caught(stream.throw, Boom())


def closed_in_a_thread(stream):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(stream.close).result(LIMIT)


def closed_in_another_context(stream):
    ctxtrace.capture().run(stream.close)


SYNC_CLOSINGS = [
    closed_by_close,
    closed_by_a_break,
    closed_by_exhaustion,
    closed_by_an_error,
    closed_in_a_thread,
    closed_in_another_context,
]


@pytest.mark.parametrize("close", [closed_in_a_thread, closed_in_another_context])
def test_control_a_bare_generator_cannot_reset_its_token_elsewhere(close):
    stream = sets_a_variable()
    token = USER.set("nobody")
    next(stream)
    with pytest.raises(ValueError, match="different Context"):
        close(stream)
    USER.reset(token)


@pytest.mark.parametrize("close", SYNC_CLOSINGS)
def test_a_stream_resets_its_token_however_it_is_closed(close):
    stream = streaming(sets_a_variable)()
    next(stream)
    close(stream)
    assert inspect.getgeneratorstate(stream) == "GEN_CLOSED"


async def closed_by_aclose(stream):
    await stream.aclose()


async def closed_in_another_task(stream):
    await asyncio.create_task(stream.aclose())


async def closed_by_async_exhaustion(stream):
    async for _ in stream:
        pass


async def closed_by_athrow(stream):
    with pytest.raises(Boom):
        await stream.athrow(Boom())


async def test_control_a_bare_async_generator_cannot_reset_its_token_in_another_task():
    stream = async_sets_a_variable()
    token = USER.set("nobody")
    await stream.__anext__()
    with pytest.raises(ValueError, match="different Context"):
        await closed_in_another_task(stream)
    USER.reset(token)


@pytest.mark.parametrize(
    "close",
    [closed_by_aclose, closed_in_another_task, closed_by_async_exhaustion, closed_by_athrow],
)
async def test_an_async_stream_resets_its_token_however_it_is_closed(close):
    stream = streaming(async_sets_a_variable)()
    await stream.__anext__()
    await close(stream)
    assert stream.ag_frame is None


# Closing runs inside.


def cleans_up(closed):
    try:
        while True:
            yield
    finally:
        closed.append(user())


async def async_cleans_up(closed):
    try:
        while True:
            yield
    finally:
        await asyncio.sleep(0)
        closed.append(user())


def half_consumed(decorate, closed):
    with serving("ada"):
        stream = decorate(cleans_up)(closed)
    next(stream)
    return stream


@pytest.mark.parametrize(("decorate", "seen"), [(bare, "nobody"), (streaming, "ada")])
def test_a_dropped_stream_is_closed_at_once_in_its_context_and_a_bare_one_in_the_droppers(
    decorate, seen, no_gc
):
    closed = []
    stream = half_consumed(decorate, closed)
    del stream
    assert closed == [seen]


@pytest.mark.parametrize(("decorate", "seen"), [(bare, "nobody"), (streaming, "ada")])
def test_a_stream_that_the_garbage_collector_finds_is_closed_in_its_context(decorate, seen, no_gc):
    closed = []
    cycle = [half_consumed(decorate, closed)]
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert closed == [seen]


def looked_at_in_the_middle_of_a_step(decorate, closed, generations):
    """Leave a stream to a last collection, after some that may sort its parts anew."""

    def collects_and_cleans_up():
        try:
            for generation in generations:
                gc.collect(generation)
            yield
        finally:
            closed.append(user())

    def step(*args):
        return next(*args)  # before that, nobody but this tuple has the stream

    with serving("ada"):
        cycle = [decorate(collects_and_cleans_up)()]
    step(*cycle)
    cycle.append(cycle)


@pytest.mark.parametrize("generations", [[0], [1], [2], [0, 1], [2, 2]])
@pytest.mark.parametrize(("decorate", "seen"), [(bare, "nobody"), (streaming, "ada")])
def test_a_stream_that_lived_through_a_collection_is_closed_in_its_context_by_the_next(
    decorate, seen, generations, no_gc
):
    closed = []
    looked_at_in_the_middle_of_a_step(decorate, closed, generations)
    gc.collect()
    assert closed == [seen]


def test_a_stream_that_never_started_runs_nothing_when_it_is_closed():
    closed = []
    streaming(cleans_up)(closed).close()
    assert closed == []


async def test_an_async_stream_that_never_started_runs_nothing_when_it_is_closed():
    closed = []
    await streaming(async_cleans_up)(closed).aclose()
    assert closed == []


async def async_half_consumed(decorate, closed):
    with serving("ada"):
        stream = decorate(async_cleans_up)(closed)
    await stream.__anext__()
    return stream


@pytest.mark.parametrize(("decorate", "seen"), [(bare, "nobody"), (streaming, "ada")])
async def test_a_dropped_async_stream_is_closed_by_the_loop_in_its_context(decorate, seen, no_gc):
    closed = []
    stream = await async_half_consumed(decorate, closed)
    del stream
    await settled()
    assert closed == [seen]


async def test_an_async_stream_left_by_a_break_is_closed_by_the_loop_in_its_context(no_gc):
    closed = []

    async def consume():
        with serving("ada"):
            stream = streaming(async_cleans_up)(closed)
        async for _ in stream:
            break

    await consume()
    await settled()
    assert closed == ["ada"]


@pytest.mark.parametrize(("decorate", "seen"), [(bare, "nobody"), (streaming, "ada")])
def test_a_kept_async_stream_is_closed_by_the_end_of_asyncio_run_in_its_context(decorate, seen):
    closed = []
    stream = asyncio.run(async_half_consumed(decorate, closed))
    assert (closed, stream.ag_frame) == ([seen], None)


async def test_an_async_stream_can_be_closed_twice_while_the_first_closing_waits():
    async def outcome(decorate):
        closing = asyncio.Event()
        go_on = asyncio.Event()

        async def waits():
            try:
                yield
            finally:
                closing.set()
                await go_on.wait()
                seen.append(user())

        seen = []
        with serving("ada"):
            stream = decorate(waits)()
        await stream.__anext__()
        first = asyncio.ensure_future(stream.aclose())
        await closing.wait()
        try:
            await stream.aclose()
            second = None
        except RuntimeError as error:
            second = str(error)
        go_on.set()
        await first
        return second, seen

    expected, _ = await outcome(bare)
    assert await outcome(streaming) == (expected, ["ada"])


@pytest.mark.parametrize("kept", ["kept.append(stream)", "pass"])
def test_a_half_consumed_stream_says_nothing_when_the_interpreter_exits(kept):
    done = in_a_subprocess(f"""
        import ctxtrace
        from contextvars import ContextVar
        USER = ContextVar("user", default="nobody")
        kept = []

        @ctxtrace.streaming
        def steps():
            token = USER.set("guest")
            try:
                yield 1
                yield 2
            finally:
                USER.reset(token)
                print("closed", flush=True)

        stream = steps()
        next(stream)
        {kept}
    """)
    assert (done.stderr, done.stdout, done.returncode) == ("", "closed\n", 0)


def test_a_half_consumed_async_stream_says_nothing_when_the_interpreter_exits():
    done = in_a_subprocess("""
        import asyncio, ctxtrace
        kept = []

        @ctxtrace.streaming
        async def steps():
            try:
                yield 1
                yield 2
            finally:
                await asyncio.sleep(0)
                print("closed", flush=True)

        async def main():
            kept.append(steps())
            await kept[0].__anext__()

        asyncio.run(main())
    """)
    assert (done.stderr, done.stdout, done.returncode) == ("", "closed\n", 0)


def test_streams_that_are_interleaved_can_be_closed_in_any_order():
    with serving("ada"):
        first = streaming(sets_a_variable)()
    with serving("grace"):
        second = streaming(sets_a_variable)()
    next(first), next(second), next(first)
    first.close()
    assert next(second) == "guest"
    second.close()
    assert user() == "nobody"


def test_control_bare_generators_that_are_interleaved_leave_the_wrong_value():
    first, second = sets_a_variable(), sets_a_variable()
    token = USER.set("ada")
    next(first), next(second)
    first.close()
    second.close()
    assert user() == "guest"
    USER.reset(token)


# Steps from several threads and tasks.


def test_threads_may_step_a_stream_in_turn():
    with serving("ada"):
        stream = streaming(users)()
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        steps = [pool.submit(next, stream).result(LIMIT) for pool in (one, other, one)]
    assert [*steps, next(stream)] == ["ada"] * 4


async def test_tasks_may_step_an_async_stream_in_turn():
    with serving("ada"):
        stream = streaming(async_users)()

    async def step():
        return await stream.__anext__()

    assert [await asyncio.create_task(step()) for _ in range(3)] == ["ada"] * 3
    await stream.aclose()


every_decorator = pytest.mark.parametrize(
    "decorate", [streaming, ctxtrace.traced_stream], ids=["streaming", "traced_stream"]
)


def kind_and_text(error):
    return type(error), str(error)


def stepping_itself(decorate, step):
    def steps_itself():
        yield
        getattr(box[0], step)()

    box = [decorate(steps_itself)()]
    next(box[0])
    error = caught(next, box[0])
    box.clear()
    return kind_and_text(error)


@every_decorator
@pytest.mark.parametrize("step", ["__next__", "close"])
def test_a_stream_that_steps_itself_gets_the_error_of_the_bare_one(decorate, step):
    assert stepping_itself(decorate, step) == stepping_itself(bare, step)


def stepping_one_that_runs(decorate, step):
    inside, leave = threading.Event(), threading.Event()

    def waits():
        inside.set()
        assert leave.wait(LIMIT)
        yield 1

    stream = decorate(waits)()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(next, stream)
        assert inside.wait(LIMIT)
        error = caught(getattr(stream, step))
        leave.set()
        return kind_and_text(error), first.result(LIMIT)


@every_decorator
@pytest.mark.parametrize("step", ["__next__", "close"])
def test_a_step_while_another_thread_steps_gets_the_error_of_the_bare_one(decorate, step):
    assert stepping_one_that_runs(decorate, step) == stepping_one_that_runs(bare, step)


async def awaiting_one_that_runs(decorate, step):
    inside, leave = asyncio.Event(), asyncio.Event()

    async def waits():
        inside.set()
        await leave.wait()
        yield 1

    stream = decorate(waits)()
    first = asyncio.ensure_future(stream.__anext__())
    await inside.wait()
    try:
        await getattr(stream, step)()
        error = None
    except RuntimeError as raised:
        error = raised
    leave.set()
    result = await first
    await stream.aclose()
    return kind_and_text(error), result


@every_decorator
@pytest.mark.parametrize("step", ["__anext__", "aclose"])
async def test_a_step_while_another_task_steps_gets_the_error_of_the_bare_one(decorate, step):
    expected = await awaiting_one_that_runs(bare, step)
    assert await awaiting_one_that_runs(decorate, step) == expected


async def test_current_task_in_a_stream_is_its_consumers():
    @streaming
    async def tasks():
        while True:
            await asyncio.sleep(0)
            yield asyncio.current_task()

    stream = tasks()
    assert await stream.__anext__() is asyncio.current_task()
    other = asyncio.create_task(step(stream))
    assert await other is other
    await stream.aclose()


async def step(stream):
    return await stream.__anext__()


async def test_a_consumer_that_is_cancelled_cancels_the_step_inside_its_context():
    inside = asyncio.Event()
    seen = []

    async def waits():
        try:
            inside.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(user())
            raise
        yield

    with serving("ada"):
        stream = streaming(waits)()
    task = asyncio.create_task(step(stream))
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["ada"]


if sys.version_info >= (3, 11):

    async def test_a_timeout_that_is_held_over_a_yield_fires():
        @streaming
        async def holds_a_timeout():
            async with asyncio.timeout(0.01):
                yield 1
                await asyncio.Event().wait()

        stream = holds_a_timeout()
        assert await stream.__anext__() == 1
        with pytest.raises(asyncio.TimeoutError):
            await stream.__anext__()

else:

    async def test_a_timeout_around_a_step_fires():
        @streaming
        async def waits():
            yield 1
            await asyncio.Event().wait()

        stream = waits()
        assert await stream.__anext__() == 1
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(stream.__anext__(), 0.01)


# What is true of one thread alone stays there.


@pytest.fixture
def library(monkeypatch):
    """sniffio's variable, by which anyio knows that a loop runs in this thread."""
    sniffio = types.ModuleType("sniffio")
    sniffio.current_async_library_cvar = ContextVar("sniffio", default=None)
    monkeypatch.setitem(sys.modules, "sniffio", sniffio)
    return sniffio.current_async_library_cvar


async def stepped_in_a_thread(make, library):
    def libraries():
        while True:
            yield library.get()

    token = library.set("asyncio")
    stream = make(libraries)
    seen = [await asyncio.get_running_loop().run_in_executor(None, next, stream)]
    library.reset(token)
    return seen


async def test_control_a_copied_context_takes_the_loops_variable_into_a_thread(library):
    from contextvars import copy_context

    seen = []
    token = library.set("asyncio")
    context = copy_context()
    await asyncio.get_running_loop().run_in_executor(
        None, context.run, lambda: seen.append(library.get())
    )
    library.reset(token)
    assert seen == ["asyncio"]


@pytest.mark.parametrize(
    "make",
    [
        lambda function: streaming(function)(),
        lambda function: streaming(lambda: function())(),
        lambda function: streaming(function()),
        lambda function: streaming(filter(lambda _: True, function())),
        lambda function: ctxtrace.wrap(function)(),
        lambda function: ctxtrace.capture().run(function),
    ],
    ids=["decorated", "returned", "generator", "iterator", "wrap", "run"],
)
async def test_a_sync_stream_that_is_stepped_in_a_thread_does_not_see_the_loops_variable(
    make, library
):
    assert await stepped_in_a_thread(make, library) == [None]


async def test_an_async_stream_sees_the_loops_variable(library):
    @streaming
    async def libraries():
        yield library.get()

    token = library.set("asyncio")
    seen = [item async for item in libraries()]
    library.reset(token)
    assert seen == ["asyncio"]


# Whatever is decorated stays what it is.


def generator_function(argument: int, *, key: str = "") -> Iterator[str]:
    """Tell who the user is."""
    yield f"{user()} {argument}{key}"


async def async_generator_function(argument: int) -> AsyncIterator[str]:
    """Tell who the user is."""
    yield f"{user()} {argument}"


def function(argument: int) -> Iterator[str]:
    """Tell who the user is."""
    return generator_function(argument)


async def coroutine_function(argument: int) -> AsyncIterator[str]:
    """Tell who the user is."""
    return async_generator_function(argument)


FUNCTIONS = [generator_function, async_generator_function, function, coroutine_function]
every_function = pytest.mark.parametrize("function", FUNCTIONS)


@every_decorator
@every_function
@pytest.mark.parametrize(
    "ask",
    [
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
        inspect.iscoroutinefunction,
        asyncio.iscoroutinefunction,
        inspect.isroutine,
        callable,
        inspect.signature,
        inspect.getdoc,
        lambda function: function.__name__,
        lambda function: function.__qualname__,
        lambda function: function.__module__,
        lambda function: function.__annotations__,
        lambda function: function.__doc__,
    ],
)
def test_a_decorated_function_is_seen_as_the_bare_one(decorate, function, ask):
    assert ask(decorate(function)) == ask(function)


@every_decorator
def test_what_a_decorated_generator_function_makes_is_a_real_generator(decorate):
    stream = decorate(generator_function)(1)
    assert inspect.isgenerator(stream)
    assert (stream.__name__, stream.__qualname__) == ("generator_function",) * 2


@every_decorator
async def test_what_a_decorated_async_generator_function_makes_is_a_real_async_generator(decorate):
    stream = decorate(async_generator_function)(1)
    assert inspect.isasyncgen(stream)
    assert (stream.__name__, stream.__qualname__) == ("async_generator_function",) * 2


@every_decorator
async def test_what_a_decorated_coroutine_function_makes_is_a_real_coroutine(decorate):
    coroutine = decorate(coroutine_function)(1)
    assert inspect.iscoroutine(coroutine)
    assert (coroutine.__name__, coroutine.__qualname__) == ("coroutine_function",) * 2
    stream = await coroutine
    assert inspect.isasyncgen(stream)


@every_decorator
@pytest.mark.parametrize("function", [generator_function, async_generator_function, function])
def test_wrong_arguments_are_refused_at_the_call(decorate, function):
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'argument'"):
        decorate(function)()


class Tools:
    greeting = "hello"

    @streaming
    def method(self):
        yield self.greeting, user()

    @streaming
    async def async_method(self):
        yield self.greeting, user()

    @streaming
    def returning(self):
        return iter([(self.greeting, user())])

    @streaming()
    def called_form(self):
        yield self.greeting, user()

    @streaming
    @classmethod
    def above_a_classmethod(cls):
        yield cls.greeting, user()

    @classmethod
    @streaming
    def below_a_classmethod(cls):
        yield cls.greeting, user()

    @streaming
    @staticmethod
    def above_a_staticmethod():
        yield "hello", user()

    @staticmethod
    @streaming
    def below_a_staticmethod():
        yield "hello", user()

    def __call__(self):
        yield self.greeting, user()


async def listed(stream):
    return [item async for item in stream]


def all_of(stream):
    return asyncio.run(listed(stream)) if hasattr(stream, "__anext__") else list(stream)


METHODS = [name for name, value in vars(Tools).items() if name[0] != "_" and name != "greeting"]


@pytest.mark.parametrize("name", METHODS)
def test_a_decorated_method_is_a_method(name):
    with serving("ada"):
        stream = getattr(Tools(), name)()
    assert all_of(stream) == [("hello", "ada")]


@pytest.mark.parametrize("name", [name for name in METHODS if "a_" in name])
def test_a_decorated_class_method_can_be_called_on_the_class(name):
    with serving("ada"):
        stream = getattr(Tools, name)()
    assert list(stream) == [("hello", "ada")]


def greeted(greeting):
    yield greeting, user()


CALLABLES = {
    "bound method": types.MethodType(inspect.unwrap(Tools.method), Tools()),
    "object": Tools(),
    "partial": functools.partial(greeted, "hello"),
    "lambda": lambda: iter([("hello", user())]),
    "generator lambda": lambda: (yield ("hello", user())),
    "nested decoration": streaming(streaming(functools.partial(greeted, "hello"))),
}


@every_decorator
@pytest.mark.parametrize("target", CALLABLES.values(), ids=CALLABLES.keys())
def test_whatever_makes_a_stream_when_it_is_called_can_be_decorated(decorate, target):
    with serving("ada"):
        stream = decorate(target)()
    assert list(stream) == [("hello", "ada")]


@every_decorator
def test_the_body_of_a_function_that_returns_a_stream_runs_in_the_private_context(decorate):
    @decorate
    def sets_and_returns():
        USER.set("guest")
        return users()

    assert (next(sets_and_returns()), user()) == ("guest", "nobody")


@every_decorator
async def test_the_body_of_a_coroutine_function_runs_in_the_context_of_its_stream(decorate):
    @decorate
    async def sets_and_returns():
        USER.set("guest")
        await asyncio.sleep(0)
        return async_users()

    with serving("ada"):
        coroutine = sets_and_returns()
    stream = await coroutine
    assert (await stream.__anext__(), user()) == ("guest", "nobody")
    await stream.aclose()


# Errors.


def fails():
    yield 1
    try:
        raise KeyError("cause")
    except KeyError as error:
        raise Boom("on purpose") from error


async def async_fails():
    for item in fails():
        yield item


def returns_and_fails():
    return fails()


def fails_at_the_call():
    raise Boom("on purpose") from KeyError("cause")


async def coroutine_fails():
    raise Boom("on purpose") from KeyError("cause")


def consumed(function):
    made = function()
    if inspect.iscoroutine(made):
        return asyncio.run(made)
    return all_of(made)


every_failing = pytest.mark.parametrize(
    "function", [fails, async_fails, returns_and_fails, fails_at_the_call, coroutine_fails]
)


@every_decorator
@every_failing
def test_an_error_of_a_stream_comes_with_its_cause_and_its_own_frames(decorate, function):
    bare_error = caught(consumed, function)
    error = caught(consumed, decorate(function))
    assert kind_and_text(error) == kind_and_text(bare_error)
    assert type(error.__cause__) is KeyError
    assert type(error.__context__) is type(bare_error.__context__)
    ours = {line.rsplit(" ", 1)[1] for line in files_of_ours(error)}
    assert [name for name in frames(error) if name not in ours] == frames(bare_error)


if sys.version_info >= (3, 11):

    @every_decorator
    @every_failing
    def test_no_frame_of_ours_is_in_the_traceback(decorate, function):
        assert files_of_ours(caught(consumed, decorate(function))) == []

else:

    @every_decorator
    @every_failing
    def test_the_last_frame_of_a_traceback_is_the_users(decorate, function):
        error = caught(consumed, decorate(function))
        assert frames(error)[-1] == frames(caught(consumed, function))[-1]


# Pins: a stream keeps the parent run until it is over, and no longer.


def parents():
    yield has_parent()
    yield has_parent()


async def async_parents():
    yield has_parent()
    yield has_parent()


def objects_with_parents():
    return map(has_parent, range(2))


def called_in_a_run(tracer, function, decorate=streaming):
    with tracer.run() as run:
        stream = decorate(function)()
    return stream, run


every_sync_stream = pytest.mark.parametrize("function", [parents, objects_with_parents])


def test_control_a_bare_generator_finds_its_parent_gone(tracer):
    with tracer.run() as run:
        stream = parents()
    assert (run(), list(stream)) == (None, [False, False])


@every_decorator
@every_sync_stream
def test_a_stream_keeps_the_run_until_it_is_exhausted_and_may_be_kept_then(
    decorate, function, tracer, no_gc
):
    stream, run = called_in_a_run(tracer, function, decorate)
    assert [next(stream), next(stream), run() is not None] == [True] * 3
    assert caught(next, stream)
    assert run() is None


@every_decorator
@every_sync_stream
def test_a_dropped_stream_frees_the_run(decorate, function, tracer, no_gc):
    stream, run = called_in_a_run(tracer, function, decorate)
    assert next(stream)
    del stream
    assert run() is None


@every_decorator
@every_sync_stream
def test_a_stream_that_never_started_frees_the_run_when_it_is_dropped(
    decorate, function, tracer, no_gc
):
    stream, run = called_in_a_run(tracer, function, decorate)
    assert run() is not None
    del stream
    assert run() is None


@every_decorator
def test_a_kept_stream_that_was_closed_frees_the_run(decorate, tracer, no_gc):
    stream, run = called_in_a_run(tracer, parents, decorate)
    assert next(stream)
    stream.close()
    assert run() is None


@every_decorator
async def test_a_kept_async_stream_that_was_closed_frees_the_run(decorate, tracer, no_gc):
    stream, run = called_in_a_run(tracer, async_parents, decorate)
    assert await stream.__anext__()
    assert run() is not None
    await stream.aclose()
    assert run() is None


@every_decorator
async def test_a_kept_async_stream_that_is_exhausted_frees_the_run(decorate, tracer, no_gc):
    stream, run = called_in_a_run(tracer, async_parents, decorate)
    assert await listed(stream) == [True, True]
    assert run() is None


@every_decorator
async def test_a_dropped_async_stream_frees_the_run(decorate, tracer, no_gc):
    stream, run = called_in_a_run(tracer, async_parents, decorate)
    assert await stream.__anext__()
    del stream
    await settled()
    assert run() is None


@every_decorator
async def test_a_coroutine_functions_stream_keeps_the_run_until_it_is_exhausted(
    decorate, tracer, no_gc
):
    async def returns():
        return async_parents()

    coroutine, run = called_in_a_run(tracer, returns, decorate)
    stream = await coroutine
    assert run() is not None
    assert await listed(stream) == [True, True]
    assert run() is None


@every_decorator
async def test_a_coroutine_functions_coroutine_that_is_never_awaited_frees_the_run(
    decorate, tracer, no_gc
):
    coroutine, run = called_in_a_run(tracer, coroutine_fails, decorate)
    assert run() is not None
    coroutine.close()
    del coroutine
    assert run() is None


if sys.version_info >= (3, 11):

    @every_decorator
    @every_failing
    def test_a_kept_error_of_a_stream_frees_the_run(decorate, function, tracer, no_gc):
        with tracer.run() as run:
            error = caught(consumed, decorate(function))
        assert (type(error), run()) == (Boom, None)

else:

    @every_decorator
    @every_failing
    def test_an_error_of_a_stream_that_is_dropped_frees_the_run(decorate, function, tracer):
        with tracer.run() as run:
            error = caught(consumed, decorate(function))
        assert type(error) is Boom
        del error
        gc.collect()
        assert run() is None


class Item:
    """What can be weakly referenced."""


def lives(items):
    import weakref

    for _ in range(2):
        item = Item()
        items.append(weakref.ref(item))
        yield item
        del item


@pytest.mark.parametrize("decorate", [bare, streaming])
def test_an_item_that_was_taken_is_freed_with_the_next_step(decorate, no_gc):
    items = []
    stream = decorate(lives)(items)
    next(stream)
    next(stream)
    assert (items[0](), items[1]() is not None) == (None, True)
    stream.close()


@pytest.mark.parametrize("decorate", [bare, streaming])
def test_an_error_that_was_thrown_and_caught_is_freed(decorate, no_gc):
    import weakref

    def catches():
        while True:
            with contextlib.suppress(Boom):
                yield

    stream = decorate(catches)()
    next(stream)
    error = Boom()
    reference = weakref.ref(error)
    stream.throw(error)
    del error
    assert reference() is None
    stream.close()


@pytest.mark.parametrize("decorate", [bare, streaming])
def test_a_step_that_fails_while_it_is_cancelled_leaves_no_cycle(decorate, no_gc):
    @types.coroutine
    def pause():
        yield

    async def fails_when_cancelled():
        try:
            await pause()
        finally:
            raise Boom
        yield

    step = decorate(fails_when_cancelled)().__anext__()
    step.send(None)
    gc.collect()
    with contextlib.suppress(Boom):
        step.throw(asyncio.CancelledError("by a task"))
    del step
    assert gc.collect() == 0


@every_decorator
def test_a_step_of_a_stream_leaves_the_consumers_run_alone(decorate, tracer):
    stream, _ = called_in_a_run(tracer, parents, decorate)
    with tracer.run() as run:
        next(stream)
        assert current_run() is run()
    stream.close()


# As functions are.


@streaming
def at_module_level():
    yield user()


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda f: pickle.loads(pickle.dumps(f))]
)
def test_a_decorated_function_is_copied_and_pickled_by_its_name(again, monkeypatch):
    # The tests' own modules are imported under a name that pickle does not find them by.
    monkeypatch.setitem(sys.modules, at_module_level.__module__, sys.modules[__name__])
    assert again(at_module_level) is at_module_level


def test_an_async_stream_that_is_dropped_in_the_middle_of_a_step_without_a_loop_is_closed(no_gc):
    def outcome(decorate):
        closed = []

        @types.coroutine
        def pause():
            yield

        async def waits():
            try:
                await pause()
                yield
            finally:
                closed.append(user())

        with serving("ada"):
            stream = decorate(waits)()
            stream.__anext__().send(None)
            del stream
        return closed

    assert outcome(streaming) == outcome(bare) == ["ada"]


# Closed by the garbage collector, together with the parent run.


def left_in_a_cycle(decorate, tracer):
    """Whether the parent is there when the garbage collector closes the generator."""
    seen = []

    def body():
        try:
            yield
        finally:
            seen.append(has_parent())

    def request():
        with tracer.run():
            stream = decorate(body)()
        next(stream)
        cycle = [stream]
        cycle.append(cycle)

    request()
    gc.collect()
    return seen


def test_control_a_generator_that_is_collected_finds_no_parent_when_it_is_closed(tracer):
    assert left_in_a_cycle(bare, tracer) == [False]


def test_a_stream_that_is_collected_finds_its_parent_when_it_is_closed(tracer, no_gc):
    assert left_in_a_cycle(streaming, tracer) == [True]


def test_a_carrier_that_fails_to_revive_is_logged_and_the_stream_is_closed(tracer, caplog):
    tracer.revive = fail
    assert left_in_a_cycle(streaming, tracer) == [False]
    (record,) = [record for record in caplog.records if record.name == "ctxtrace"]
    assert "'weak tracer' failed in fail()" in record.getMessage()


class Service:
    @streaming
    def stream(self):
        yield self


def test_a_decorated_method_is_a_method_like_any_other():
    service = Service()
    method = service.stream
    assert Service.stream is Service.stream
    assert method == service.stream
    assert method.__func__ is Service.stream
    assert weakref.WeakMethod(method)() == method
    assert copy.copy(method) == method
    (copied,) = copy.deepcopy(method)()
    assert isinstance(copied, Service)
    assert copied is not service
    (pickled,) = pickle.loads(pickle.dumps(method))()
    assert isinstance(pickled, Service)
