"""How coroutines, generators and async generators are driven: nobody can tell that they are."""

from __future__ import annotations

import asyncio
import gc
import inspect
import types
import warnings
from contextlib import asynccontextmanager, contextmanager

import pytest
from core.support import USER, Boom, caught, serving, user

import ctxtrace


def snapshot_of(name):
    with serving(name):
        return ctxtrace.capture()


ADA = snapshot_of("ada")


# Coroutines.


def test_control_a_coroutine_runs_in_the_context_of_whoever_steps_it():
    async def who():
        return user()

    with serving("ada"):
        coroutine = who()
    assert asyncio.run(coroutine) == "nobody"


async def test_every_step_of_a_driven_coroutine_runs_in_the_captured_context():
    async def who():
        seen = [user()]
        for _ in range(3):
            await asyncio.sleep(0)
            seen.append(user())
        return seen

    assert await ADA.drive(who()) == ["ada"] * 4


async def test_what_a_driven_coroutine_sets_it_sees_after_an_await_and_its_caller_never():
    async def sets():
        USER.set("grace")
        await asyncio.sleep(0)
        return user()

    assert (await ADA.drive(sets()), user()) == ("grace", "nobody")


async def test_a_driven_coroutine_runs_in_its_callers_task():
    async def task():
        await asyncio.sleep(0)
        return asyncio.current_task()

    assert await ADA.drive(task()) is asyncio.current_task()


async def test_a_driven_future_gives_its_result():
    future = asyncio.get_running_loop().create_future()
    future.set_result(1)
    assert await ADA.drive(future) == 1


async def test_any_awaitable_can_be_driven():
    class Awaitable:
        def __await__(self):
            yield
            return user()

    assert await ADA.drive(Awaitable()) == "ada"


async def test_a_generator_made_awaitable_by_types_coroutine_can_be_driven():
    @types.coroutine
    def old_style():
        yield
        return user()

    assert await ADA.drive(old_style()) == "ada"


async def test_a_driven_coroutine_can_be_the_coroutine_of_a_task():
    async def who():
        return user()

    assert await asyncio.create_task(ADA.drive(who())) == "ada"


async def test_a_driven_coroutine_can_be_driven_again():
    async def who():
        await asyncio.sleep(0)
        return user()

    assert await snapshot_of("grace").drive(ADA.drive(who())) == "ada"


def test_send_reaches_the_driven_coroutine():
    @types.coroutine
    def ask():
        return (yield "question")

    async def asks():
        return await ask()

    driven = ADA.drive(asks())
    assert driven.send(None) == "question"
    stop = caught(driven.send, "answer")
    assert isinstance(stop, StopIteration)
    assert stop.value == "answer"


def test_throw_reaches_the_driven_coroutine_inside_its_context():
    @types.coroutine
    def wait():
        yield

    async def catches():
        try:
            await wait()
        except Boom:
            return user()

    driven = ADA.drive(catches())
    driven.send(None)
    assert caught(driven.throw, Boom()).value == "ada"


def test_close_reaches_the_driven_coroutine_inside_its_context():
    seen = []

    @types.coroutine
    def wait():
        yield

    async def cleans_up():
        try:
            await wait()
        finally:
            seen.append(user())

    driven = ADA.drive(cleans_up())
    driven.send(None)
    driven.close()
    assert seen == ["ada"]


def test_a_dropped_driven_coroutine_cleans_up_inside_its_context(no_gc):
    seen = []

    @types.coroutine
    def wait():
        yield

    async def cleans_up():
        try:
            await wait()
        finally:
            seen.append(user())

    driven = ADA.drive(cleans_up())
    driven.send(None)
    del driven
    assert seen == ["ada"]


async def test_a_timeout_cancels_a_driven_coroutine_from_inside():
    seen = []

    async def waits():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(user())
            raise

    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(ADA.drive(waits()), 0.001)
    assert seen == ["ada"]


async def work():
    pass


def test_an_unstarted_driven_coroutine_that_is_closed_gives_no_warning():
    ADA.drive(work()).close()
    gc.collect()


@pytest.mark.parametrize("make", [lambda: ADA.drive(work()), lambda: ADA.wrap(work)()])
def test_a_driven_coroutine_that_is_never_awaited_gives_exactly_one_warning(make):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        make()
        gc.collect()
    assert [str(warning.message) for warning in said] == ["coroutine 'work' was never awaited"]


def test_a_driven_coroutine_that_was_awaited_cannot_be_awaited_again():
    driven = ADA.drive(work())
    caught(driven.send, None)
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        driven.send(None)


def test_a_driven_coroutine_has_the_name_of_the_coroutine():
    driven = ADA.drive(work())
    driven.close()
    assert (driven.__name__, driven.__qualname__) == ("work", "work")


def test_a_driven_coroutine_is_a_real_one():
    driven = ADA.drive(work())
    driven.close()
    assert inspect.iscoroutine(driven)


# Generators. That any script gives what it gives on the bare one is in test_stream_scripts.py.


def steps_of_a_generator():
    while True:
        yield user()


def test_control_a_generator_runs_in_the_context_of_whoever_steps_it():
    with serving("ada"):
        generator = steps_of_a_generator()
        next(generator)
    assert next(generator) == "nobody"


def test_every_step_of_a_wrapped_generator_runs_in_the_captured_context():
    generator = ADA.wrap(steps_of_a_generator)()
    with serving("grace"):
        seen = [next(generator), generator.send(1)]
    assert [*seen, next(generator)] == ["ada"] * 3


