"""install() before Python 3.11: asyncio's create_task takes a context, as later Pythons' does."""

from __future__ import annotations

import asyncio
import asyncio.base_events
import contextvars
import inspect
import sys

import pytest
from core.support import USER, Boom, caught, files_of_ours, serving, user

import ctxtrace


@pytest.fixture
def installed():
    with ctxtrace.install() as installation:
        yield installation


def by_asyncio(*args, **kwargs):
    return asyncio.create_task(*args, **kwargs)


def by_its_module(*args, **kwargs):
    return asyncio.tasks.create_task(*args, **kwargs)


def by_the_loop(*args, **kwargs):
    return asyncio.get_running_loop().create_task(*args, **kwargs)


WAYS = [by_asyncio, by_its_module, by_the_loop]
each = pytest.mark.parametrize("create_task", WAYS, ids=lambda way: way.__name__)


def adas():
    context = contextvars.copy_context()
    context.run(USER.set, "ada")
    return context


async def who():
    await asyncio.sleep(0)
    return user()


async def rename(name):
    USER.set(name)
    await asyncio.sleep(0)
    return user()


async def fails():
    await asyncio.sleep(0)
    raise Boom


async def error_of(awaitable):
    try:
        await awaitable
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


PLACES = [
    (asyncio, "create_task"),
    (asyncio.tasks, "create_task"),
    (asyncio.base_events.BaseEventLoop, "create_task"),
]


def what_stands_there():
    return [vars(owner)[name] for owner, name in PLACES]


def states(installation):
    return {site.target: site.state for site in installation.sites if site.name == "asyncio"}


# On every Python, under install().


@each
async def test_a_task_runs_in_the_very_context_it_is_given(installed, create_task):
    context = adas()
    assert await create_task(who(), context=context) == "ada"
    assert await create_task(rename("bob"), context=context) == "bob"
    assert (context[USER], user()) == ("bob", "nobody")


@each
@pytest.mark.parametrize("given", [{}, {"context": None}], ids=["none", "context=None"])
async def test_a_task_without_a_context_runs_in_a_copy_of_the_current_one(
    installed, create_task, given
):
    with serving("ada"):
        task = create_task(who(), **given)
        assert await create_task(rename("bob"), **given) == "bob"
    assert (await task, user()) == ("ada", "nobody")


@each
async def test_tasks_at_once_may_share_a_context(installed, create_task):
    context = adas()
    tasks = [create_task(rename(name), context=context) for name in ("bob", "cleo")]
    assert await asyncio.gather(*tasks) == ["cleo", "cleo"]


@each
async def test_a_callback_that_the_task_schedules_runs_in_its_context(installed, create_task):
    seen = asyncio.get_running_loop().create_future()

    async def schedule():
        asyncio.get_running_loop().call_soon(lambda: seen.set_result(user()))

    await create_task(schedule(), context=adas())
    assert await seen == "ada"


@each
async def test_a_task_starts_its_own_tasks_in_its_context(installed, create_task):
    async def start():
        return await asyncio.create_task(who())

    assert await create_task(start(), context=adas()) == "ada"


@each
async def test_a_task_in_a_context_has_its_name_and_is_the_current_one(installed, create_task):
    async def current():
        return asyncio.current_task()

    task = create_task(current(), name="mine", context=adas())
    assert task.get_name() == "mine"
    assert await task is task


@each
async def test_cancelling_a_task_in_a_context_reaches_its_coroutine(installed, create_task):
    reached = []
    started = asyncio.Event()

    async def waits():
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            reached.append(user())

    task = create_task(waits(), context=adas())
    await started.wait()
    task.cancel()
    assert isinstance(await error_of(task), asyncio.CancelledError)
    assert reached == ["ada"]


@each
async def test_an_error_of_a_task_in_a_context_shows_nothing_of_ours(installed, create_task):
    error = await error_of(create_task(fails(), context=adas()))
    assert isinstance(error, Boom)
    assert [line for line in files_of_ours(error) if "create_task" in line] == []


