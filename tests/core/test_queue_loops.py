"""serve: each item in a private copy of its sender's context, and errors end no loop."""

from __future__ import annotations

import asyncio
import functools
import logging
import queue
import re
import sys
import threading
import types

import pytest
from core.support import (
    LIMIT,
    OTHER,
    USER,
    Boom,
    caught,
    fail,
    files_of_ours,
    frames,
    has_parent,
    serving,
    user,
)

import ctxtrace

kinds = pytest.mark.parametrize(
    "make", [queue.Queue, queue.SimpleQueue, queue.LifoQueue, queue.PriorityQueue]
)
counting_kinds = pytest.mark.parametrize(
    "make", [queue.Queue, queue.LifoQueue, queue.PriorityQueue]
)
async_kinds = pytest.mark.parametrize(
    "make", [asyncio.Queue, asyncio.LifoQueue, asyncio.PriorityQueue]
)


def filled(*items, make=queue.Queue, sender="ada"):
    """A queue that was told to stop, with what this user put in: serve returns at its end."""
    wrap = ctxtrace.AsyncContextQueue if issubclass(make, asyncio.Queue) else ctxtrace.ContextQueue
    q = wrap(make())
    with serving(sender):
        for item in items:
            q.put_nowait(item)
    q.stop()
    return q


class Ending(BaseException):
    pass


# Contexts.


@kinds
def test_control_what_a_handler_sets_on_a_bare_queue_is_seen_with_the_next_item(make):
    q, seen = make(), []
    q.put(1)
    q.put(2)

    def loop():
        while not q.empty():
            q.get()
            seen.append(OTHER.get())
            OTHER.set("set")

    thread = threading.Thread(target=loop)
    thread.start()
    thread.join(LIMIT)
    assert seen == ["unset", "set"]


@kinds
def test_what_a_handler_sets_is_not_seen_with_the_next_item_nor_by_worker_or_sender(make):
    q, seen = filled(1, 2, make=make), []

    def handler(_):
        seen.append((user(), OTHER.get()))
        USER.set("mary")
        OTHER.set("set")

    q.serve(handler)
    assert (seen, user(), OTHER.get()) == ([("ada", "unset")] * 2, "nobody", "unset")


@async_kinds
async def test_what_an_async_handler_sets_is_not_seen_with_the_next_item_nor_by_the_worker(make):
    q, seen = filled(1, 2, make=make), []

    async def handler(_):
        seen.append((user(), OTHER.get()))
        USER.set("mary")
        await asyncio.sleep(0)
        OTHER.set(user())
        await asyncio.sleep(0)
        seen.append((user(), OTHER.get()))

    await q.serve(handler)
    assert seen == [("ada", "unset"), ("mary", "mary")] * 2
    assert (user(), OTHER.get()) == ("nobody", "unset")


def test_the_workers_own_variables_are_not_seen_by_a_handler():
    q, seen = filled(1, sender="ada"), []
    token = OTHER.set("of the worker")
    q.serve(lambda _: seen.append((user(), OTHER.get())))
    OTHER.reset(token)
    assert seen == [("ada", "unset")]


async def test_the_workers_own_variables_are_not_seen_by_an_async_handler():
    q, seen = filled(1, make=asyncio.Queue), []
    OTHER.set("of the worker")
    await q.serve(lambda _: seen.append((user(), OTHER.get())))
    assert seen == [("ada", "unset")]


def test_a_handler_runs_in_the_thread_that_serves():
    seen = []
    filled(1).serve(lambda _: seen.append(threading.get_ident()))
    assert seen == [threading.get_ident()]


async def test_an_async_handler_runs_in_the_task_that_serves():
    seen = []

    async def handler(_):
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    await filled(1, make=asyncio.Queue).serve(handler)
    assert seen == [asyncio.current_task()]


def test_what_serve_returns_is_nothing():
    assert filled(1).serve(str) is None


async def test_what_async_serve_returns_is_nothing():
    assert await filled(1, make=asyncio.Queue).serve(str) is None


# Handlers of every kind.


