"""create_task, gather, to_thread, run_in_executor: asyncio's, and the parent run stays."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import gc
import inspect
import sys
import threading

import pytest
from core.support import (
    LIMIT,
    USER,
    Boom,
    InlineExecutor,
    caught,
    fail,
    files_of_ours,
    frames,
    has_parent,
    serving,
    user,
)

import ctxtrace

both = pytest.mark.parametrize("tools", [asyncio, ctxtrace], ids=["standard", "ours"])


async def who():
    await asyncio.sleep(0)
    return user()


async def fails():
    await asyncio.sleep(0)
    raise Boom


async def parent():
    await asyncio.sleep(0)
    return has_parent()


async def error_of(awaitable):
    try:
        await awaitable
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


# The parent run.


async def test_control_a_standard_task_that_outlives_its_parent_loses_it(tracer):
    with tracer.run():
        task = asyncio.create_task(parent())
    gc.collect()
    assert await task is False


async def test_a_task_that_outlives_its_parent_keeps_it(tracer):
    with tracer.run():
        task = ctxtrace.create_task(parent())
    gc.collect()
    assert await task is True


async def test_control_standard_gather_loses_the_parent_that_returned(tracer):
    with tracer.run():
        gathered = asyncio.gather(parent(), parent())
    gc.collect()
    assert await gathered == [False, False]


async def test_gather_keeps_the_parent_that_returned(tracer):
    with tracer.run():
        gathered = ctxtrace.gather(parent(), parent())
    gc.collect()
    assert await gathered == [True, True]


def gated(work):
    """Work for a thread that begins when the gate is opened."""
    gate = threading.Event()

    def waiting():
        assert gate.wait(LIMIT)
        return work()

    return waiting, gate


@pytest.mark.parametrize(("tools", "kept"), [(asyncio, False), (ctxtrace, True)])
async def test_a_call_in_a_thread_keeps_the_parent_that_returned_only_with_ours(
    tools, kept, tracer
):
    work, gate = gated(has_parent)

    with tracer.run():
        call = asyncio.ensure_future(tools.to_thread(work))
        await asyncio.sleep(0)
    gc.collect()
    gate.set()
    assert await call is kept


# Context.


@both
async def test_a_task_runs_in_the_context_of_its_creation(tools):
    with serving("ada"):
        task = tools.create_task(who())
    assert await task == "ada"


@both
async def test_what_a_task_sets_is_not_seen_by_its_creator(tools):
    async def sets():
        USER.set("mary")

    with serving("ada"):
        await tools.create_task(sets())
        assert user() == "ada"


# asyncio's create_task() knows context= from 3.11 on. What it means there is what ours means
# everywhere, so these hold for both where there are both.
both_with_context = pytest.mark.parametrize(
    "create_task",
    [asyncio.create_task, ctxtrace.create_task]
    if sys.version_info >= (3, 11)
    else [ctxtrace.create_task],
)


def context_of(name):
    context = contextvars.copy_context()
    context.run(USER.set, name)
    return context


@both_with_context
async def test_context_is_the_very_context_the_task_runs_in(create_task):
    async def sets():
        before = user()
        await asyncio.sleep(0)
        USER.set("mary")
        await asyncio.sleep(0)
        return before, user()

    context = context_of("ada")
    assert await create_task(sets(), context=context) == ("ada", "mary")
    assert (context[USER], user()) == ("mary", "nobody")


@both_with_context
async def test_an_empty_context_is_a_context(create_task):
    context = contextvars.Context()
    with serving("ada"):
        assert await create_task(who(), context=context) == "nobody"


@both_with_context
async def test_two_tasks_may_share_one_context(create_task):
    async def sets():
        USER.set("mary")

    context = context_of("ada")
    await create_task(sets(), context=context)
    assert await create_task(who(), context=context) == "mary"


@both_with_context
async def test_a_task_created_inside_a_task_with_context_has_a_copy(create_task):
    async def outer():
        USER.set("mary")
        return await asyncio.create_task(who())

    assert await create_task(outer(), context=context_of("ada")) == "mary"


@both_with_context
async def test_a_callback_scheduled_inside_a_task_with_context_has_it(create_task):
    seen = asyncio.get_running_loop().create_future()

    async def schedules():
        asyncio.get_running_loop().call_soon(lambda: seen.set_result(user()))

    await create_task(schedules(), context=context_of("ada"))
    assert await seen == "ada"


@both_with_context
async def test_a_done_callback_of_a_task_with_context_has_the_context_of_who_added_it(create_task):
    seen = asyncio.get_running_loop().create_future()
    with serving("grace"):
        task = create_task(who(), context=context_of("ada"))
        task.add_done_callback(lambda _: seen.set_result(user()))
    assert await seen == "grace"


@both_with_context
async def test_a_cancelled_task_with_context_cleans_up_in_it(create_task):
    async def cleans_up():
        try:
            await asyncio.Event().wait()
        finally:
            USER.set("mary")

    context = context_of("ada")
    task = create_task(cleans_up(), context=context)
    await asyncio.sleep(0)
    task.cancel()
    assert isinstance(await error_of(task), asyncio.CancelledError)
    assert context[USER] == "mary"


@both_with_context
async def test_a_task_with_context_is_the_current_one_in_itself(create_task):
    async def current():
        return asyncio.current_task()

    task = create_task(current(), context=context_of("ada"))
    assert await task is task


if sys.version_info >= (3, 11):

    @both_with_context
    async def test_a_task_with_context_gives_its_coroutine(create_task):
        coroutine = who()
        task = create_task(coroutine, context=context_of("ada"))
        assert task.get_coro() is coroutine
        await task

else:

    async def test_a_task_with_context_gives_what_steps_its_coroutine_and_looks_like_it():
        # The C task keeps what it steps, and before 3.11 that cannot be the coroutine itself.
        coroutine = who()
        task = ctxtrace.create_task(coroutine, context=context_of("ada"))
        shown = task.get_coro()
        assert shown is not coroutine
        assert (shown.cr_frame, shown.cr_code) == (coroutine.cr_frame, coroutine.cr_code)
        assert shown.__qualname__ == coroutine.__qualname__
        await task


@both_with_context
async def test_the_repr_and_stack_of_a_task_with_context_show_its_coroutine(create_task):
    task = create_task(who(), name="mine", context=context_of("ada"))
    await asyncio.sleep(0)
    (frame,) = task.get_stack()
    assert (frame.f_code.co_name, "name='mine' coro=<who() running at" in repr(task)) == (
        "who",
        True,
    )
    await task


@both_with_context
async def test_a_task_with_context_that_fails_fails_with_the_users_error(create_task):
    error = await error_of(create_task(fails(), context=context_of("ada")))
    assert isinstance(error, Boom)
    assert frames(error)[-1] == "fails"


async def test_the_parent_of_a_task_with_context_is_the_run_of_that_context(tracer):
    with tracer.run():
        context = contextvars.copy_context()
        task = ctxtrace.create_task(parent(), context=context)
        with_own = ctxtrace.create_task(parent(), context=contextvars.Context())
    gc.collect()
    assert (await task, await with_own) == (True, False)


# As asyncio's.


@both
async def test_the_name_of_a_task_is_the_given_one(tools):
    task = tools.create_task(who(), name="mine")
    assert task.get_name() == "mine"
    await task


@both
async def test_a_task_without_a_name_is_numbered(tools):
    task = tools.create_task(who())
    assert task.get_name().startswith("Task-")
    await task


@both
async def test_a_task_is_a_task_with_its_coroutine_stack_and_repr(tools):
    coroutine = who()
    task = tools.create_task(coroutine, name="mine")
    await asyncio.sleep(0)
    assert type(task) is asyncio.Task
    assert task.get_coro() is coroutine
    assert [frame.f_code.co_name for frame in task.get_stack()] == ["who"]
    assert repr(task).startswith("<Task pending name='mine' coro=<who() running at ")
    await task
    assert repr(task).startswith("<Task finished name='mine' coro=<who() done, defined at ")


@both
async def test_a_task_that_fails_raises_its_error_with_the_standard_traceback(tools):
    error = await error_of(tools.create_task(fails()))
    assert (frames(error), files_of_ours(error)) == (["error_of", "fails"], [])


@both
async def test_a_cancelled_task_is_cancelled(tools):
    task = tools.create_task(asyncio.Event().wait())
    await asyncio.sleep(0)
    task.cancel()
    assert isinstance(await error_of(task), asyncio.CancelledError)
    assert task.cancelled()


@both
async def test_a_finished_task_has_no_callbacks_left_in_its_repr(tools, tracer):
    with tracer.run():
        task = tools.create_task(who())
    await task
    await asyncio.sleep(0)
    assert "cb=" not in repr(task)


@both
def test_a_task_created_outside_a_loop_is_refused(tools):
    coroutine = who()
    with pytest.raises(RuntimeError, match="no running event loop"):
        tools.create_task(coroutine)
    coroutine.close()


@both
async def test_a_task_of_what_is_no_coroutine_is_refused(tools):
    with pytest.raises(TypeError, match="a coroutine was expected, got 42"):
        tools.create_task(42)


@both
async def test_a_keyword_that_asyncio_does_not_know_is_refused(tools):
    coroutine = who()
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        tools.create_task(coroutine, colour="green")
    coroutine.close()


async def test_the_task_factory_of_the_loop_is_asked():
    made = []

    def factory(loop, coroutine, **keywords):
        made.append(asyncio.Task(coroutine, loop=loop, **keywords))
        return made[-1]

    asyncio.get_running_loop().set_task_factory(factory)
    task = ctxtrace.create_task(who())
    await task
    assert made == [task]


async def test_a_task_factory_is_asked_for_a_task_with_context():
    def factory(loop, coroutine, **keywords):
        return asyncio.Task(coroutine, loop=loop, **keywords)

    asyncio.get_running_loop().set_task_factory(factory)
    assert await ctxtrace.create_task(who(), context=context_of("ada")) == "ada"


# Python 3.12 can start a task before create_task() returns.
if sys.version_info >= (3, 12):

    @pytest.fixture
    def eager():
        def make_eager():
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)

        return make_eager

    @both
    async def test_an_eager_task_may_be_done_when_it_is_created(tools, eager, tracer):
        async def at_once():
            return user(), has_parent()

        eager()
        with serving("ada"), tracer.run():
            task = tools.create_task(at_once())
        assert task.done()
        assert task.result() == ("ada", True)

    async def test_an_eager_task_that_waits_keeps_the_parent_that_returned(eager, tracer):
        eager()
        with tracer.run():
            task = ctxtrace.create_task(parent())
        gc.collect()
        assert await task is True

    async def test_an_eager_task_runs_in_the_given_context(eager):
        async def sets():
            before = user()
            USER.set("mary")
            return before

        eager()
        context = context_of("ada")
        assert await ctxtrace.create_task(sets(), context=context) == "ada"
        assert context[USER] == "mary"

    async def test_gather_of_eager_tasks_keeps_the_parent_that_returned(eager, tracer):
        eager()
        with tracer.run():
            gathered = ctxtrace.gather(parent(), parent())
        gc.collect()
        assert await gathered == [True, True]

else:

    def test_there_are_no_eager_tasks_before_3_12():
        assert not hasattr(asyncio, "eager_task_factory")


# gather.


@both
async def test_gather_gives_the_results_in_the_order_of_its_arguments(tools):
    async def after(steps):
        for _ in range(steps):
            await asyncio.sleep(0)
        return steps

    assert await tools.gather(after(3), after(1), after(2)) == [3, 1, 2]


@both
async def test_gather_of_nothing_gives_an_empty_list(tools):
    assert await tools.gather() == []


@both
async def test_gather_awaits_a_coroutine_that_is_given_twice_once(tools):
    coroutine = who()
    with serving("ada"):
        assert await tools.gather(coroutine, who(), coroutine) == ["ada"] * 3


@both
async def test_gather_awaits_a_future_that_is_given_twice_once(tools):
    future = asyncio.get_running_loop().create_future()
    future.set_result(1)
    assert await tools.gather(future, future) == [1, 1]


@both
async def test_gather_takes_tasks_and_other_awaitables(tools):
    class Awaitable:
        def __await__(self):
            return who().__await__()

    with serving("ada"):
        task = tools.create_task(who())
        assert await tools.gather(task, Awaitable(), who()) == ["ada"] * 3


@both
async def test_gather_raises_the_first_error_and_lets_the_others_go_on(tools):
    other = asyncio.ensure_future(who())
    error = await error_of(tools.gather(other, fails()))
    assert isinstance(error, Boom)
    assert await other == "nobody"


@both
async def test_gather_can_give_errors_as_results(tools):
    results = await tools.gather(who(), fails(), return_exceptions=True)
    assert results[0] == "nobody"
    assert isinstance(results[1], Boom)


@both
async def test_a_cancelled_gather_cancels_its_children(tools):
    children = [asyncio.ensure_future(asyncio.Event().wait()) for _ in range(2)]
    gathered = tools.gather(*children)
    await asyncio.sleep(0)
    gathered.cancel()
    assert isinstance(await error_of(gathered), asyncio.CancelledError)
    assert [child.cancelled() for child in children] == [True, True]


@both
async def test_a_cancelled_child_makes_gather_raise_cancelled(tools):
    child = asyncio.ensure_future(asyncio.Event().wait())
    gathered = tools.gather(child, who())
    await asyncio.sleep(0)
    child.cancel()
    assert isinstance(await error_of(gathered), asyncio.CancelledError)


@both
async def test_gather_refuses_what_cannot_be_awaited(tools):
    with pytest.raises(TypeError, match="coroutine or an awaitable is required"):
        tools.gather(42)


@both
async def test_gather_refuses_a_keyword_that_asyncio_does_not_know(tools):
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        tools.gather(colour="green")


@both
def test_gather_of_futures_outside_a_loop_uses_theirs(tools):
    loop = asyncio.new_event_loop()
    try:
        future = loop.create_future()
        future.set_result(1)
        assert loop.run_until_complete(tools.gather(future)) == [1]
    finally:
        loop.close()


@both
def test_gather_of_children_that_are_never_finished_says_nothing_of_them(tools):
    """asyncio.gather() answers for its children, and does not log each of them."""
    said = []

    async def main():
        loop.set_exception_handler(lambda _, context: said.append(context["message"]))
        gathered = tools.gather(waits())
        await asyncio.sleep(0)
        return gathered

    async def waits():
        await loop.create_future()

    loop = asyncio.new_event_loop()
    gathered = loop.run_until_complete(main())
    loop.close()
    del gathered
    gc.collect()
    assert said == []


# Into threads.


async def test_control_loop_run_in_executor_does_not_carry_the_variable(ada):
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(None, user) == "nobody"


async def test_run_in_executor_carries_the_variable(ada):
    assert await ctxtrace.run_in_executor(None, user) == "ada"


async def test_run_in_executor_passes_on_arguments():
    assert await ctxtrace.run_in_executor(None, pow, 2, 3) == 8


@pytest.mark.parametrize(
    "make", [concurrent.futures.ThreadPoolExecutor, ctxtrace.ThreadPoolExecutor]
)
async def test_run_in_executor_carries_the_variable_into_a_given_pool(make, ada):
    with make(1) as pool:
        assert await ctxtrace.run_in_executor(pool, user) == "ada"


async def test_run_in_executor_into_a_foreign_executor_runs_in_the_context_of_the_call():
    executor = InlineExecutor()
    with serving("ada"):
        call = ctxtrace.run_in_executor(executor, user)
    executor.work()
    assert await call == "ada"


async def test_run_in_executor_into_a_wrapped_executor_runs_in_the_context_of_the_call():
    executor = InlineExecutor()
    with serving("ada"):
        call = ctxtrace.run_in_executor(ctxtrace.wrap_executor(executor), user)
    executor.work()
    assert await call == "ada"


async def test_run_in_executor_raises_the_error_of_the_call():
    assert isinstance(await error_of(ctxtrace.run_in_executor(None, fail)), Boom)


def test_run_in_executor_outside_a_loop_is_refused():
    with pytest.raises(RuntimeError, match="no running event loop"):
        ctxtrace.run_in_executor(None, user)


def run_in_executor_of_asyncio(executor, function):
    return asyncio.get_running_loop().run_in_executor(executor, function)


@pytest.mark.parametrize("run_in_executor", [run_in_executor_of_asyncio, ctxtrace.run_in_executor])
async def test_run_in_executor_refuses_a_coroutine_function_in_debug_mode(run_in_executor):
    asyncio.get_running_loop().set_debug(True)
    with pytest.raises(TypeError, match="coroutines cannot be used with run_in_executor"):
        run_in_executor(None, who)


@both
async def test_to_thread_carries_the_variable(tools, ada):
    assert await tools.to_thread(user) == "ada"


@both
async def test_to_thread_passes_on_arguments_of_any_name(tools):
    def target(*args, **kwargs):
        return args, kwargs

    given = await tools.to_thread(target, 1, self=2, fn=3, func=4)
    assert given == ((1,), {"self": 2, "fn": 3, "func": 4})


@both
async def test_to_thread_raises_the_error_of_the_call(tools):
    assert isinstance(await error_of(tools.to_thread(fail)), Boom)


async def test_what_a_call_in_a_thread_sets_is_not_seen_by_its_caller(ada):
    await ctxtrace.to_thread(USER.set, "mary")
    await ctxtrace.run_in_executor(None, USER.set, "mary")
    assert user() == "ada"


async def test_work_in_a_thread_may_run_a_loop_of_its_own(ada):
    assert await ctxtrace.to_thread(lambda: asyncio.run(who())) == "ada"


def test_the_signature_of_to_thread_is_asyncios():
    def parameters(tools):
        signature = inspect.signature(tools.to_thread)
        return [(each.name, each.kind) for each in signature.parameters.values()]

    assert parameters(ctxtrace) == parameters(asyncio)


async def test_a_partial_can_be_called_in_a_thread(ada):
    assert await ctxtrace.run_in_executor(None, functools.partial(user, 1), 2) == "ada"


def test_an_error_in_the_arguments_of_create_task_is_raised_at_the_call():
    assert isinstance(caught(ctxtrace.create_task), TypeError)
