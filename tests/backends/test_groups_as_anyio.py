"""create_task_group(): in all but what it keeps it is anyio's. Each program runs with both."""

# ruff: noqa: PT012 - a group raises when it is left, and has to be filled before

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import gc
import inspect
import sys
import warnings

import anyio
import anyio.abc
import anyio.lowlevel
import pytest
from backends.support import HAS_HANDLES, described, outcome, turns
from core.support import USER, Boom, files_of_ours, frames, serving, user

import ctxtrace

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup

IGNORED = anyio.TASK_STATUS_IGNORED


async def fails(error=Boom, after=1):
    await turns(after)
    raise error


# Names.


async def a_function(task_status=IGNORED):
    task_status.started(anyio.get_current_task().name)
    await turns(1)


class Things:
    async def method(self, task_status=IGNORED):
        await a_function(task_status)

    async def __call__(self, task_status=IGNORED):
        await a_function(task_status)

    @staticmethod
    async def static(task_status=IGNORED):
        await a_function(task_status)

    @classmethod
    async def of_class(cls, task_status=IGNORED):
        await a_function(task_status)


def returns_a_coroutine(task_status=IGNORED):
    return a_function(task_status)


class Named:
    __module__ = "somewhere"
    __qualname__ = "a name of its own"

    def __call__(self, task_status=IGNORED):
        return a_function(task_status)


FUNCTIONS = {
    "function": a_function,
    "lambda": lambda task_status=IGNORED: a_function(task_status),
    "method": Things().method,
    "static": Things.static,
    "class_method": Things.of_class,
    "partial": functools.partial(a_function),
    "partial_of_a_method": functools.partial(Things().method),
    "object": Things(),
    "named_object": Named(),
    "plain_function": returns_a_coroutine,
    "builtin": anyio.sleep_forever,
}

functions = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
names = pytest.mark.parametrize("name", [None, "mine", ""], ids=repr)


def names_of_tasks():
    return sorted(str(task.name) for task in anyio.get_running_tasks())


@functions
@names
async def test_a_task_of_start_soon_has_the_name_that_anyio_gives_it(as_anyio, function, name):
    async def program(make):
        async def main():
            async with make() as group:
                handle = group.start_soon(function, name=name)
                # Before its first step, and at its end.
                seen = [names_of_tasks(), getattr(handle, "name", None)]
                await anyio.lowlevel.checkpoint()
                seen.append(names_of_tasks())
                group.cancel_scope.cancel()
            return seen

        return await outcome(main)

    kind, _ = await as_anyio(program)
    assert kind in ("returned", "raised")  # an object without a name cannot be started


@functions
@names
async def test_a_task_of_start_has_the_name_that_anyio_gives_it(as_anyio, function, name):
    if function is anyio.sleep_forever:
        function = a_function

    async def program(make):
        async def main():
            async with make() as group:
                return await group.start(function, name=name)

        return await outcome(main)

    await as_anyio(program)


async def asynchronous_generator():
    yield anyio.get_current_task().name


# Of start_soon(), and of create_task() where there is one.


async def test_a_task_knows_what_it_is_called_as_in_anyio(as_anyio):
    async def program(make):
        names = []

        async def child():
            names.append(anyio.get_current_task().name)

        async with make() as group:
            group.start_soon(child)
            group.start_soon(child, name="mine")
        return sorted(names)

    given, default = await as_anyio(program)
    assert (given, default[-5:]) == ("mine", "child")


async def test_the_parent_of_a_task_is_the_one_that_anyio_says(as_anyio):
    async def program(make):
        seen = []

        async def child(task_status=IGNORED):
            seen.append(anyio.get_current_task().parent_id == mine)
            task_status.started()

        mine = anyio.get_current_task().id
        async with make() as group:
            group.start_soon(child)
            await group.start(child)
        return seen

    assert await as_anyio(program) == [True, True]


# What is returned.


async def test_start_soon_returns_what_anyios_returns(as_anyio):
    async def program(make):
        async with make() as group:
            return type(group.start_soon(turns)).__name__

    assert await as_anyio(program) == ("TaskHandle" if HAS_HANDLES else "NoneType")


@pytest.mark.parametrize("value", [(), (None,), (42,)], ids=repr)
async def test_start_returns_the_value_of_started(as_anyio, value):
    async def program(make):
        async def child(*, task_status):
            task_status.started(*value)

        async with make() as group:
            return await group.start(child)

    assert await as_anyio(program) == (value or (None,))[0]