class Handlers:
    def __init__(self):
        self.seen = []

    def method(self, item):
        self.seen.append((item, user()))

    async def async_method(self, item):
        await asyncio.sleep(0)
        self.seen.append((item, user()))

    def with_argument(self, argument, item):
        self.seen.append((item, argument))

    async def async_with_argument(self, argument, item):
        await asyncio.sleep(0)
        self.seen.append((item, user() if argument == "ada" else argument))


class Callable(Handlers):
    __call__ = Handlers.method


class AsyncCallable(Handlers):
    async def __call__(self, item):
        await self.async_method(item)


class ReturnsAwaitable(Handlers):
    def __call__(self, item):
        return Awaitable(self.async_method(item))


class Awaitable:
    def __init__(self, coroutine):
        self.coroutine = coroutine

    def __await__(self):
        return self.coroutine.__await__()


def calls(handlers):
    return lambda item: handlers.method(item)


def returns_a_coroutine(handlers):
    return lambda item: handlers.async_method(item)


def returns_a_task(handlers):
    return lambda item: asyncio.ensure_future(handlers.async_method(item))


PLAIN_HANDLERS = [
    (Handlers, lambda handlers: handlers.method),
    (Handlers, calls),
    (Handlers, lambda handlers: functools.partial(handlers.with_argument, "ada")),
    (Handlers, lambda handlers: functools.partial(Handlers.with_argument, handlers, "ada")),
    (Callable, lambda handlers: handlers),
]
ASYNC_HANDLERS = [
    (Handlers, lambda handlers: handlers.async_method),
    (Handlers, returns_a_coroutine),
    (Handlers, returns_a_task),
    (Handlers, lambda handlers: functools.partial(handlers.async_with_argument, "ada")),
    (AsyncCallable, lambda handlers: handlers),
    (ReturnsAwaitable, lambda handlers: handlers),
]


@pytest.mark.parametrize(("make", "handler_of"), PLAIN_HANDLERS)
def test_any_callable_of_one_argument_is_a_handler(make, handler_of):
    handlers = make()
    filled(1).serve(handler_of(handlers))
    assert handlers.seen == [(1, "ada")]


@pytest.mark.parametrize(("make", "handler_of"), [*PLAIN_HANDLERS, *ASYNC_HANDLERS])
async def test_any_callable_plain_or_awaited_is_an_async_handler(make, handler_of):
    handlers = make()
    await filled(1, make=asyncio.Queue).serve(handler_of(handlers))
    assert handlers.seen == [(1, "ada")]


async def test_a_coroutine_made_of_a_generator_is_an_async_handler():
    seen = []

    @types.coroutine
    def handler(item):
        yield
        seen.append((item, user()))

    await filled(1, make=asyncio.Queue).serve(handler)
    assert seen == [(1, "ada")]


def test_a_class_is_a_handler():
    made = []

    class Job:
        def __init__(self, item):
            made.append((item, user()))

        async def __call__(self):
            pass

    filled(1).serve(Job)
    assert made == [(1, "ada")]


# Errors of a handler.


def fails_with_its_item(item):
    raise Boom(item)


async def fails_later_with_its_item(item):
    await asyncio.sleep(0)
    raise Boom(item)


async_failing = pytest.mark.parametrize("handler", [fails_with_its_item, fails_later_with_its_item])


@kinds
def test_on_error_is_given_each_error_in_its_senders_context_and_the_loop_goes_on(make, tracer):
    q, seen = ctxtrace.ContextQueue(make()), []
    for name in ("ada", "grace"):
        with serving(name), tracer.run():
            q.put(name)
    q.stop()
    q.serve(
        fails_with_its_item,
        on_error=lambda error: seen.append((type(error), str(error), user(), has_parent())),
    )
    assert sorted(seen, key=str) == [
        (Boom, "ada", "ada", True),
        (Boom, "grace", "grace", True),
    ]


@async_failing
@pytest.mark.parametrize("is_async", [False, True])
async def test_async_on_error_is_given_each_error_in_its_senders_context(handler, is_async, tracer):
    q, seen = ctxtrace.AsyncContextQueue(asyncio.Queue()), []
    for name in ("ada", "grace"):
        with serving(name), tracer.run():
            await q.put(name)
    q.stop()

    def notes(error):
        seen.append((type(error), str(error), user(), has_parent()))

    async def notes_later(error):
        await asyncio.sleep(0)
        notes(error)

    await q.serve(handler, on_error=notes_later if is_async else notes)
    assert seen == [(Boom, "ada", "ada", True), (Boom, "grace", "grace", True)]


