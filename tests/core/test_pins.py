"""What is pinned is held by the work until it is done, and by nothing else: never the context.

All without the garbage collector: what is not freed at once is part of a cycle.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
import threading
import types

import pytest
from core.support import LIMIT, Boom, InlineExecutor, caught, fail, has_parent, user

import ctxtrace

pytestmark = pytest.mark.usefixtures("no_gc")


def captured(tracer):
    with tracer.run() as run:
        return ctxtrace.capture(), run


# Snapshots.


def test_control_a_run_that_is_dropped_is_freed_at_once(tracer):
    with tracer.run() as run:
        pass
    assert run() is None


def test_control_a_copied_context_does_not_keep_the_run(tracer):
    with tracer.run() as run:
        context = contextvars.copy_context()
    assert (run(), context.run(has_parent)) == (None, False)


def test_a_snapshot_keeps_the_run(tracer):
    snapshot, run = captured(tracer)
    assert run() is not None
    assert snapshot.run(has_parent)


def test_a_dropped_snapshot_frees_the_run_at_once(tracer):
    snapshot, run = captured(tracer)
    del snapshot
    assert run() is None


def test_a_snapshot_that_was_used_in_every_way_frees_the_run_at_once(tracer):
    snapshot, run = captured(tracer)

    async def work():
        return has_parent()

    snapshot.run(user)
    snapshot.wrap(user)()
    asyncio.run(snapshot.drive(work()))
    with snapshot.attach():
        pass
    del snapshot
    assert run() is None


def test_a_dropped_wrapped_function_frees_the_run_at_once(tracer):
    with tracer.run() as run:
        wrapped = ctxtrace.wrap(user)
    assert run() is not None
    del wrapped
    assert run() is None


async def waits():
    await asyncio.sleep(0)


def steps():
    yield has_parent()
    yield has_parent()


async def async_steps():
    yield has_parent()
    yield has_parent()


@pytest.mark.parametrize("kind", [waits, steps, async_steps])
def test_a_dropped_wrapped_function_of_any_kind_frees_the_run_at_once(kind, tracer):
    with tracer.run() as run:
        wrapped = ctxtrace.wrap(kind)
    assert run() is not None
    del wrapped
    assert run() is None


def test_a_snapshot_pins_nothing_where_no_run_is_current(tracer):
    assert ctxtrace.capture()._pins is None


# Generators and coroutines: while their frames live.


def test_a_wrapped_generator_keeps_the_run_until_it_is_closed(tracer):
    with tracer.run() as run:
        generator = ctxtrace.wrap(steps)()
    assert next(generator)
    generator.close()
    assert run() is None


def test_a_wrapped_generator_keeps_the_run_until_it_is_exhausted(tracer):
    with tracer.run() as run:
        generator = ctxtrace.wrap(steps)()
    assert list(generator) == [True, True]
    assert run() is None


# From 3.13 on Python keeps the frame of what is closed before its first step, until the object
# is dropped.


@pytest.mark.parametrize("kind", [waits, steps, async_steps])
def test_what_is_dropped_before_its_first_step_frees_the_run(kind, tracer):
    with tracer.run() as run:
        driven = ctxtrace.wrap(kind)()
    assert run() is not None
    if kind is not async_steps:
        driven.close()
    del driven
    assert run() is None


def test_a_wrapped_generator_that_failed_frees_the_run_while_its_error_is_kept(tracer):
    def fails():
        yield
        raise Boom

    with tracer.run() as run:
        generator = ctxtrace.wrap(fails)()
    error = caught(list, generator)
    assert (type(error), run()) == (Boom, None)


async def test_a_wrapped_async_generator_keeps_the_run_until_it_is_closed(tracer):
    with tracer.run() as run:
        generator = ctxtrace.wrap(async_steps)()
    assert await generator.__anext__()
    await generator.aclose()
    assert run() is None


async def test_a_wrapped_async_generator_keeps_the_run_until_it_is_exhausted(tracer):
    with tracer.run() as run:
        generator = ctxtrace.wrap(async_steps)()
    assert [parent async for parent in generator] == [True, True]
    assert run() is None


async def test_a_wrapped_async_generator_that_failed_frees_the_run_while_its_error_is_kept(tracer):
    async def fails():
        yield
        raise Boom

    with tracer.run() as run:
        generator = ctxtrace.wrap(fails)()
    await generator.__anext__()
    try:
        await generator.__anext__()
    except Boom as error:
        kept = error
    assert (type(kept), run()) == (Boom, None)


@pytest.mark.parametrize("make", [ctxtrace.capture, None], ids=["drive", "wrap"])
def test_a_driven_coroutine_keeps_the_run_until_it_is_done(make, tracer):
    @types.coroutine
    def step():
        yield

    async def work():
        await step()
        return has_parent()

    with tracer.run() as run:
        driven = make().drive(work()) if make else ctxtrace.wrap(work)()
    driven.send(None)
    assert run() is not None
    assert caught(driven.send, None).value is True
    assert run() is None


def test_a_driven_coroutine_that_failed_frees_the_run_while_its_error_is_kept(tracer):
    async def fails():
        raise Boom

    with tracer.run() as run:
        driven = ctxtrace.capture().drive(fails())
    error = caught(driven.send, None)
    assert (type(error), run()) == (Boom, None)


# Errors that are kept, while the snapshot is not.


def test_a_kept_error_of_a_call_frees_the_run(tracer):
    with tracer.run() as run:
        error = caught(lambda: ctxtrace.capture().run(fail))
    assert (type(error), run()) == (Boom, None)


def test_a_kept_error_of_a_wrapped_function_keeps_the_run_until_it_is_dropped(tracer):
    # Through the frame of the wrapped function, which has to know its snapshot.
    with tracer.run() as run:
        error = caught(lambda: ctxtrace.wrap(fail)())
    assert run() is not None
    del error
    assert run() is None


# Pools.


@pytest.fixture
def pool():
    with ctxtrace.ThreadPoolExecutor(1) as pool:
        yield pool


def idle(pool):
    """Wait until the worker has let go of its last call."""
    concurrent.futures.ThreadPoolExecutor.submit(pool, int).result(LIMIT)


@pytest.fixture
def gate(pool):
    """Holds the pool's one worker back until it is set."""
    gate = threading.Event()
    concurrent.futures.ThreadPoolExecutor.submit(pool, gate.wait, LIMIT)
    yield gate
    gate.set()