@each
async def test_what_is_no_coroutine_is_refused_in_asyncios_words(installed, create_task):
    error = caught(create_task, 5, context=adas())
    assert (type(error), str(error)) == (TypeError, "a coroutine was expected, got 5")


@each
async def test_an_unknown_keyword_is_refused(installed, create_task):
    coro = who()
    with pytest.raises(TypeError, match="'colour'"):
        create_task(coro, colour="green", context=adas())
    coro.close()


@each
async def test_a_task_factory_makes_the_tasks_in_a_context_too(installed, create_task):
    made = []

    def factory(loop, coro, **kwargs):
        made.append(asyncio.Task(coro, loop=loop, **kwargs))
        return made[-1]

    asyncio.get_running_loop().set_task_factory(factory)
    task = create_task(who(), name="mine", context=adas())
    assert made == [task]
    assert (task.get_name(), await task) == ("mine", "ada")


def test_without_a_loop_it_is_asyncios_error(installed):
    coro = who()
    error = caught(asyncio.create_task, coro, context=adas())
    assert (type(error), str(error)) == (RuntimeError, "no running event loop")
    coro.close()


@pytest.mark.parametrize(("owner", "name"), PLACES)
def test_the_signature_shows_the_context(installed, owner, name):
    function = getattr(owner, name)
    parameter = inspect.signature(function).parameters["context"]
    assert (parameter.kind, parameter.default) == (inspect.Parameter.KEYWORD_ONLY, None)
    assert function.__name__ == "create_task"
    assert not inspect.iscoroutinefunction(function)


def test_after_uninstall_all_is_identical_to_what_it_was():
    before = what_stands_there()
    ctxtrace.install().uninstall()
    assert all(now is then for now, then in zip(what_stands_there(), before))


if sys.version_info >= (3, 11):

    def test_nothing_is_changed_where_tasks_take_a_context_themselves():
        before = what_stands_there()
        with ctxtrace.install() as installation:
            assert all(now is then for now, then in zip(what_stands_there(), before))
            assert set(states(installation).values()) == {"not needed"}

else:

    @each
    async def test_control_without_install_no_task_takes_a_context(create_task):
        coro = who()
        with pytest.raises(TypeError, match="unexpected keyword argument 'context'"):
            create_task(coro, context=adas())
        coro.close()

    @pytest.mark.parametrize(("owner", "name"), PLACES)
    def test_control_without_install_no_signature_shows_a_context(owner, name):
        assert "context" not in inspect.signature(getattr(owner, name)).parameters

    def test_asyncio_is_patched(installed):
        state = states(installed)
        assert state["asyncio.create_task"] == "patched"
        assert state["asyncio.base_events.BaseEventLoop.create_task"] == "patched"
        assert asyncio.tasks.create_task is asyncio.create_task

    @each
    @pytest.mark.parametrize("context", [5, {}, "ada"])
    async def test_what_is_no_context_is_refused(installed, create_task, context):
        coro = who()
        with pytest.raises(TypeError, match=r"takes a contextvars\.Context, and got context="):
            create_task(coro, context=context)
        coro.close()

    def test_a_loop_that_knows_of_no_context_runs_a_task_in_one(installed):
        class Loop(asyncio.SelectorEventLoop):
            def create_task(self, coro, *, name=None):
                return super().create_task(coro, name=name)

        async def main():
            return await asyncio.create_task(who(), context=adas())

        loop = Loop()
        try:
            assert loop.run_until_complete(main()) == "ada"
        finally:
            loop.close()

    async def test_a_task_ends_in_its_context_after_uninstall():
        with ctxtrace.install():
            task = asyncio.create_task(who(), context=adas())
        assert await task == "ada"

    async def test_what_took_our_create_task_by_name_goes_on_taking_a_context():
        with ctxtrace.install():
            create_task = asyncio.create_task
        assert await create_task(who(), name="mine", context=adas()) == "ada"

    async def test_switched_off_by_name_it_leaves_asyncio_alone():
        before = what_stands_there()
        with ctxtrace.install(skip=["asyncio"]):
            assert all(now is then for now, then in zip(what_stands_there(), before))
