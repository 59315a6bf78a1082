"""TaskGroup: asyncio's from Python 3.11 on, and the same on 3.9 and 3.10."""

# ruff: noqa: PT012 - a group raises when it is left, and has to be filled before

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import sys
import weakref

import pytest
from core.support import USER, Boom, current_run, has_parent, serving, user

import ctxtrace

if sys.version_info >= (3, 11):
    GROUPS = [asyncio.TaskGroup, ctxtrace.TaskGroup]
else:
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup

    GROUPS = [ctxtrace.TaskGroup]

# What asyncio's group does, ours does; and ours does it where asyncio has none.
both = pytest.mark.parametrize("make", GROUPS, ids=["standard", "ours"][-len(GROUPS) :])


async def who():
    await asyncio.sleep(0)
    return user()


async def fails(error=Boom):
    await asyncio.sleep(0)
    raise error


async def parent():
    await asyncio.sleep(0)
    return has_parent()


async def forever(log=None):
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if log is not None:
            log.append("cancelled")
        raise


if sys.version_info >= (3, 11):

    async def test_control_a_task_of_a_standard_group_loses_the_parent_that_returned(tracer):
        async with asyncio.TaskGroup() as group:
            with tracer.run():
                task = group.create_task(parent())
            gc.collect()
        assert task.result() is False

else:

    def test_control_asyncio_has_no_task_group_before_3_11():
        assert not hasattr(asyncio, "TaskGroup")


async def test_a_task_of_a_group_keeps_the_parent_that_returned(tracer):
    async with ctxtrace.TaskGroup() as group:
        with tracer.run():
            task = group.create_task(parent())
        gc.collect()
    assert task.result() is True


@both
async def test_a_task_of_a_group_runs_in_the_context_of_its_creation(make):
    async with make() as group:
        with serving("ada"):
            task = group.create_task(who())
    assert task.result() == "ada"


@both
async def test_a_task_of_a_group_runs_in_the_very_context_given(make):
    async def sets():
        before = user()
        USER.set("mary")
        return before

    context = contextvars.copy_context()
    context.run(USER.set, "ada")
    async with make() as group:
        task = group.create_task(sets(), context=context)
    assert (task.result(), context[USER]) == ("ada", "mary")


@both
async def test_a_task_of_a_group_has_the_name_given(make):
    async with make() as group:
        task = group.create_task(who(), name="mine")
        assert task.get_name() == "mine"


@both
async def test_leaving_a_group_waits_for_its_tasks(make):
    async with make() as group:
        tasks = [group.create_task(who()) for _ in range(3)]
    assert [task.done() for task in tasks] == [True] * 3


@both
async def test_a_task_may_create_further_tasks_in_its_group(make):
    async def creates():
        await asyncio.sleep(0)
        return group.create_task(who())

    async with make() as group:
        with serving("ada"):
            task = group.create_task(creates())
    assert task.result().result() == "ada"


@both
async def test_the_body_runs_in_the_task_of_the_caller(make):
    before = asyncio.current_task()
    async with make() as group:
        group.create_task(who())
        assert asyncio.current_task() is before
    assert asyncio.current_task() is before


@both
async def test_the_error_of_a_task_is_raised_in_a_group(make):
    with pytest.raises(ExceptionGroup, match="unhandled errors in a TaskGroup") as raised:
        async with make() as group:
            group.create_task(fails())
    assert [type(error) for error in raised.value.exceptions] == [Boom]


@both
async def test_the_error_of_the_body_is_raised_in_a_group(make):
    with pytest.raises(ExceptionGroup) as raised:
        async with make():
            raise Boom
    assert [type(error) for error in raised.value.exceptions] == [Boom]


@both
async def test_the_errors_of_several_tasks_and_the_body_are_raised_together(make):
    async def fails_when_cancelled():
        try:
            await forever()
        finally:
            raise KeyError

    with pytest.raises(ExceptionGroup) as raised:
        async with make() as group:
            group.create_task(fails_when_cancelled())
            await asyncio.sleep(0)
            raise Boom
    assert {type(error) for error in raised.value.exceptions} == {Boom, KeyError}


@both
async def test_a_task_that_fails_cancels_the_others(make):
    log = []
    with pytest.raises(ExceptionGroup):
        async with make() as group:
            group.create_task(forever(log))
            group.create_task(fails())
    assert log == ["cancelled"]


@both
async def test_a_task_that_fails_cancels_the_body(make):
    log = []
    with pytest.raises(ExceptionGroup) as raised:
        async with make() as group:
            group.create_task(fails())
            await forever(log)
    assert log == ["cancelled"]
    assert [type(error) for error in raised.value.exceptions] == [Boom]


@both
async def test_a_body_that_fails_cancels_the_tasks(make):
    log = []
    with pytest.raises(ExceptionGroup):
        async with make() as group:
            group.create_task(forever(log))
            await asyncio.sleep(0)
            raise Boom
    assert log == ["cancelled"]


@both
async def test_after_a_group_that_failed_the_caller_can_await_again(make):
    with pytest.raises(ExceptionGroup):
        async with make() as group:
            group.create_task(fails())
            await forever()
    assert await who() == "nobody"