def test_a_call_that_waits_in_a_pool_keeps_the_run_and_frees_it_when_it_is_done(pool, gate, tracer):
    with tracer.run() as run:
        future = pool.submit(has_parent)
    assert run() is not None
    gate.set()
    assert future.result(LIMIT)
    idle(pool)
    assert run() is None


def test_a_kept_future_that_failed_with_a_kept_error_frees_the_run(pool, gate, tracer):
    with tracer.run() as run:
        future = pool.submit(fail)
    gate.set()
    error = future.exception(LIMIT)
    idle(pool)
    assert (type(error), run()) == (Boom, None)


def test_a_kept_future_whose_callback_is_done_frees_the_run(pool, gate, tracer):
    future = pool.submit(user)
    seen = []

    def callback(_):
        seen.append(has_parent())

    with tracer.run() as run:
        future.add_done_callback(callback)
    assert run() is not None
    gate.set()
    future.result(LIMIT)
    idle(pool)
    assert (seen, run()) == ([True], None)


def test_a_kept_future_whose_callback_failed_with_a_kept_error_frees_the_run(
    pool, gate, tracer, caplog
):
    future = pool.submit(user)
    kept = []

    def callback(_):
        try:
            fail()
        except Boom as error:
            kept.append(error)
            raise

    with tracer.run() as run:
        future.add_done_callback(callback)
    gate.set()
    future.result(LIMIT)
    idle(pool)
    caplog.clear()
    assert (type(kept[0]), run()) == (Boom, None)


def test_a_call_that_was_cancelled_before_it_started_frees_the_run(pool, gate, tracer):
    with tracer.run() as run:
        future = pool.submit(user)
    assert future.cancel()
    gate.set()
    idle(pool)
    assert run() is None


def test_a_call_cancelled_by_shutdown_frees_the_run_at_once(tracer):
    executor = ctxtrace.ThreadPoolExecutor(1)
    gate, inside = threading.Event(), threading.Event()

    def wait():
        inside.set()
        assert gate.wait(LIMIT)

    executor.submit(wait)
    assert inside.wait(LIMIT)
    with tracer.run() as run:
        future = executor.submit(user)
    executor.shutdown(wait=False, cancel_futures=True)
    assert (future.cancelled(), run()) == (True, None)
    gate.set()
    executor.shutdown()


def test_a_pool_that_was_shut_down_frees_the_run_while_its_error_is_kept(tracer):
    executor = ctxtrace.ThreadPoolExecutor(1)
    executor.shutdown()
    with tracer.run() as run:
        error = caught(executor.submit, user)
    assert (type(error), run()) == (RuntimeError, None)