def test_what_a_wrapped_generator_sets_it_sees_in_its_next_step_and_its_consumer_never():
    @ADA.wrap
    def sets():
        USER.set("grace")
        yield
        yield user()

    generator = sets()
    next(generator)
    assert (user(), next(generator)) == ("nobody", "grace")


def test_a_wrapped_generator_gives_its_return_value_to_yield_from():
    def returns():
        yield 1
        return user()

    def consumer():
        result.append((yield from ADA.wrap(returns)()))

    result = []
    assert list(consumer()) == [1]
    assert result == ["ada"]


def test_a_wrapped_generator_that_steps_itself_is_told_it_is_executing():
    @ADA.wrap
    def steps_itself():
        yield 1
        next(generator)

    generator = steps_itself()
    next(generator)
    with pytest.raises(ValueError, match="generator already executing"):
        next(generator)


def test_a_dropped_wrapped_generator_closes_at_once_inside_its_context(no_gc):
    closed = []

    @ADA.wrap
    def cleans_up():
        try:
            yield
        finally:
            closed.append(user())

    generator = cleans_up()
    next(generator)
    del generator
    assert closed == ["ada"]


def test_a_wrapped_generator_that_never_started_runs_nothing_when_it_is_closed():
    ran = []

    @ADA.wrap
    def runs():
        ran.append(1)
        yield

    runs().close()
    assert ran == []


def test_a_wrapped_generator_function_can_be_a_context_manager(ada):
    @contextmanager
    @ctxtrace.wrap
    def manager():
        try:
            yield user()
        except Boom:
            seen.append(user())

    seen = []
    with serving("grace"), manager() as inside:
        raise Boom
    assert (inside, seen) == ("ada", ["ada"])


def test_a_wrapped_generator_can_be_stepped_by_threads_in_turn():
    from concurrent.futures import ThreadPoolExecutor

    generator = ADA.wrap(steps_of_a_generator)()
    with ThreadPoolExecutor(1) as pool:
        seen = [next(generator), pool.submit(next, generator).result(), next(generator)]
    assert seen == ["ada"] * 3


# Async generators.


async def steps_of_an_async_generator():
    while True:
        await asyncio.sleep(0)
        yield user()


async def test_control_an_async_generator_runs_in_the_context_of_whoever_steps_it():
    generator = steps_of_an_async_generator()
    with serving("ada"):
        await generator.__anext__()
    assert await generator.__anext__() == "nobody"
    await generator.aclose()


async def test_every_step_of_a_wrapped_async_generator_runs_in_the_captured_context():
    generator = ADA.wrap(steps_of_an_async_generator)()
    with serving("grace"):
        seen = [await generator.__anext__(), await generator.asend(1)]
    assert [*seen, await generator.__anext__()] == ["ada"] * 3
    await generator.aclose()


async def test_a_wrapped_async_generator_runs_in_its_consumers_task():
    @ADA.wrap
    async def tasks():
        await asyncio.sleep(0)
        yield asyncio.current_task()

    async for task in tasks():
        assert task is asyncio.current_task()


async def test_a_wrapped_async_generator_function_can_be_a_context_manager():
    @asynccontextmanager
    @ADA.wrap
    async def manager():
        try:
            yield user()
        except Boom:
            seen.append(user())

    seen = []
    async with manager() as inside:
        raise Boom
    assert (inside, seen) == ("ada", ["ada"])


def closing_async_generator(closed):
    @ADA.wrap
    async def cleans_up():
        try:
            while True:
                yield
        finally:
            await asyncio.sleep(0)
            closed.append(user())

    return cleans_up()


def test_the_loop_closes_a_half_consumed_wrapped_async_generator_inside_its_context():
    async def main():
        generators.append(closing_async_generator(closed))
        await generators[0].__anext__()

    closed, generators = [], []
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    assert closed == ["ada"]


async def test_a_dropped_wrapped_async_generator_is_closed_by_the_loop_inside_its_context(no_gc):
    closed = []
    generator = closing_async_generator(closed)
    await generator.__anext__()
    del generator
    for _ in range(5):
        await asyncio.sleep(0)
    assert closed == ["ada"]


async def test_the_loops_hooks_are_told_of_one_generator_and_it_is_the_wrapped_one():
    import sys

    started = []
    hooks = sys.get_asyncgen_hooks()
    generator = ADA.wrap(steps_of_an_async_generator)()
    sys.set_asyncgen_hooks(firstiter=started.append)
    try:
        await generator.__anext__()
        await generator.__anext__()
    finally:
        sys.set_asyncgen_hooks(*hooks)
    await generator.aclose()
    assert started == [generator]


async def test_two_steps_of_a_wrapped_async_generator_at_once_are_refused():
    @ADA.wrap
    async def waits():
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        yield

    generator = waits()
    first = asyncio.ensure_future(generator.__anext__())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="asynchronous generator is already running"):
        await generator.__anext__()
    await first
    await generator.aclose()


async def test_a_cancelled_step_of_a_wrapped_async_generator_is_cancelled_inside():
    seen = []

    @ADA.wrap
    async def waits():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(user())
            raise
        yield

    step = asyncio.ensure_future(waits().__anext__())
    await asyncio.sleep(0)
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    assert seen == ["ada"]