async def test_what_on_error_returns_is_awaited():
    seen = []

    async def notes(error):
        await asyncio.sleep(0)
        seen.append((str(error), user()))

    q = filled("item", make=asyncio.Queue)
    await q.serve(fails_with_its_item, on_error=lambda error: notes(error))
    assert seen == [("item", "ada")]


@pytest.mark.parametrize(
    "error", [Boom, queue.Empty, queue.Full, StopIteration, ValueError, AttributeError]
)
def test_no_error_of_a_handler_ends_the_loop(error):
    def handler(item):
        handled.append(item)
        raise error

    handled, errors = [], []
    filled(1, 2).serve(handler, on_error=errors.append)
    assert (handled, [type(e) for e in errors]) == ([1, 2], [error] * 2)


@pytest.mark.parametrize(
    "error", [Boom, asyncio.QueueEmpty, asyncio.QueueFull, asyncio.TimeoutError, queue.Empty]
)
@pytest.mark.parametrize("later", [False, True])
async def test_no_error_of_an_async_handler_ends_the_loop(error, later):
    async def handler(item):
        handled.append(item)
        if later:
            await asyncio.sleep(0)
        raise error

    handled, errors = [], []
    await filled(1, 2, make=asyncio.Queue).serve(handler, on_error=errors.append)
    assert (handled, [type(e) for e in errors]) == ([1, 2], [error] * 2)


def test_on_error_is_not_called_where_nothing_failed():
    errors = []
    filled(1, 2).serve(str, on_error=errors.append)
    assert errors == []


def given_to_on_error(*handlers):
    errors = []
    for handler in handlers:
        filled(1).serve(handler, on_error=errors.append)
    return errors


def test_the_traceback_of_an_error_starts_in_the_handler():
    (error,) = given_to_on_error(fails_with_its_item)
    assert (files_of_ours(error), frames(error)) == ([], ["fails_with_its_item"])


@async_failing
async def test_the_traceback_of_an_async_error_starts_in_the_handler(handler):
    errors = []
    await filled(1, make=asyncio.Queue).serve(handler, on_error=errors.append)
    assert (files_of_ours(errors[0]), frames(errors[0])) == ([], [handler.__name__])


def test_an_error_keeps_its_cause_and_its_own_context():
    def handler(item):
        try:
            fail()
        except Boom as error:
            raise KeyError(item) from error

    (error,) = given_to_on_error(handler)
    assert (type(error.__cause__), error.__context__) == (Boom, error.__cause__)


def test_an_error_has_no_context_that_the_handler_did_not_make():
    (error,) = given_to_on_error(fails_with_its_item)
    assert error.__context__ is None


def errors_logged(caplog):
    """The types of the errors that were logged, by this logger, at this level."""
    types_logged = []
    for record in caplog.records:
        assert (record.name, record.levelno) == ("ctxtrace", logging.ERROR)
        types_logged.append(re.search(r"It was a (\w+), raised here", record.getMessage())[1])
    return types_logged


def test_without_on_error_each_error_is_logged_and_the_loop_goes_on(caplog):
    filled("first", "second").serve(fails_with_its_item)
    assert errors_logged(caplog) == ["Boom"] * 2


@async_failing
async def test_without_on_error_each_async_error_is_logged_and_the_loop_goes_on(handler, caplog):
    await filled("first", "second", make=asyncio.Queue).serve(handler)
    assert errors_logged(caplog) == ["Boom"] * 2


def test_the_log_does_not_quote_an_error_that_quotes_its_item(caplog):
    filled("secret").serve(fails_with_its_item)
    filled("secret").serve(fails_with_its_item, on_error=fails_with_its_item)
    assert len(caplog.records) == 2
    assert "secret" not in caplog.text
    assert [record.exc_info for record in caplog.records] == [None] * 2


