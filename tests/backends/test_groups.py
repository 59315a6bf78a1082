"""create_task_group(): what its tasks keep, and until when."""

# ruff: noqa: PT012 - a group raises when it is left, and has to be filled before

from __future__ import annotations

import contextvars
import gc
import sys

import anyio
import anyio.abc
import pytest
from backends.support import HAS_HANDLES, WAYS, by_start, turns
from core.support import USER, Boom, current_run, has_parent, serving, user

import ctxtrace

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

ways = pytest.mark.parametrize("start", WAYS, ids=lambda way: way.__name__)


async def outlive_the_parent(make, start, tracer):
    seen = []
    gate = anyio.Event()

    async def child():
        await gate.wait()
        seen.append(has_parent())

    async with make() as group:
        with tracer.run():
            await start(group, child)
        gc.collect()
        await turns()
        gate.set()
    return seen


@ways
async def test_control_a_task_of_a_bare_group_loses_the_parent_that_returned(start, tracer):
    assert await outlive_the_parent(anyio.create_task_group, start, tracer) == [False]


@ways
async def test_a_task_of_a_group_keeps_the_parent_that_returned(start, tracer):
    assert await outlive_the_parent(ctxtrace.create_task_group, start, tracer) == [True]


@ways
async def test_a_task_keeps_the_parent_from_before_its_first_step(start, tracer):
    seen = []

    async def child():
        seen.append(has_parent())

    async with ctxtrace.create_task_group() as group:
        with tracer.run():
            await start(group, child)
        gc.collect()
    assert seen == [True]


@ways
async def test_a_task_is_a_child_of_the_run_it_was_started_in(start, tracer):
    seen = []

    async def child():
        seen.append(current_run())

    async with ctxtrace.create_task_group() as group:
        for _ in range(2):
            with tracer.run() as run:
                await start(group, child)
                await turns()
                assert seen.pop() is run()


@ways
async def test_a_task_runs_in_the_context_of_its_start(start):
    seen = []

    async def child():
        seen.append(user())
        USER.set("mary")

    async with ctxtrace.create_task_group() as group:
        with serving("ada"):
            await start(group, child)
    assert (seen, user()) == (["ada"], "nobody")


@ways
async def test_a_task_that_a_task_starts_keeps_the_same_parent(start, tracer):
    seen = []

    async def grandchild():
        await turns()
        seen.append(has_parent())

    async def child():
        await start(group, grandchild)

    async with ctxtrace.create_task_group() as group:
        with tracer.run():
            await start(group, child)
        gc.collect()
    assert seen == [True]


@ways
async def test_a_task_started_in_a_detached_block_has_no_parent_and_keeps_none(start, tracer):
    seen = []
    gate = anyio.Event()

    async def child():
        await gate.wait()
        seen.append(has_parent())

    async with ctxtrace.create_task_group() as group:
        with tracer.run() as run, ctxtrace.detached():
            await start(group, child)
        gc.collect()
        assert run() is None
        gate.set()
    assert seen == [False]


async def test_it_is_accepted_wherever_the_abstract_group_is():
    group = ctxtrace.create_task_group()
    assert isinstance(group, anyio.abc.TaskGroup)
    assert isinstance(group, type(anyio.create_task_group()))
    async with group as entered:
        assert entered is group


async def test_a_bare_group_stays_one(tracer):
    ctxtrace.create_task_group()
    kind = type(anyio.create_task_group())
    assert kind.__module__.startswith("anyio.")
    assert await outlive_the_parent(anyio.create_task_group, by_start, tracer) == [False]


def test_outside_of_a_loop_it_raises_what_the_bare_one_raises():
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - whatever that is
        anyio.create_task_group()
    with pytest.raises(type(theirs.value)) as ours:
        ctxtrace.create_task_group()
    assert str(ours.value) == str(theirs.value)


# Until when.


@ways
async def test_the_parent_is_kept_as_long_as_the_task_runs(start, tracer, no_gc):
    gate = anyio.Event()
    async with ctxtrace.create_task_group() as group:
        with tracer.run() as run:
            await start(group, gate.wait)
        await turns()
        assert run() is not None
        gate.set()


@ways
async def test_the_parent_is_freed_when_the_task_is_finished(start, tracer, no_gc):
    async with ctxtrace.create_task_group() as group:
        with tracer.run() as run:
            handle = await start(group, turns)
        await turns(12)
        assert run() is None
    del handle