@pytest.mark.parametrize("buffersize", [None, 1])
def test_the_results_of_a_map_free_the_run_when_all_are_taken(pool, buffersize, tracer):
    with tracer.run() as run:
        results = pool.map(has_parent, range(3), buffersize=buffersize)
    assert list(results) == [True] * 3
    idle(pool)
    assert run() is None


@pytest.mark.parametrize("buffersize", [None, 1])
def test_the_results_of_a_map_that_failed_free_the_run_while_the_error_is_kept(
    pool, buffersize, tracer
):
    with tracer.run() as run:
        results = pool.map(fail, range(3), buffersize=buffersize)
    error = caught(list, results)
    idle(pool)
    assert (type(error), run()) == (Boom, None)


@pytest.mark.parametrize("buffersize", [None, 1])
def test_the_results_of_a_map_that_are_dropped_free_the_run(pool, buffersize, tracer):
    with tracer.run() as run:
        results = pool.map(user, range(3), buffersize=buffersize)
    next(results)
    del results
    idle(pool)
    assert run() is None


def test_a_call_in_a_foreign_executor_frees_the_run_when_it_is_done(tracer):
    executor = InlineExecutor()
    with tracer.run() as run:
        future = ctxtrace.wrap_executor(executor).submit(has_parent)
    assert run() is not None
    executor.work()
    assert (future.result(0), run()) == (True, None)


# Threads.


@pytest.mark.parametrize("target", [has_parent, fail])
def test_a_kept_finished_thread_frees_the_run(target, tracer, monkeypatch):
    errors = []
    monkeypatch.setattr(threading, "excepthook", lambda report: errors.append(report.exc_value))
    gate = threading.Event()
    seen = []

    def gated():
        assert gate.wait(LIMIT)
        seen.append(has_parent())
        target()

    with tracer.run() as run:
        thread = ctxtrace.Thread(target=gated)
        thread.start()
    assert run() is not None
    gate.set()
    thread.join(LIMIT)
    assert (seen, run(), len(errors)) == ([True], None, int(target is fail))


def test_a_thread_that_was_not_started_keeps_nothing(tracer):
    with tracer.run() as run:
        thread = ctxtrace.Thread(target=user)
    assert run() is None
    del thread


def test_a_cancelled_timer_frees_the_run(tracer):
    with tracer.run() as run:
        timer = ctxtrace.Timer(LIMIT, user)
        timer.start()
    assert run() is not None
    timer.cancel()
    timer.join(LIMIT)
    assert run() is None


def test_a_kept_timer_that_fired_frees_the_run(tracer):
    seen = []
    with tracer.run() as run:
        timer = ctxtrace.Timer(0, lambda: seen.append(has_parent()))
        timer.start()
    timer.join(LIMIT)
    assert (seen, run()) == ([True], None)


