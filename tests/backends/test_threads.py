"""What anyio carries between threads and loops by itself, and where it lacks the pin."""

from __future__ import annotations

import gc
import threading

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from backends.support import turns
from core.support import LIMIT, current_run, has_parent, serving, user

import ctxtrace


async def auser():
    await turns()
    return user()


async def ahas_parent():
    await turns()
    return has_parent()


# Nothing of ours is needed for these.


async def test_a_thread_of_anyio_has_the_context():
    with serving("ada"):
        assert await anyio.to_thread.run_sync(user) == "ada"


async def test_a_thread_of_anyio_finds_the_run_that_waits_for_it(tracer):
    with tracer.run() as run:
        assert await anyio.to_thread.run_sync(current_run) is run()


async def test_a_thread_of_anyio_started_in_a_task_of_ours_finds_the_parent_that_returned(tracer):
    seen = []
    gate = anyio.Event()

    async def child():
        await gate.wait()
        seen.append(await anyio.to_thread.run_sync(has_parent))

    async with ctxtrace.create_task_group() as group:
        with tracer.run():
            group.start_soon(child)
        gc.collect()
        gate.set()
    assert seen == [True]


@pytest.mark.parametrize("call", ["run", "run_sync"])
async def test_what_a_thread_calls_in_the_loop_has_the_context(call):
    def in_a_thread():
        if call == "run":
            return anyio.from_thread.run(auser)
        return anyio.from_thread.run_sync(user)

    with serving("ada"):
        assert await anyio.to_thread.run_sync(in_a_thread) == "ada"


@pytest.mark.parametrize("call", ["run", "run_sync"])
async def test_what_a_thread_calls_in_the_loop_has_what_the_thread_set(call):
    def in_a_thread():
        with serving("eve"):
            if call == "run":
                return anyio.from_thread.run(auser)
            return anyio.from_thread.run_sync(user)

    with serving("ada"):
        assert await anyio.to_thread.run_sync(in_a_thread) == "eve"


@pytest.mark.parametrize("call", ["run", "run_sync"])
async def test_what_a_thread_calls_in_the_loop_finds_the_run_of_the_thread(call, tracer):
    def in_a_thread():
        with tracer.run():
            if call == "run":
                return anyio.from_thread.run(ahas_parent)
            return anyio.from_thread.run_sync(has_parent)

    assert await anyio.to_thread.run_sync(in_a_thread) is True


@pytest.mark.parametrize("function", [user, auser])
def test_a_call_through_a_portal_has_the_context(function, backend):
    with start_blocking_portal(**backend) as portal, serving("ada"):
        assert portal.call(function) == "ada"


@pytest.mark.parametrize("function", [user, auser])
def test_a_task_of_a_portal_has_the_context(function, backend):
    with start_blocking_portal(**backend) as portal, serving("ada"):
        assert portal.start_task_soon(function).result(LIMIT) == "ada"


@pytest.mark.parametrize("function", [has_parent, ahas_parent])
def test_a_call_through_a_portal_finds_the_run_that_waits_for_it(function, backend, tracer):
    with start_blocking_portal(**backend) as portal, tracer.run():
        assert portal.call(function) is True


async def test_a_portal_of_a_running_loop_has_the_context_of_the_thread(tracer):
    def in_a_thread(portal):
        with serving("eve"), tracer.run():
            return portal.call(auser), portal.call(ahas_parent)

    async with BlockingPortal() as portal:
        assert await anyio.to_thread.run_sync(in_a_thread, portal) == ("eve", True)


def test_a_task_started_through_a_portal_with_started_has_the_context(backend):
    async def child(*, task_status):
        task_status.started(user())
        return await auser()

    with start_blocking_portal(**backend) as portal, serving("ada"):
        future, value = portal.start_task(child)
        assert (value, future.result(LIMIT)) == ("ada", "ada")


# Where nobody waits, nobody keeps the run: ctxtrace.wrap() around what is run.


async def abandon(tracer, wrap):
    seen = []
    begun, gate, done = threading.Event(), threading.Event(), threading.Event()

    def work():
        begun.set()
        assert gate.wait(LIMIT)
        seen.append(has_parent())
        done.set()

    async def request(scope):
        with tracer.run(), scope:
            await anyio.to_thread.run_sync(wrap(work), abandon_on_cancel=True)

    async with anyio.create_task_group() as group:
        scope = anyio.CancelScope()
        group.start_soon(request, scope)
        await anyio.to_thread.run_sync(begun.wait, LIMIT)
        scope.cancel()
    del request
    gc.collect()
    gate.set()
    assert done.wait(LIMIT)
    return seen


async def test_control_an_abandoned_thread_loses_the_parent_that_returned(tracer):
    assert await abandon(tracer, lambda function: function) == [False]


async def test_a_wrapped_function_in_an_abandoned_thread_keeps_the_parent(tracer):
    assert await abandon(tracer, ctxtrace.wrap) == [True]


async def late_in_a_portal(portal, gate):
    await gate.wait()
    return has_parent()


def a_task_of_a_portal_that_outlives_its_run(backend, tracer, wrap):
    with start_blocking_portal(**backend) as portal:
        gate = portal.call(anyio.Event)
        with tracer.run():
            future = portal.start_task_soon(wrap(late_in_a_portal), portal, gate)
        gc.collect()
        portal.call(gate.set)
        return future.result(LIMIT)


def test_control_a_task_of_a_portal_loses_the_parent_that_returned(backend, tracer):
    def bare(function):
        return function

    assert a_task_of_a_portal_that_outlives_its_run(backend, tracer, bare) is False


def test_a_wrapped_function_in_a_task_of_a_portal_keeps_the_parent(backend, tracer):
    assert a_task_of_a_portal_that_outlives_its_run(backend, tracer, ctxtrace.wrap) is True


def test_the_parent_is_freed_when_the_task_of_a_portal_is_done(backend, tracer):
    with start_blocking_portal(**backend) as portal:
        with tracer.run() as run:
            future = portal.start_task_soon(ctxtrace.wrap(ahas_parent))
        assert future.result(LIMIT) is True
        portal.call(turns)
        gc.collect()
        assert run() is None