async def test_start_passes_the_arguments_on(as_anyio):
    async def program(make):
        async def child(first, second, *, task_status):
            task_status.started((first, second))

        async with make() as group:
            return await group.start(child, 1, 2)

    assert await as_anyio(program) == (1, 2)


async def test_start_soon_passes_the_arguments_on(as_anyio):
    async def program(make):
        seen = []

        async def child(*args):
            seen.append(args)

        async with make() as group:
            group.start_soon(child, 1, 2)
        return seen

    assert await as_anyio(program) == [(1, 2)]


async def test_started_may_be_called_before_the_coroutine_is_returned(as_anyio):
    async def program(make):
        def child(*, task_status):
            task_status.started("early")
            return turns()

        async def main():
            async with make() as group:
                return await group.start(child)

        return await outcome(main)

    await as_anyio(program)


async def test_calling_started_twice_is_the_same_error(as_anyio):
    async def program(make):
        async def child(*, task_status):
            task_status.started()
            task_status.started()

        async def main():
            async with make() as group:
                await group.start(child)
                await anyio.sleep_forever()

        return await outcome(main)

    kind, _ = await as_anyio(program)
    assert kind == "raised"


# What is raised.


def not_a_coroutine_function(task_status=IGNORED):
    return 1


def an_awaitable(task_status=IGNORED):
    class Awaitable:
        def __await__(self):
            yield from ()

        def __repr__(self):
            return "an awaitable"

    return Awaitable()


async def an_async_generator(task_status=IGNORED):
    yield 1


def fails_at_the_call(task_status=IGNORED):
    raise Boom("at the call")


class Unnamed:
    def __call__(self, task_status=IGNORED):
        return 1