@ways
async def test_the_parent_is_freed_when_the_task_has_failed(start, tracer, no_gc):
    async def child():
        await turns()
        raise Boom

    group = ctxtrace.create_task_group()
    handle = None
    with pytest.raises(ExceptionGroup) as raised:
        async with group:
            with tracer.run() as run:
                handle = await start(group, child)
            await anyio.sleep_forever()
    await turns()
    assert run() is None
    assert [type(error) for error in raised.value.exceptions] == [Boom]
    del handle


@ways
async def test_the_parent_is_freed_when_the_task_was_cancelled_with_its_group(start, tracer, no_gc):
    async with ctxtrace.create_task_group() as group:
        with tracer.run() as run:
            handle = await start(group, anyio.sleep_forever)
        await turns()
        assert run() is not None
        group.cancel_scope.cancel()
    await turns()
    assert run() is None
    del handle


@ways
async def test_the_parent_is_freed_when_the_group_is_cancelled_before_the_first_step(
    start, tracer, no_gc
):
    async with ctxtrace.create_task_group() as group:
        with tracer.run() as run:
            handle = await start(group, anyio.sleep_forever)
            group.cancel_scope.cancel()
    await turns()
    assert run() is None
    del handle


@ways
async def test_the_parent_is_freed_when_the_tasks_own_scope_was_cancelled(start, tracer, no_gc):
    scope = anyio.CancelScope()

    async def child():
        with scope:
            await anyio.sleep_forever()

    async with ctxtrace.create_task_group() as group:
        with tracer.run() as run:
            handle = await start(group, child)
        await turns()
        scope.cancel()
        await turns(12)
        assert run() is None
    del handle


# Where a task does not come to be, the error may be kept, and with it anyio's frames.

how = pytest.mark.parametrize("how", ["start_soon", "start"])


async def error_of(group, how, function):
    try:
        result = getattr(group, how)(function)
        if how == "start":
            await result
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


@how
async def test_the_parent_is_freed_when_the_group_refuses_the_task(how, tracer, no_gc):
    async def child(task_status=anyio.TASK_STATUS_IGNORED):
        raise AssertionError("never")

    async with ctxtrace.create_task_group() as group:
        pass
    with tracer.run() as run:
        error = await error_of(group, how, child)
    assert run() is None
    assert "is not active" in str(error)


@how
async def test_the_parent_is_freed_when_the_function_fails_at_its_call(how, tracer, no_gc):
    def fails(task_status=anyio.TASK_STATUS_IGNORED):
        raise Boom

    async with ctxtrace.create_task_group() as group:
        with tracer.run() as run:
            error = await error_of(group, how, fails)
        await turns()
        assert run() is None
    assert isinstance(error, Boom)


@how
async def test_the_parent_is_freed_when_the_function_is_no_coroutine_function(how, tracer, no_gc):
    def plain(task_status=anyio.TASK_STATUS_IGNORED):
        return 1

    async with ctxtrace.create_task_group() as group:
        with tracer.run() as run:
            error = await error_of(group, how, plain)
        await turns()
        assert run() is None
    assert isinstance(error, TypeError)


async def test_the_parent_is_freed_when_start_fails_before_started(tracer, no_gc):
    async def child(task_status):
        await turns()
        raise Boom

    async with ctxtrace.create_task_group() as group:
        with tracer.run() as run, pytest.raises(Boom) as raised:
            await group.start(child)
        await turns()
        assert run() is None
        del raised


async def test_the_parent_is_freed_when_start_ends_without_started(tracer, no_gc):
    async def child(task_status):
        await turns()

    async with ctxtrace.create_task_group() as group:
        with tracer.run() as run, pytest.raises(RuntimeError, match="without") as raised:
            await group.start(child)
        await turns()
        assert run() is None
        del raised


async def test_the_parent_is_freed_when_start_is_cancelled(tracer, no_gc):
    async def child(task_status):
        await anyio.sleep_forever()

    kept = []
    async with ctxtrace.create_task_group() as group:
        with tracer.run() as run, anyio.CancelScope() as scope:
            scope.cancel()
            try:
                await group.start(child)
            except BaseException as error:
                kept.append(error)
                raise
        await turns()
        assert run() is None
        assert kept


async def test_while_start_waits_the_parent_is_kept_by_the_child_too(tracer):
    seen = []

    async def child(task_status):
        await turns()
        seen.append(has_parent())
        task_status.started("ready")
        await turns()
        seen.append(has_parent())

    async with ctxtrace.create_task_group() as group:
        with tracer.run():
            assert await group.start(child) == "ready"
        gc.collect()
    assert seen == [True, True]


