"""Threads that serve many requests start empty under install().

Each kind starts its worker while ada is served, lazily, as libraries do. It returns a function
to be called while grace is served, that tells whom the worker itself sees.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging.handlers
import multiprocessing
import multiprocessing.pool
import queue
import socketserver
import threading

import pytest
from core.support import LIMIT, as_seen_by_the_next_request, user

import ctxtrace
from ctxtrace.patches import _callers, threads

# What is called through these sees the context of the worker and nothing else.
submit = concurrent.futures.ThreadPoolExecutor.submit
apply_async = multiprocessing.pool.Pool.apply_async
imap = multiprocessing.pool.Pool.imap


def in_(pool):
    return lambda: submit(pool, user).result(LIMIT)


def worker_of_an_executor(stack, sees="ada"):
    pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(1))
    assert pool.submit(user).result(LIMIT) == sees
    return in_(pool)


def worker_of_our_executor(stack):
    pool = stack.enter_context(ctxtrace.ThreadPoolExecutor(1))
    assert pool.submit(user).result(LIMIT) == "ada"
    return in_(pool)


def initializer_of_an_executor(stack):
    seen = []
    pool = stack.enter_context(
        concurrent.futures.ThreadPoolExecutor(1, initializer=lambda: seen.append(user()))
    )
    assert pool.submit(user).result(LIMIT) == "ada"
    return seen.pop


def worker_of_a_loops_default_executor(stack):
    loop = asyncio.new_event_loop()
    stack.callback(loop.close)
    stack.callback(lambda: loop.run_until_complete(loop.shutdown_default_executor()))

    async def main():
        return await loop.run_in_executor(None, user)

    assert loop.run_until_complete(main()) == "ada"
    return in_(loop._default_executor)


def worker_of_a_thread_pool(stack, sees="ada"):
    pool = stack.enter_context(multiprocessing.pool.ThreadPool(1))
    assert pool.apply(user) == sees
    return lambda: apply_async(pool, user).get(LIMIT)


def task_handler_of_a_thread_pool(stack):
    pool = stack.enter_context(multiprocessing.pool.ThreadPool(1))

    def items():
        yield user()

    return lambda: next(imap(pool, str, items()))


def result_handler_of_a_thread_pool(stack):
    pool = stack.enter_context(multiprocessing.pool.ThreadPool(1))
    seen = queue.Queue()

    def look():
        apply_async(pool, user, callback=lambda _: seen.put(user()))
        return seen.get(timeout=LIMIT)

    return look


def queue_listener(stack):
    seen, records = queue.Queue(), queue.Queue()

    class Handler(logging.Handler):
        def emit(self, record):
            seen.put(user())

    listener = logging.handlers.QueueListener(records, Handler())
    listener.start()
    stack.callback(listener.stop)

    def look():
        logging.handlers.QueueHandler(records).handle(logging.makeLogRecord({"msg": "of grace"}))
        return seen.get(timeout=LIMIT)

    return look


def request_thread_of_a_server(stack):
    seen = queue.Queue()

    class Server(socketserver.ThreadingMixIn, socketserver.BaseServer):
        def finish_request(self, request, client_address):
            seen.put(user())

    server = Server(("", 0), None)
    stack.callback(server.server_close)
    server.process_request(None, None)
    return lambda: seen.get(timeout=LIMIT)


def feeder_of_a_process_queue(stack):
    items = multiprocessing.get_context("spawn").Queue()
    stack.callback(items.join_thread)
    stack.callback(items.close)
    seen = queue.Queue()

    class Item:
        def __reduce__(self):  # called by who pickles it, and that is the feeder
            seen.put(user())
            return (int, ())

    def look():
        items.put(Item())
        assert items.get(timeout=LIMIT) == 0
        return seen.get(timeout=LIMIT)

    look()
    return look


KINDS = {
    "worker of an executor": worker_of_an_executor,
    "worker of our executor": worker_of_our_executor,
    "initializer of an executor": initializer_of_an_executor,
    "worker of a loop's default executor": worker_of_a_loops_default_executor,
    "worker of a ThreadPool": worker_of_a_thread_pool,
    "task handler of a ThreadPool": task_handler_of_a_thread_pool,
    "result handler of a ThreadPool": result_handler_of_a_thread_pool,
    "QueueListener": queue_listener,
    "request thread of a server": request_thread_of_a_server,
    "feeder of a multiprocessing.Queue": feeder_of_a_process_queue,
}

every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)

# Where somebody has every thread carry, and ours with them, a call is still submitted in an
# empty context.
SUBMITS = (worker_of_an_executor, worker_of_our_executor, initializer_of_an_executor)
STARTS = {
    name: kind
    for name, kind in KINDS.items()
    if kind not in (*SUBMITS, worker_of_a_loops_default_executor)
}


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        yield stack


@every_kind
def test_a_worker_shows_nothing_of_the_request_that_started_it(kind, stack):
    with ctxtrace.install():
        assert as_seen_by_the_next_request(kind, stack) == "nobody"


@pytest.mark.parametrize("kind", STARTS.values(), ids=STARTS)
def test_control_if_every_thread_carried_a_worker_would_show_the_request(kind, stack, monkeypatch):
    monkeypatch.setattr(threads, "serves_many", lambda *_: False)
    with ctxtrace.install():
        assert as_seen_by_the_next_request(kind, stack) == "ada"


@pytest.mark.parametrize("variables", ["all", "trace"])
@pytest.mark.parametrize("kind", [worker_of_an_executor, worker_of_a_thread_pool])
def test_a_worker_keeps_no_run_of_the_request_that_started_it(kind, variables, stack, ada, tracer):
    sees = ada if variables == "all" else "nobody"
    with ctxtrace.install(variables=variables), tracer.run() as run:
        look = kind(stack, sees)
    look()  # when the worker takes this up, it has let go of what it did before
    assert run() is None


# Who starts it, by the name of the module.


def start_from(*modules):
    """Whom a thread sees whose start() is called by these modules, from the outside in."""
    seen = []
    thread = threading.Thread(target=lambda: seen.append(user()))
    call = thread.start
    for module in reversed(modules):
        call = made_in(module, call)
    call()
    thread.join(LIMIT)
    return seen[0]


def made_in(module, call):
    scope = {"__name__": module, "call": call}
    exec("def function():\n    call()", scope)
    return scope["function"]


@pytest.mark.parametrize("package", _callers.INFRASTRUCTURE)
def test_a_thread_that_a_package_of_the_list_starts_is_empty(package, ada):
    with ctxtrace.install():
        assert start_from(package) == "nobody"
        assert start_from(f"{package}.deep.inside") == "nobody"
        assert start_from(f"{package}s") == "ada"


@pytest.mark.parametrize(
    "modules",
    [
        ("application",),
        ("__main__",),
        ("application", "contextlib"),
        ("application", "functools", "unittest.mock"),
        ("logging", "application"),
        ("asyncio.events", "application", "contextlib"),
        ("application", "multiprocessing.dummy"),
        ("application", "opentelemetry.instrumentation.threading"),
        ("application", "wrapt.wrappers"),
        ("application", "ddtrace.contrib.internal.threading.patch", "wrapt"),
        ("application", "sentry_sdk.integrations.threading"),
        (1,),
        (None,),
    ],
)
def test_the_first_caller_outside_the_standard_library_decides_for(modules, ada):
    with ctxtrace.install():
        assert start_from(*modules) == "ada"


@pytest.mark.parametrize(
    "modules",
    [
        ("application", "logging.handlers"),
        ("application", "concurrent.futures.process"),
        ("application", "asyncio.unix_events"),
        ("application", "logging", "contextlib"),
        ("anyio.from_thread", "contextlib"),
        ("multiprocessing.pool", "multiprocessing.dummy"),
        ("opentelemetry.sdk.trace.export", "opentelemetry.instrumentation.threading"),
        ("opentelemetry.instrumentation.logging",),
        ("sentry_sdk.worker", "sentry_sdk.integrations.threading"),
    ],
)
def test_the_first_caller_outside_the_standard_library_decides_against(modules, ada):
    with ctxtrace.install():
        assert start_from(*modules) == "nobody"


def test_a_thread_that_only_the_standard_library_starts_is_empty(installed_ada):
    seen, done = [], threading.Event()

    def work():
        seen.append(user())
        done.set()

    inner = threading.Thread(target=work)
    outer = threading.Thread(target=inner.start)
    outer.start()
    assert done.wait(LIMIT)
    outer.join(LIMIT)
    inner.join(LIMIT)
    assert seen == ["nobody"]


@pytest.fixture
def installed_ada(ada):
    with ctxtrace.install():
        yield


def test_the_user_can_name_more_packages_and_modules(ada):
    with ctxtrace.install(infrastructure=["mine", "theirs.workers"]):
        assert start_from("mine") == start_from("mine.pool") == "nobody"
        assert start_from("theirs.workers") == "nobody"
        assert start_from("theirs") == start_from("theirs.requests") == "ada"
        assert start_from("logging") == "nobody"


def test_a_timer_is_judged_as_a_thread_is(ada):
    seen = []

    def timer_from(module):
        made = threading.Timer(0, lambda: seen.append(user()))
        made_in(module, made.start)()
        made.join(LIMIT)

    with ctxtrace.install():
        timer_from("application")
        timer_from("logging")
    assert seen == ["ada", "nobody"]


def test_a_subclass_that_overrides_start_is_judged_by_who_wrote_it(ada):
    """As a library's own start() is, that its users call."""

    class Worker(threading.Thread):
        pass

    scope = {"__name__": "anyio._backends", "threading": threading}
    exec("def start(self):\n    threading.Thread.start(self)", scope)
    Worker.start = scope["start"]
    seen = []
    with ctxtrace.install():
        worker = Worker(target=lambda: seen.append(user()))
        worker.start()
        worker.join(LIMIT)
    assert seen == ["nobody"]