def test_a_thread_whose_start_failed_frees_the_run_while_its_error_is_kept(tracer, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("can't start new thread")

    for name in ("_start_joinable_thread", "_start_new_thread"):
        if hasattr(threading, name):
            monkeypatch.setattr(threading, name, refuse)
    with tracer.run() as run:
        thread = ctxtrace.Thread(target=user)
        error = caught(thread.start)
    assert (type(error), run()) == (RuntimeError, None)


# Tasks.


async def settle():
    """Let the loop's next iteration pass, in which done-callbacks are called."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def parent():
    await asyncio.sleep(0)
    return has_parent()


async def failing():
    await asyncio.sleep(0)
    raise Boom


def with_context(coroutine):
    return ctxtrace.create_task(coroutine, context=contextvars.copy_context())


every_create_task = pytest.mark.parametrize(
    "create_task", [ctxtrace.create_task, with_context], ids=["plain", "context"]
)


@every_create_task
async def test_a_kept_finished_task_frees_the_run(create_task, tracer):
    with tracer.run() as run:
        task = create_task(parent())
    assert run() is not None
    assert await task
    await settle()
    assert run() is None


@every_create_task
async def test_a_kept_task_that_failed_with_a_kept_error_frees_the_run(create_task, tracer):
    with tracer.run() as run:
        task = create_task(failing())
    await asyncio.wait([task])
    await settle()
    assert (type(task.exception()), run()) == (Boom, None)


@every_create_task
async def test_a_kept_cancelled_task_frees_the_run(create_task, tracer):
    with tracer.run() as run:
        task = create_task(asyncio.Event().wait())
    await settle()
    assert run() is not None
    task.cancel()
    await asyncio.wait([task])
    await settle()
    assert (task.cancelled(), run()) == (True, None)


async def test_a_kept_gather_that_is_done_frees_the_run(tracer):
    with tracer.run() as run:
        gathered = ctxtrace.gather(parent(), failing(), return_exceptions=True)
    assert run() is not None
    await gathered
    await settle()
    assert run() is None


async def test_a_kept_task_group_that_is_done_frees_the_run(tracer):
    async with ctxtrace.TaskGroup() as group:
        with tracer.run() as run:
            task = group.create_task(parent())
        assert run() is not None
    await settle()
    assert (task.result(), run()) == (True, None)


async def test_a_task_refused_by_a_finished_group_frees_the_run_while_the_error_is_kept(tracer):
    async with ctxtrace.TaskGroup() as group:
        pass
    coroutine = parent()
    with tracer.run() as run:
        error = caught(group.create_task, coroutine)
    coroutine.close()
    assert (type(error), run()) == (RuntimeError, None)


def to_thread(function):
    return ctxtrace.create_task(ctxtrace.to_thread(function))


def run_in_executor(function):
    return ctxtrace.run_in_executor(None, function)


async def all_workers_are_done():
    """A worker lets go of a call after it has set its result."""
    await asyncio.get_running_loop().shutdown_default_executor()


into_threads = pytest.mark.parametrize("into_thread", [to_thread, run_in_executor])


@into_threads
async def test_a_call_in_a_thread_frees_the_run_when_it_is_done(into_thread, tracer):
    gate = threading.Event()

    def gated():
        assert gate.wait(LIMIT)
        return has_parent()

    with tracer.run() as run:
        call = into_thread(gated)
        await asyncio.sleep(0)
    assert run() is not None
    gate.set()
    assert await call
    await settle()
    await all_workers_are_done()
    assert run() is None


@into_threads
async def test_a_call_in_a_thread_that_nobody_waits_for_keeps_the_run_until_it_is_done(
    into_thread, tracer
):
    gate, inside, seen = threading.Event(), threading.Event(), []

    def gated():
        inside.set()
        assert gate.wait(LIMIT)
        seen.append(has_parent())

    with tracer.run() as run:
        call = into_thread(gated)
        await asyncio.sleep(0)
    assert inside.wait(LIMIT)
    call.cancel()
    await asyncio.wait([call])
    del call
    await settle()
    assert run() is not None
    gate.set()
    await all_workers_are_done()
    assert (seen, run()) == ([True], None)


# Never the value of a context variable.


def keep_context(kept):
    kept.append(contextvars.copy_context())
    return has_parent()


CROSSINGS = {
    "run": lambda work: ctxtrace.capture().run(work),
    "wrap": lambda work: ctxtrace.wrap(work)(),
    "generator": lambda work: in_a_generator(work),
    "submit": lambda work: in_a_pool(lambda pool: pool.submit(work).result(LIMIT)),
    "map": lambda work: in_a_pool(lambda pool: next(pool.map(lambda _: work(), [0]))),
    "thread": lambda work: in_a_thread(ctxtrace.Thread, None, work),
    "timer": lambda work: in_a_thread(ctxtrace.Timer, 0, work),
    "create_task": lambda work: asyncio.run(in_a_task(ctxtrace.create_task, work)),
    "create_task with context": lambda work: asyncio.run(in_a_task(with_context, work)),
    "to_thread": lambda work: asyncio.run(ctxtrace.to_thread(work)),
    "attach": lambda work: attached(work),
}


def in_a_generator(work):
    def generator():
        yield work()

    (result,) = ctxtrace.wrap(generator)()
    return result


def in_a_pool(use):
    with ctxtrace.ThreadPoolExecutor(1) as pool:
        return use(pool)


def in_a_thread(make, argument, work):
    seen = []
    thread = make(argument, lambda: seen.append(work()))
    thread.start()
    thread.join(LIMIT)
    return seen[0]


async def in_a_task(create_task, work):
    async def coroutine():
        return work()

    return await create_task(coroutine())


def attached(work):
    with ctxtrace.capture().attach():
        return work()


@pytest.mark.parametrize("cross", CROSSINGS.values(), ids=CROSSINGS.keys())
def test_a_context_kept_by_the_work_keeps_no_run(cross, tracer):
    kept = []
    with tracer.run() as run:
        assert cross(lambda: keep_context(kept))
    assert (len(kept), run()) == (1, None)


@pytest.mark.parametrize("cross", CROSSINGS.values(), ids=CROSSINGS.keys())
def test_no_value_in_the_context_of_the_work_refers_to_the_run(cross, tracer):
    values = []

    def look():
        values.extend(contextvars.copy_context().values())

    with tracer.run() as run:
        cross(look)
        referred = [value for value in values if run() in gc.get_referents(value)]
    assert referred == []