async def test_a_group_that_lives_long_keeps_no_parent_of_the_tasks_it_had(tracer, no_gc):
    alive = []
    async with ctxtrace.create_task_group() as group:
        for _ in range(100):
            with tracer.run() as run:
                group.start_soon(turns)
            alive.append(run)
        await turns(12)
        assert [run() for run in alive] == [None] * 100


if HAS_HANDLES:

    async def test_the_coroutine_of_a_handle_is_the_callers_where_no_run_is_current():
        coro = turns()
        async with ctxtrace.create_task_group() as group:
            handle = group.create_task(coro)
            assert handle.coro is coro

    async def test_the_coroutine_of_a_handle_is_called_as_the_callers_is(tracer):
        async with ctxtrace.create_task_group() as group:
            with tracer.run():
                handle = group.create_task(turns())
            assert handle.coro.__qualname__ == "turns"
            assert handle.coro.__name__ == "turns"

    async def test_the_parent_is_freed_when_the_handle_is_cancelled(tracer, no_gc):
        async with ctxtrace.create_task_group() as group:
            with tracer.run() as run:
                handle = group.create_task(anyio.sleep_forever())
            await turns()
            handle.cancel()
            await handle.wait()
            await turns()
            assert run() is None
            assert handle.status is anyio.TaskHandle.Status.CANCELLED

    async def test_the_parent_is_freed_when_the_handle_is_cancelled_before_the_first_step(
        tracer, no_gc
    ):
        async with ctxtrace.create_task_group() as group:
            with tracer.run() as run:
                handle = group.create_task(anyio.sleep_forever())
            handle.cancel()
            await handle.wait()
            await turns()
            assert run() is None

    async def test_the_parent_is_freed_when_a_closed_group_refuses_a_coroutine(tracer, no_gc):
        async with ctxtrace.create_task_group() as group:
            pass
        with tracer.run() as run, pytest.raises(RuntimeError, match="is not active") as raised:
            group.create_task(turns())
        assert run() is None
        del raised

    async def test_a_context_given_brings_its_own_parent(tracer):
        seen = []

        async def child():
            await turns()
            seen.append((current_run(), user()))

        with tracer.run() as mine:
            with serving("ada"), tracer.run() as theirs:
                context = contextvars.copy_context()
                parent = theirs()
            async with ctxtrace.create_task_group() as group:
                with tracer.run() as other:
                    group.create_task(child(), context=context)
            assert seen == [(parent, "ada")]
            assert mine() is not parent
            assert other() is None

    async def test_the_parent_in_a_context_given_is_kept_until_the_task_is_done(tracer, no_gc):
        gate = anyio.Event()
        seen = []

        async def child():
            await gate.wait()
            seen.append(has_parent())

        async with ctxtrace.create_task_group() as group:
            with tracer.run() as run:
                context = contextvars.copy_context()
                group.create_task(child(), context=context)
            await turns()
            assert run() is not None
            gate.set()
            await turns()
            assert seen == [True]
            assert run() is None
        assert has_parent() is False
        del context

    async def test_a_context_given_without_a_run_brings_no_parent_and_keeps_none(tracer, no_gc):
        seen = []
        gate = anyio.Event()
        context = contextvars.copy_context()

        async def child():
            await gate.wait()
            seen.append(has_parent())

        async with ctxtrace.create_task_group() as group:
            with tracer.run() as run:
                coro = child()
                assert group.create_task(coro, context=context).coro is coro
            assert run() is None
            gate.set()
        assert seen == [False]

    async def test_an_empty_context_given_is_the_one_that_is_used():
        seen = []

        async def child():
            seen.append(user())

        # Without what says which library runs, neither backend can run anything in it.
        context = contextvars.copy_context()
        context.run(USER.set, "mary")
        with serving("ada"):
            async with ctxtrace.create_task_group() as group:
                group.create_task(child(), context=context)
        assert seen == ["mary"]

    async def test_the_context_that_is_current_may_be_given(tracer):
        # It is running: it cannot be entered a second time.
        seen = []

        async def child():
            seen.append(has_parent())

        def start(group):
            group.create_task(child(), context=contextvars.copy_context())

        async with ctxtrace.create_task_group() as group:
            with tracer.run():
                contextvars.copy_context().run(start, group)
        assert seen == [True]

else:

    async def test_what_a_task_runs_is_the_callers_coroutine_where_no_run_is_current():
        seen = []

        async def child():
            seen.append(anyio.get_current_task().coro)

        async with ctxtrace.create_task_group() as group:
            group.start_soon(child)
        assert [coro.cr_code for coro in seen] == [child.__code__]