def test_the_log_names_the_handler_and_shows_no_item(caplog):
    def handler(_):
        raise Boom

    filled("secret").serve(handler)
    assert "handler" in caplog.records[0].getMessage()
    assert handler.__qualname__ in caplog.records[0].getMessage()
    assert "secret" not in caplog.text


def test_the_log_shows_no_argument_of_a_partial_handler(caplog):
    def handler(argument, item):
        raise Boom

    filled("secret").serve(functools.partial(handler, "password"))
    assert "secret" not in caplog.text
    assert "password" not in caplog.text


def test_the_log_shows_where_the_handler_failed_and_no_frame_of_ours(caplog):
    filled(1).serve(fails_with_its_item)
    lines = [line for line in caplog.messages[0].splitlines() if line.startswith("  File ")]
    assert len(lines) == 1
    assert lines[0].endswith(" in fails_with_its_item")


def test_an_on_error_that_fails_is_logged_and_the_loop_goes_on(caplog):
    seen = []

    def on_error(error):
        seen.append(str(error))
        raise KeyError

    filled("first", "second").serve(fails_with_its_item, on_error=on_error)
    assert (seen, errors_logged(caplog)) == (["first", "second"], ["KeyError"] * 2)
    assert "on_error" in caplog.records[0].getMessage()


@async_failing
@pytest.mark.parametrize("is_async", [False, True])
async def test_an_async_on_error_that_fails_is_logged_and_the_loop_goes_on(
    handler, is_async, caplog
):
    seen = []

    def on_error(error):
        seen.append(str(error))
        raise KeyError

    async def on_error_later(error):
        await asyncio.sleep(0)
        on_error(error)

    q = filled("first", "second", make=asyncio.Queue)
    await q.serve(handler, on_error=on_error_later if is_async else on_error)
    assert (seen, errors_logged(caplog)) == (["first", "second"], ["KeyError"] * 2)


# What is no Exception.


endings = pytest.mark.parametrize("ending", [Ending, KeyboardInterrupt, SystemExit, GeneratorExit])


@kinds
@endings
@pytest.mark.parametrize("where", ["handler", "on_error"])
def test_what_is_no_exception_ends_the_loop_and_is_raised(make, ending, where):
    q, told = filled(1, 2, make=make), []

    def ends(_):
        raise error

    error = ending()
    if where == "handler":
        raised = caught(q.serve, ends, on_error=told.append)
    else:
        raised = caught(q.serve, fail, on_error=ends)
    assert (raised, told, q.qsize()) == (error, [], 1)


@counting_kinds
@endings
def test_task_done_is_called_for_the_item_that_ended_the_loop(make, ending):
    q = filled(1, 2, make=make)

    def ends(_):
        raise ending

    caught(q.serve, ends)
    assert q.unfinished_tasks == 1


@pytest.mark.parametrize("ending", [Ending, asyncio.CancelledError, GeneratorExit])
@pytest.mark.parametrize("where", ["handler", "on_error"])
async def test_what_is_no_exception_ends_an_async_loop_with_task_done(ending, where):
    q, told = filled(1, 2, make=asyncio.Queue), []

    async def ends(_):
        await asyncio.sleep(0)
        raise ending

    handler, on_error = (ends, told.append) if where == "handler" else (fail, ends)
    try:
        await q.serve(handler, on_error=on_error)
    except BaseException as error:
        raised = type(error)
    q.get_nowait()
    q.task_done()
    await q.join()
    assert (raised, told) == (ending, [])


if sys.version_info >= (3, 11):

    def test_what_ended_the_loop_shows_the_handler_last():
        def ends(_):
            raise Ending

        assert frames(caught(filled(1).serve, ends))[-1] == "ends"


def test_after_a_loop_that_ended_another_one_goes_on():
    q, seen = filled(1, 2, 3), []

    def ends(item):
        seen.append(item)
        raise Ending

    caught(q.serve, ends)
    q.serve(seen.append)
    assert seen == [1, 2, 3]


# task_done and join.


@counting_kinds
def test_task_done_is_called_once_after_each_item(make):
    q, unfinished = filled(1, 2, 3, make=make), []
    q.serve(lambda _: unfinished.append(q.unfinished_tasks))
    assert (unfinished, q.unfinished_tasks) == ([3, 2, 1], 0)