@both
async def test_a_task_that_is_cancelled_alone_is_no_error(make):
    async with make() as group:
        task = group.create_task(forever())
        other = group.create_task(who())
        await asyncio.sleep(0)
        task.cancel()
    assert (task.cancelled(), other.result()) == (True, "nobody")


@both
@pytest.mark.parametrize("where", ["body", "exit"])
async def test_a_cancellation_from_outside_cancels_the_tasks_and_is_passed_on(make, where):
    log = []

    async def main():
        async with make() as group:
            group.create_task(forever(log))
            if where == "body":
                await forever(log)

    task = asyncio.ensure_future(main())
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["cancelled"] * (2 if where == "body" else 1)


@both
async def test_an_error_while_a_cancellation_from_outside_is_handled_is_raised_in_a_group(make):
    async def fails_when_cancelled():
        try:
            await forever()
        finally:
            raise Boom

    async def main():
        async with make() as group:
            group.create_task(fails_when_cancelled())

    task = asyncio.ensure_future(main())
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(ExceptionGroup) as raised:
        await task
    assert [type(error) for error in raised.value.exceptions] == [Boom]


@both
async def test_a_body_that_raises_cancelled_itself_passes_it_on(make):
    async def main():
        async with make():
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await asyncio.ensure_future(main())


@both
async def test_nested_groups_nest_their_errors(make):
    with pytest.raises(ExceptionGroup) as raised:
        async with make(), make() as inner:
            inner.create_task(fails())
    ((inner_error,),) = [error.exceptions for error in raised.value.exceptions]
    assert isinstance(inner_error, Boom)


@both
async def test_a_task_of_the_outer_group_that_fails_cancels_the_inner_group(make):
    log = []
    with pytest.raises(ExceptionGroup) as raised:
        async with make() as outer:
            outer.create_task(fails())
            async with make() as inner:
                inner.create_task(forever(log))
                await forever(log)
    assert log == ["cancelled"] * 2
    assert [type(error) for error in raised.value.exceptions] == [Boom]


@both
async def test_an_inner_group_that_fails_leaves_the_outer_one_working(make):
    async with make() as outer:
        with pytest.raises(ExceptionGroup):
            async with make() as inner:
                inner.create_task(fails())
                await forever()
        task = outer.create_task(who())
    assert task.result() == "nobody"


class Ending(BaseException):
    pass


@both
async def test_an_error_that_is_no_exception_is_raised_in_a_base_group(make):
    with pytest.raises(BaseExceptionGroup) as raised:
        async with make():
            raise Ending
    assert [type(error) for error in raised.value.exceptions] == [Ending]


@both
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
async def test_an_error_that_ends_the_program_is_raised_bare(make, error):
    log = []
    with pytest.raises(error):
        async with make() as group:
            group.create_task(forever(log))
            await asyncio.sleep(0)
            raise error
    assert log == ["cancelled"]


@both
async def test_a_group_that_was_not_entered_creates_no_task(make):
    coroutine = who()
    with pytest.raises(RuntimeError, match="has not been entered"):
        make().create_task(coroutine)
    coroutine.close()


@both
async def test_a_group_that_is_finished_creates_no_task(make):
    async with make() as group:
        pass
    coroutine = who()
    with pytest.raises(RuntimeError, match="is finished"):
        group.create_task(coroutine)
    coroutine.close()


@both
async def test_a_group_that_shuts_down_creates_no_task(make):
    refused = []

    async def creates_when_cancelled():
        try:
            await forever()
        finally:
            coroutine = who()
            try:
                group.create_task(coroutine)
            except RuntimeError as error:
                refused.append(str(error))
            coroutine.close()

    with pytest.raises(ExceptionGroup):
        async with make() as group:
            group.create_task(creates_when_cancelled())
            group.create_task(fails())
    assert len(refused) == 1
    assert refused[0].endswith("is shutting down")


@both
async def test_a_group_cannot_be_entered_twice(make):
    async with make() as group:
        with pytest.raises(RuntimeError, match="has already been entered"):
            await group.__aenter__()


@both
async def test_the_repr_of_a_group_says_how_far_it_is(make):
    group = make()
    said = [repr(group)]
    async with group:
        said.append(repr(group))
        group.create_task(who())
        said.append(repr(group))
    assert said == ["<TaskGroup>", "<TaskGroup entered>", "<TaskGroup tasks=1 entered>"]


if sys.version_info < (3, 11):  # asyncio's own is part of a cycle until 3.13.1

    async def test_a_group_that_failed_is_freed_with_its_error(no_gc):
        async def main():
            async with ctxtrace.TaskGroup() as group:
                references.append(weakref.ref(group))
                group.create_task(fails())

        references = []
        with contextlib.suppress(ExceptionGroup):
            await main()
        await asyncio.sleep(0)
        assert references[0]() is None


def test_on_3_11_and_later_it_is_a_subclass_of_the_standard_group():
    standard = getattr(asyncio, "TaskGroup", object)
    assert issubclass(ctxtrace.TaskGroup, standard)


if sys.version_info >= (3, 12):

    @both
    async def test_a_group_works_with_eager_tasks(make, tracer):
        async def run():
            return current_run() is not None, user()

        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        async with make() as group:
            with serving("ada"), tracer.run():
                task = group.create_task(run())
                assert task.done()
        assert task.result() == (True, "ada")