BAD = {
    "no_coroutine_function": not_a_coroutine_function,
    "awaitable": an_awaitable,
    "async_generator": an_async_generator,
    "fails_at_the_call": fails_at_the_call,
    "unnamed_object": Unnamed(),
    "number": 42,
    "none": None,
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
@pytest.mark.parametrize("how", ["start_soon", "start"])
async def test_what_cannot_be_started_raises_what_anyio_raises(as_anyio, how, bad):
    async def program(make):
        async def main():
            async with make() as group:
                result = getattr(group, how)(bad)
                if how == "start":
                    await result

        return await outcome(main)

    kind, _ = await as_anyio(program)
    assert kind == "raised"


@pytest.mark.parametrize("how", ["start_soon", "start"])
async def test_a_coroutine_in_place_of_a_function_raises_what_anyio_raises(as_anyio, how):
    async def program(make):
        coro = turns()

        async def main():
            async with make() as group:
                result = getattr(group, how)(coro)
                if how == "start":
                    await result

        try:
            return await outcome(main)
        finally:
            coro.close()

    kind, _ = await as_anyio(program)
    assert kind == "raised"


@pytest.mark.parametrize("args", [(), (1, 2, 3)], ids=repr)
@pytest.mark.parametrize("how", ["start_soon", "start"])
async def test_wrong_arguments_raise_what_anyio_raises(as_anyio, how, args):
    async def child(one, *, task_status=IGNORED):
        raise AssertionError("never")

    async def program(make):
        async def main():
            async with make() as group:
                result = getattr(group, how)(child, *args)
                if how == "start":
                    await result

        return await outcome(main)

    kind, _ = await as_anyio(program)
    assert kind == "raised"


@pytest.mark.parametrize("how", ["start_soon", "start"])
async def test_without_a_function_it_is_a_type_error_as_in_anyio(as_anyio, how):
    async def program(make):
        async with make() as group:
            with pytest.raises(TypeError) as raised:
                await getattr(group, how)()
        return type(raised.value)

    assert await as_anyio(program) is TypeError


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("how", ["start_soon", "start"])
async def test_a_group_that_is_not_active_raises_what_anyio_raises(as_anyio, how, when):
    async def program(make):
        group = make()
        if when == "after":
            async with group:
                pass

        async def main():
            result = getattr(group, how)(a_function)
            if how == "start":
                await result

        return await outcome(main)

    assert await as_anyio(program) == (
        "raised",
        ("RuntimeError", "This task group is not active; no new tasks can be started."),
    )


async def test_start_of_what_ends_without_started_raises_what_anyio_raises(as_anyio):
    async def program(make):
        async def child(*, task_status):
            await turns()

        async with make() as group:
            return await outcome(group.start, child)

    kind, (error, text) = await as_anyio(program)
    assert (kind, error) == ("raised", "RuntimeError")
    assert "without calling task_status.started()" in text


async def test_start_of_what_fails_before_started_raises_its_error(as_anyio):
    async def program(make):
        async def child(*, task_status):
            await fails()

        async with make() as group:
            return await outcome(group.start, child)

    assert await as_anyio(program) == ("raised", ("Boom", ""))


async def test_what_fails_after_started_fails_the_group(as_anyio):
    async def program(make):
        async def child(*, task_status):
            task_status.started(1)
            await fails()

        async def main():
            async with make() as group:
                assert await group.start(child) == 1
                await anyio.sleep_forever()

        return await outcome(main)

    kind, (_, _, errors) = await as_anyio(program)
    assert (kind, errors) == ("raised", [("Boom", "")])


@pytest.mark.parametrize("count", [1, 3])
async def test_the_errors_of_the_children_come_in_one_group(as_anyio, count):
    async def program(make):
        async def main():
            async with make() as group:
                for number in range(count):
                    # Without a checkpoint, so that nobody is cancelled before.
                    group.start_soon(fails, Boom(number), 0)

        return await outcome(main)

    _, (kind, _, errors) = await as_anyio(program)
    assert kind == "ExceptionGroup"
    assert errors == [("Boom", str(number)) for number in range(count)]


async def test_the_error_of_the_body_comes_with_those_of_the_children(as_anyio):
    async def program(make):
        async def fails_when_cancelled():
            try:
                await anyio.sleep_forever()
            finally:
                raise KeyError

        async def main():
            async with make() as group:
                group.start_soon(fails_when_cancelled)
                await turns()
                raise Boom

        return await outcome(main)

    _, (_, _, errors) = await as_anyio(program)
    assert [kind for kind, _ in errors] == ["Boom", "KeyError"]


async def test_groups_in_groups_nest_their_errors(as_anyio):
    async def program(make):
        async def child():
            async with make() as inner:
                inner.start_soon(fails, Boom, 0)
                inner.start_soon(fails, KeyError, 0)

        async def main():
            async with make() as group:
                group.start_soon(child)

        return await outcome(main)

    await as_anyio(program)


async def test_groups_of_both_kinds_mix(tracer):
    async def main():
        async with anyio.create_task_group() as outer:
            outer.start_soon(turns)
            async with ctxtrace.create_task_group() as middle:
                middle.start_soon(turns)
                async with anyio.create_task_group() as inner:
                    inner.start_soon(turns)
                    inner.start_soon(fails)

    with tracer.run(), pytest.raises(ExceptionGroup) as raised:
        await main()
    (middle,) = raised.value.exceptions
    (inner,) = middle.exceptions
    assert [type(error) for error in inner.exceptions] == [Boom]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
async def test_an_error_of_the_body_that_is_no_exception_comes_out_as_in_anyio(as_anyio, error):
    async def program(make):
        async def main():
            async with make() as group:
                group.start_soon(anyio.sleep_forever)
                await turns()
                raise error

        return await outcome(main)

    kind, _ = await as_anyio(program)
    assert kind == "raised"


async def test_a_child_that_fails_cancels_its_siblings_and_the_body(as_anyio):
    async def program(make):
        log = []

        async def waits(who):
            try:
                await anyio.sleep_forever()
            except BaseException as error:
                log.append((who, described(error)))
                raise

        async def main():
            async with make() as group:
                group.start_soon(waits, "sibling")
                group.start_soon(fails)
                await waits("body")

        return await outcome(main), sorted(log)

    _, log = await as_anyio(program)
    assert log == [("body", "cancelled"), ("sibling", "cancelled")]


# Cancellation.


async def test_cancelling_the_scope_of_the_group_ends_all(as_anyio):
    async def program(make):
        log = []

        async def child(number):
            try:
                await anyio.sleep_forever()
            finally:
                log.append(number)

        async with make() as group:
            for number in range(3):
                group.start_soon(child, number)
            await turns()
            group.cancel_scope.cancel()
        return sorted(log), group.cancel_scope.cancel_called

    assert await as_anyio(program) == ([0, 1, 2], True)


async def test_what_is_cancelled_before_its_first_step_begins_as_in_anyio(as_anyio):
    async def program(make):
        log = []

        async def child():
            log.append("begun")
            await anyio.lowlevel.checkpoint()
            log.append("gone on")

        async with make() as group:
            group.start_soon(child)
            group.cancel_scope.cancel()
        return log

    assert await as_anyio(program) == ["begun"]


async def test_cancellation_is_level_triggered_in_a_child(as_anyio):
    async def program(make):
        log = []

        async def child():
            for _ in range(3):
                try:
                    await anyio.sleep_forever()
                except anyio.get_cancelled_exc_class():
                    log.append("again")
            await anyio.lowlevel.checkpoint()

        async with make() as group:
            group.start_soon(child)
            await turns()
            group.cancel_scope.cancel()
        return log

    assert await as_anyio(program) == ["again"] * 3


async def test_a_shielded_child_ends_in_its_own_time(as_anyio):
    async def program(make):
        log = []

        async def child():
            with anyio.CancelScope(shield=True):
                await turns()
                log.append("shielded")
            await anyio.lowlevel.checkpoint()
            log.append("never")

        async with make() as group:
            group.start_soon(child)
            await turns(1)
            group.cancel_scope.cancel()
        return log

    assert await as_anyio(program) == ["shielded"]


async def test_a_deadline_of_the_group_ends_its_children(as_anyio):
    async def program(make):
        async with make() as group:
            group.start_soon(anyio.sleep_forever)
            group.cancel_scope.deadline = anyio.current_time()
            await anyio.sleep_forever()
        return group.cancel_scope.cancelled_caught

    assert await as_anyio(program) is True


async def test_a_deadline_in_a_child_is_its_own(as_anyio):
    async def program(make):
        log = []

        async def child(number):
            with anyio.move_on_after(0 if number else None) as scope:
                await turns()
                if number:
                    await anyio.sleep_forever()
            log.append((number, scope.cancelled_caught))

        async with make() as group:
            group.start_soon(child, 0)
            group.start_soon(child, 1)
        return sorted(log)

    assert await as_anyio(program) == [(0, False), (1, True)]


async def test_a_timeout_around_the_group_ends_it(as_anyio):
    async def program(make):
        async def main():
            with anyio.fail_after(0):
                async with make() as group:
                    group.start_soon(anyio.sleep_forever)

        return await outcome(main)

    assert (await as_anyio(program))[1][0] == "TimeoutError"


async def test_a_scope_entered_in_a_child_is_left_in_it(as_anyio):
    async def program(make):
        async def child():
            async with make() as inner:
                inner.start_soon(turns)
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    await anyio.sleep_forever()

        async with make() as group:
            group.start_soon(child)

    await as_anyio(program)


async def test_cancelling_during_start_ends_the_child_too(as_anyio):
    async def program(make):
        log = []

        async def child(*, task_status):
            try:
                await anyio.sleep_forever()
            finally:
                log.append("ended")

        async with make() as group:
            with anyio.CancelScope() as scope:
                group.start_soon(cancel_in_a_while, scope)
                await group.start(child)
            log.append(scope.cancelled_caught)
        return log

    async def cancel_in_a_while(scope):
        await turns()
        scope.cancel()

    assert await as_anyio(program) == ["ended", True]


async def test_cancelling_the_group_during_start_is_as_in_anyio(as_anyio):
    async def program(make):
        log = []

        async def child(*, task_status):
            try:
                await turns(3)
                log.append("on its way")
                await anyio.lowlevel.checkpoint()
                task_status.started("value")
                await anyio.lowlevel.checkpoint()
                log.append("after")
            except BaseException as error:
                log.append(described(error))
                raise

        async with make() as outer, make() as group:
            outer.start_soon(cancel_in_a_while, group)
            with anyio.CancelScope(shield=True):
                log.append(await outcome(group.start, child))
        return log

    async def cancel_in_a_while(group):
        await turns(2)
        group.cancel_scope.cancel()

    await as_anyio(program)


async def test_a_child_cannot_be_told_from_anyios_by_what_it_awaits(as_anyio):
    async def program(make):
        seen = []

        async def child():
            loop_task = anyio.get_current_task()
            await anyio.to_thread.run_sync(seen.append, "thread")
            seen.append(loop_task == anyio.get_current_task())
            event = anyio.Event()
            event.set()
            await event.wait()

        async with make() as group:
            group.start_soon(child)
        return seen

    assert await as_anyio(program) == ["thread", True]


# What is seen of it.


def test_it_has_the_attributes_of_anyios():
    async def main(**backend):
        theirs, ours = anyio.create_task_group(), ctxtrace.create_task_group()
        assert set(dir(theirs)) <= set(dir(ours))
        assert type(ours).__name__ == type(theirs).__name__
        for name in ("start", "start_soon", "create_task", "__aenter__", "__aexit__", "cancel"):
            both = [getattr(group, name, None) for group in (theirs, ours)]
            assert len({inspect.iscoroutinefunction(method) for method in both}) == 1

    for backend in ("asyncio", "trio"):
        anyio.run(main, backend=backend)


async def test_a_child_is_seen_as_a_coroutine_of_the_same_name(as_anyio):
    async def program(make):
        seen = []

        async def child():
            coro = anyio.get_current_task().coro
            seen.extend([coro.__name__, coro.__qualname__, inspect.iscoroutine(coro)])

        async with make() as group:
            group.start_soon(child)
        return seen

    assert (await as_anyio(program))[2] is True


if sys.version_info >= (3, 11):

    @pytest.mark.parametrize("how", ["start_soon", "start"])
    async def test_the_traceback_of_a_child_is_as_in_anyio(as_anyio, how):
        async def program(make):
            async def child(task_status=IGNORED):
                task_status.started()
                await fails()

            with pytest.raises(ExceptionGroup) as raised:
                async with make() as group:
                    result = getattr(group, how)(child)
                    if how == "start":
                        await result
                    await anyio.sleep_forever()
            (error,) = raised.value.exceptions
            assert files_of_ours(error) == []
            return frames(error)

        assert (await as_anyio(program))[-2:] == ["child", "fails"]

    async def test_the_traceback_of_start_has_no_frame_of_ours(tracer):
        async def child(task_status):
            await fails()

        async with ctxtrace.create_task_group() as group:
            with tracer.run(), pytest.raises(Boom) as raised:
                await group.start(child)
        ours = [line for line in files_of_ours(raised.value) if " _drive" in line or "call" in line]
        assert ours == []


async def test_a_coroutine_that_a_child_leaves_unawaited_warns_once_as_in_anyio(as_anyio):
    async def program(make):
        async def child():
            turns()

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            async with make() as group:
                group.start_soon(child)
        return [str(each.message) for each in caught]

    assert await as_anyio(program) == ["coroutine 'turns' was never awaited"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("how", ["start_soon", "start"])
async def test_a_refused_function_gives_no_warning(as_anyio, how, when):
    async def program(make):
        async def refused(group):
            try:
                result = getattr(group, how)(a_function)
                if how == "start":
                    await result
            except RuntimeError as error:
                return error  # is kept

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            group = make()
            if when == "after":
                async with group:
                    pass
            error = await refused(group)
            del error
            gc.collect()
        return [str(each.message) for each in caught]

    await as_anyio(program)


@pytest.mark.parametrize("how", ["start_soon", "create_task"] if HAS_HANDLES else ["start_soon"])
async def test_a_refused_function_gives_no_warning_where_its_error_is_part_of_a_cycle(
    as_anyio, how
):
    async def program(make):
        def refused(group):
            try:
                if how == "start_soon":
                    group.start_soon(a_function)
                else:
                    group.create_task(a_function())
            except RuntimeError as error:
                kept = error  # noqa: F841 - which keeps this frame

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            async with make() as group:
                pass
            refused(group)
            gc.collect()
        return [str(each.message) for each in caught]

    await as_anyio(program)


def test_a_child_that_ends_the_program_ends_it_as_in_anyio(backend, tracer):
    def run(make):
        async def child():
            await turns()
            raise KeyboardInterrupt("in a child")

        async def main():
            with tracer.run():
                async with make() as group:
                    group.start_soon(child)

        with pytest.raises(BaseException) as raised:  # noqa: PT011 - bare, or in a group
            anyio.run(main, **backend)
        error = raised.value
        while isinstance(error, BaseExceptionGroup):
            (error,) = error.exceptions
        return type(raised.value), type(error), str(error)

    assert run(ctxtrace.create_task_group) == run(anyio.create_task_group)


if HAS_HANDLES:
    # Before, trio itself is broken by it.
    async def test_a_group_entered_twice_raises_what_anyio_raises(as_anyio):
        async def program(make):
            async def main():
                async with make() as group, group:
                    pass

            return await outcome(main)

        await as_anyio(program)

    COROUTINES = {
        "function": a_function,
        "method": lambda: Things().method(),
        "object": lambda: Things()(),
        "builtin": lambda: anyio.sleep(0),
    }

    @pytest.mark.parametrize("make_coroutine", COROUTINES.values(), ids=COROUTINES)
    @names
    async def test_a_task_of_a_coroutine_has_the_name_that_anyio_gives_it(
        as_anyio, make_coroutine, name
    ):
        async def program(make):
            async with make() as group:
                handle = group.create_task(make_coroutine(), name=name)
                return handle.name, names_of_tasks()

        await as_anyio(program)

    @pytest.mark.parametrize("step", ["asend", "__anext__"])
    @names
    async def test_a_task_of_a_step_of_a_generator_has_the_name_that_anyio_gives_it(
        as_anyio, step, name
    ):
        async def program(make):
            async with contextlib.aclosing(asynchronous_generator()) as generator:
                coro = getattr(generator, step)(*([None] if step == "asend" else []))
                async with make() as group:
                    handle = group.create_task(coro, name=name)
                    seen = [_without_address(handle.name), _without_addresses(names_of_tasks())]
                return seen, handle.status, _without_address(handle.return_value)

        await as_anyio(program)

    def _without_address(name):
        return described(Exception(name))[1]

    def _without_addresses(names):
        return [_without_address(name) for name in names]

    @pytest.mark.parametrize("how", ["start_soon", "create_task", "start"])
    async def test_a_handle_gives_the_value_and_the_status_of_its_task(as_anyio, how):
        async def program(make):
            async def child(task_status=IGNORED):
                task_status.started("value")
                await turns()
                return 42

            async with make() as group:
                if how == "start_soon":
                    handle = group.start_soon(child)
                elif how == "create_task":
                    handle = group.create_task(child())
                else:
                    handle = await group.start(child, return_handle=True)
                seen = [type(handle), handle.status, await handle, handle.status]
            seen += [handle.return_value, handle.exception]
            if how == "start":
                seen.append(handle.start_value)
            return seen

        seen = await as_anyio(program)
        assert seen[2] == 42

    async def test_a_handle_gives_the_error_of_its_task(as_anyio):
        async def program(make):
            async def main():
                async with make() as group:
                    group.cancel_scope.shield = True
                    handles.append(group.create_task(fails()))
                    await handles[0].wait()

            handles = []
            result = await outcome(main)
            (handle,) = handles
            with pytest.raises(anyio.TaskFailed) as raised:
                handle.return_value  # noqa: B018
            return result, handle.status, described(handle.exception), described(raised.value)

        await as_anyio(program)

    async def test_cancelling_a_handle_ends_its_task_alone(as_anyio):
        async def program(make):
            async with make() as group:
                one = group.create_task(anyio.sleep_forever())
                other = group.create_task(turns())
                await turns(1)
                one.cancel()
                await one.wait()
                with pytest.raises(anyio.TaskCancelled):
                    await one
                await other
            return one.status, other.status

        one, other = await as_anyio(program)
        assert (one.name, other.name) == ("CANCELLED", "FINISHED")

    async def test_the_repr_of_a_handle_is_as_in_anyio(as_anyio):
        async def program(make):
            async with make() as group:
                handle = group.create_task(turns(), name="mine")
                return described(Exception(repr(handle)))

        await as_anyio(program)

    async def test_cancel_of_the_group_ends_its_tasks(as_anyio):
        async def program(make):
            async with make() as group:
                handle = group.create_task(anyio.sleep_forever())
                await turns(1)
                group.cancel("a reason")
            return handle.status, group.cancel_scope.cancelled_caught

        await as_anyio(program)

    @pytest.mark.parametrize(
        "bad", [42, None, a_function, an_awaitable()], ids=["number", "none", "function", "other"]
    )
    async def test_what_is_no_coroutine_raises_what_anyio_raises(as_anyio, bad):
        async def program(make):
            async def main():
                async with make() as group:
                    group.create_task(bad)

            return await outcome(main)

        _, (_, _, ((kind, _),)) = await as_anyio(program)
        assert kind == "TypeError"

    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_a_coroutine_given_to_an_inactive_group_is_closed_without_a_warning(
        as_anyio, when
    ):
        async def program(make):
            group = make()
            if when == "after":
                async with group:
                    pass
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                coro = turns()

                async def main():
                    group.create_task(coro)

                result = await outcome(main)
                state = inspect.getcoroutinestate(coro)
                del coro
                gc.collect()
            return result, state, [str(each.message) for each in caught]

        (_, (kind, _)), state, caught = await as_anyio(program)
        assert (kind, state, caught) == ("RuntimeError", inspect.CORO_CLOSED, [])

    async def test_a_coroutine_that_has_run_raises_what_anyio_raises(as_anyio):
        async def program(make):
            coro = turns(0)
            await coro

            async def main():
                async with make() as group:
                    group.create_task(coro)

            return await outcome(main)

        kind, _ = await as_anyio(program)
        assert kind == "raised"

    @pytest.mark.parametrize("given", ["own", "current"])
    async def test_a_task_runs_in_a_copy_of_the_context_given(as_anyio, given):
        async def program(make):
            seen = []

            async def child():
                seen.append(user())
                USER.set("mary")
                await turns()
                seen.append(user())

            context = contextvars.copy_context()
            if given == "own":
                context.run(USER.set, "ada")
            with serving("eve"):
                async with make() as group:
                    group.create_task(child(), context=context)
                    await turns()
            return seen, context.get(USER), user()

        seen, after, mine = await as_anyio(program)
        assert seen == ["ada" if given == "own" else "nobody", "mary"]
        assert (after, mine) == ("ada" if given == "own" else None, "nobody")

    async def test_a_context_that_is_running_is_refused_as_in_anyio(as_anyio):
        async def program(make):
            async def main():
                async with make() as group:
                    context = contextvars.copy_context()
                    coro = turns()
                    try:
                        context.run(lambda: group.create_task(coro, context=context))
                    finally:
                        coro.close()

            return await outcome(main)

        kind, _ = await as_anyio(program)
        assert kind == "raised"


asyncio_only = pytest.mark.parametrize("backend", ["asyncio", "uvloop"], indirect=True)


@asyncio_only
async def test_on_asyncio_the_task_of_a_child_is_in_the_groups_hands(as_anyio):
    async def program(make):
        seen = []

        async def child():
            task = asyncio.current_task()
            seen.append(task.get_name())
            seen.append(task in asyncio.all_tasks())

        async with make() as group:
            group.start_soon(child, name="mine")
        return seen

    assert await as_anyio(program) == ["mine", True]


@asyncio_only
async def test_on_asyncio_a_task_that_is_cancelled_natively_ends_as_in_anyio(as_anyio):
    async def program(make):
        tasks = []

        async def child():
            tasks.append(asyncio.current_task())
            await anyio.sleep_forever()

        async def main():
            async with make() as group:
                group.start_soon(child)
                await turns()
                tasks[0].cancel()
                await turns()
            return group.cancel_scope.cancel_called

        return await outcome(main)

    await as_anyio(program)


if sys.version_info >= (3, 12):

    @pytest.mark.parametrize("backend", ["asyncio"], indirect=True)  # uvloop has none
    @pytest.mark.parametrize("how", ["start_soon", "start"])
    async def test_on_asyncio_a_group_works_with_eager_tasks(as_anyio, how):
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)

        async def program(make):
            seen = []

            async def child(task_status=IGNORED):
                seen.append(asyncio.current_task().get_name())
                task_status.started()
                await turns()
                seen.append(asyncio.current_task().get_name())

            async with make() as group:
                result = getattr(group, how)(child, name="mine")
                if how == "start":
                    await result
                seen.append("started")
            return seen

        assert (await as_anyio(program)).count("mine") == 2

    @pytest.mark.parametrize("backend", ["asyncio"], indirect=True)  # uvloop has none
    async def test_on_asyncio_a_task_that_ends_eagerly_keeps_no_parent(tracer, no_gc):
        async def child():
            pass

        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        async with ctxtrace.create_task_group() as group:
            with tracer.run() as run:
                group.start_soon(child)
            await turns()
            assert run() is None