@counting_kinds
def test_task_done_is_called_after_items_that_failed(make):
    q = filled(1, 2, make=make)
    q.serve(fail, on_error=fail)
    assert q.unfinished_tasks == 0


async def test_task_done_is_called_after_on_error():
    q, unfinished = filled(1, make=asyncio.Queue), []

    async def on_error(_):
        joining = asyncio.ensure_future(q.join())
        for _ in range(3):
            await asyncio.sleep(0)
        unfinished.append(not joining.done())

    await q.serve(fail, on_error=on_error)
    await q.join()
    assert unfinished == [True]


# Several at once.


@kinds
def test_any_number_of_threads_serve_one_queue(make):
    q, seen = ctxtrace.ContextQueue(make()), []
    together, handled = threading.Barrier(4), threading.Barrier(5)

    def handler(item):
        together.wait(LIMIT)  # four at once, or this fails
        seen.append((item, user()))
        handled.wait(LIMIT)

    threads = [threading.Thread(target=q.serve, args=(handler,), daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for item in range(8):
        with serving(f"user {item}"):
            q.put(item)
    for _ in range(2):
        handled.wait(LIMIT)
    q.stop()
    for thread in threads:
        thread.join(LIMIT)
    assert sorted(seen) == [(item, f"user {item}") for item in range(8)]


@async_kinds
async def test_any_number_of_tasks_serve_one_queue(make):
    q, seen, inside, gate = ctxtrace.AsyncContextQueue(make()), [], [], asyncio.Event()

    async def handler(item):
        inside.append(item)
        if len(inside) == 4:
            gate.set()
        await gate.wait()
        seen.append((item, user()))

    tasks = [asyncio.ensure_future(q.serve(handler)) for _ in range(4)]
    for item in range(8):
        with serving(f"user {item}"):
            await q.put(item)
    q.stop()
    await asyncio.gather(*tasks)
    assert sorted(seen) == [(item, f"user {item}") for item in range(8)]


def test_a_handler_may_put_into_the_queue_it_serves():
    q, seen = filled(3), []

    def handler(item):
        seen.append((item, user()))
        if item:
            with serving(f"for {item}"):
                q.put(item - 1)

    q.serve(handler)
    assert seen == [(3, "ada"), (2, "for 3"), (1, "for 2"), (0, "for 1")]


def test_a_handler_may_serve_another_queue():
    outer, seen = filled(1, 2), []

    def handler(item):
        inner = filled(item, sender=f"inner {item}")
        inner.serve(lambda item: seen.append((item, user())))
        seen.append(user())

    outer.serve(handler)
    assert seen == [(1, "inner 1"), "ada", (2, "inner 2"), "ada"]


if hasattr(queue, "ShutDown"):

    @counting_kinds
    def test_a_shutdown_of_the_queue_ends_the_loop_after_what_is_there(make):
        q, seen = ctxtrace.ContextQueue(make()), []
        q.put(1)
        q.put(2)
        q.shutdown()
        q.serve(seen.append)
        assert sorted(seen) == [1, 2]

    @counting_kinds
    @pytest.mark.parametrize("immediate", [False, True])
    def test_a_shutdown_of_the_queue_ends_a_loop_at_work(make, immediate):
        q, seen = ctxtrace.ContextQueue(make()), []
        q.put(1)

        def handler(item):
            seen.append(item)
            q.shutdown(immediate)

        q.serve(handler)
        assert (seen, q.unfinished_tasks) == ([1], 0)

    @async_kinds
    async def test_a_shutdown_of_the_queue_ends_the_loops_that_wait(make):
        q = ctxtrace.AsyncContextQueue(make())
        tasks = [asyncio.ensure_future(q.serve(print)) for _ in range(3)]
        await asyncio.sleep(0)
        q.shutdown()
        assert await asyncio.gather(*tasks) == [None] * 3

    @counting_kinds
    def test_a_stop_after_a_shutdown_does_nothing(make):
        q = ctxtrace.ContextQueue(make())
        q.shutdown()
        q.stop()
        q.serve(print)
        assert q.unfinished_tasks == 0
