"""What cannot work is refused with a TypeError: which object, why, and what to do instead."""

from __future__ import annotations

import concurrent.futures
import contextlib
import re
import warnings

import pytest
from core.support import WeakTracer, user

import ctxtrace


async def work():
    pass


@contextlib.contextmanager
def refused(thing, *texts):
    with pytest.raises(TypeError) as raised:
        yield
    text = str(raised.value)
    for expected in (repr(thing), *texts):
        assert expected in text
    assert text.endswith(".")


@contextlib.contextmanager
def a_coroutine():
    coroutine = work()
    yield coroutine
    coroutine.close()


def test_wrap_refuses_what_cannot_be_called():
    with refused(42, "wrap() takes a callable", "pass the function itself"):
        ctxtrace.wrap(42)


def test_snapshot_wrap_refuses_what_cannot_be_called():
    with refused(42, "Snapshot.wrap() takes a callable", "pass the function itself"):
        ctxtrace.capture().wrap(42)


def test_snapshot_run_refuses_what_cannot_be_called():
    with refused(42, "Snapshot.run() takes a callable", "pass the function itself"):
        ctxtrace.capture().run(42)


def test_wrap_refuses_a_coroutine_and_says_how_to_drive_it():
    with a_coroutine() as coroutine, refused(coroutine, "capture().drive(coroutine)"):
        ctxtrace.wrap(coroutine)


def test_drive_refuses_what_cannot_be_awaited():
    with refused(42, "Snapshot.drive() takes an awaitable", "pass a coroutine or a future"):
        ctxtrace.capture().drive(42)


def test_drive_refuses_a_coroutine_function_that_was_not_called():
    with refused(work, "cannot be awaited", "call it first"):
        ctxtrace.capture().drive(work)


@pytest.mark.parametrize("thing", [object(), user, 42, None])
def test_wrap_executor_refuses_what_is_no_executor(thing):
    with refused(thing, "takes a concurrent.futures.Executor", "ctxtrace.wrap()"):
        ctxtrace.wrap_executor(thing)


def test_register_carrier_refuses_what_is_no_carrier():
    thing = object()
    with refused(thing, "has no name, pin, clear, variables", "subclassing ctxtrace.Carrier"):
        ctxtrace.register_carrier(thing)


def test_register_carrier_refuses_a_class():
    with refused(WeakTracer, "is a class", "Pass an instance"):
        ctxtrace.register_carrier(WeakTracer)


def test_register_carrier_says_which_methods_are_missing():
    class Half:
        name = "half"

        def clear(self):
            pass

    half = Half()
    with refused(half, "has no pin, variables"):
        ctxtrace.register_carrier(half)


async def test_create_task_refuses_a_coroutine_function_that_was_not_called():
    with refused(work, "a function that was not called", "Write create_task(work(...))"):
        ctxtrace.create_task(work)


async def test_a_task_group_refuses_a_coroutine_function_that_was_not_called():
    with pytest.raises(BaseException) as raised:  # noqa: PT011, PT012 - a group of the error below
        async with ctxtrace.TaskGroup() as group:
            with refused(work, "a function that was not called", "create_task(work(...))"):
                group.create_task(work)
            raise KeyError
    assert [type(error) for error in raised.value.exceptions] == [KeyError]


@pytest.mark.parametrize("thing", [{}, 42, "context"])
async def test_create_task_refuses_what_is_no_context(thing):
    with a_coroutine() as coroutine, refused(thing, "contextvars.Context", "copy_context()"):
        ctxtrace.create_task(coroutine, context=thing)


async def test_a_task_group_refuses_what_is_no_context():
    async with ctxtrace.TaskGroup() as group:
        with a_coroutine() as coroutine, refused({}, "contextvars.Context", "copy_context()"):
            group.create_task(coroutine, context={})


def test_detached_refuses_to_be_a_bare_decorator():
    with refused(user, "context managers, not decorators", "'with ...:' inside the function"):
        ctxtrace.detached(user)


def test_detached_refuses_to_be_a_called_decorator():
    with refused(user, "context managers, not decorators", "'with ...:' inside the function"):
        ctxtrace.detached()(user)


def test_attach_refuses_to_be_a_decorator():
    with refused(user, "context managers, not decorators", "'with ...:' inside the function"):
        ctxtrace.capture().attach()(user)


def process_pool():
    return concurrent.futures.ProcessPoolExecutor(1)


def test_wrap_executor_refuses_a_process_pool():
    with process_pool() as pool, refused(pool, "a context cannot leave its interpreter"):
        ctxtrace.wrap_executor(pool)


def test_wrap_executor_refuses_a_subclass_of_a_process_pool():
    class Own(concurrent.futures.ProcessPoolExecutor):
        pass

    with Own(1) as pool, refused(pool, "Submit to it directly"):
        ctxtrace.wrap_executor(pool)


async def test_run_in_executor_refuses_a_process_pool():
    with process_pool() as pool, refused(pool, "run_in_executor() cannot carry a context into"):
        ctxtrace.run_in_executor(pool, user)


def test_the_errors_of_a_name_that_does_not_exist_name_it():
    with pytest.raises(AttributeError, match=re.escape("'ctxtrace' has no attribute 'wrapp'")):
        _ = ctxtrace.wrapp


def test_a_refused_coroutine_function_leaves_no_coroutine_behind():
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with pytest.raises(TypeError):
            ctxtrace.wrap(None)
    assert said == []
