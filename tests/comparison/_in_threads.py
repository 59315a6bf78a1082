"""Pools, threads, timers, queues between threads, processes."""

from __future__ import annotations

import concurrent.futures
import gc
import multiprocessing
import multiprocessing.pool
import os
import queue
import threading
from typing import Any

from comparison._rows import LIMIT, row

EMPTY = "the pool's thread has a context of its own, which is empty"
NEW = "a new thread's context is empty"
WEAK = "the context is copied; from 0.7.30 on LangSmith's holds the run weakly, and that is freed"
HANDLER = "the worker has a context of its own, not that of who put the item in"


@row("submit", "`ThreadPoolExecutor.submit`", EMPTY)
def submit(tools: Any, tracer: Any) -> None:
    def parent() -> None:
        with tools.ThreadPoolExecutor(1) as pool:
            pool.submit(tools.bound(tracer.child)).result(LIMIT)

    tracer.call("parent", parent)


@row("map", "`ThreadPoolExecutor.map`", EMPTY)
def map_(tools: Any, tracer: Any) -> None:
    def parent() -> None:
        child = tools.bound(tracer.child)
        with tools.ThreadPoolExecutor(1) as pool:
            list(pool.map(lambda _: child(), ["item"]))

    tracer.call("parent", parent)


@row("map-generator", "`ThreadPoolExecutor.map` over a generator", EMPTY)
def map_generator(tools: Any, tracer: Any) -> None:
    def parent() -> None:
        child = tools.bound(tracer.child)
        with tools.ThreadPoolExecutor(1) as pool:
            list(pool.map(lambda _: child(), (item for item in ["item"])))

    tracer.call("parent", parent)


class SomebodysPool(concurrent.futures.ThreadPoolExecutor):
    """A pool of a library, which counts what goes through it."""

    submitted = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        self.submitted += 1
        return super().submit(fn, *args, **kwargs)


@row("given-pool", "a pool that somebody else built", EMPTY)
def given_pool(tools: Any, tracer: Any) -> None:
    with SomebodysPool(1) as theirs:

        def parent() -> None:
            pool = tools.wrap_executor(theirs)
            pool.submit(tools.bound(tracer.child)).result(LIMIT)

        tracer.call("parent", parent)


@row("callback", "a callback that a library calls in its pool", EMPTY)
def callback(tools: Any, tracer: Any) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as theirs:

        def fetch(when_done: Any) -> None:
            theirs.submit(when_done).result(LIMIT)

        tracer.call("parent", lambda: fetch(tools.wrap(tracer.child)))


@row("library", "a library that traces inside its own pool", EMPTY)
def library(tools: Any, tracer: Any) -> None:
    def fetch() -> None:
        # Nothing of this can be edited.
        with concurrent.futures.ThreadPoolExecutor(1) as theirs:
            theirs.submit(tracer.child).result(LIMIT)

    tracer.call("parent", fetch)


@row("inner-pool", "a pool inside a call of LangChain's pool", EMPTY)
def inner_pool(tools: Any, tracer: Any) -> None:
    from langchain_core.runnables.config import ContextThreadPoolExecutor

    def inside() -> None:
        with tools.ThreadPoolExecutor(1) as pool:
            pool.submit(tools.bound(tracer.child)).result(LIMIT)

    def parent() -> None:
        with ContextThreadPoolExecutor(1) as outer:
            outer.submit(inside).result(LIMIT)

    tracer.call("parent", parent)


@row(
    "submit-late",
    "a pool's call that outlives its parent",
    f"{EMPTY}; where it is copied there: as with a task that outlives its parent",
)
def submit_late(tools: Any, tracer: Any) -> None:
    ended = threading.Event()

    def work(child: Any) -> None:
        assert ended.wait(LIMIT)
        child()

    with tools.ThreadPoolExecutor(1) as pool:
        future = tracer.call("parent", lambda: pool.submit(work, tools.bound(tracer.child)))
        gc.collect()
        ended.set()
        future.result(LIMIT)


@row("thread", "`threading.Thread`", NEW)
def thread(tools: Any, tracer: Any) -> None:
    def parent() -> None:
        started = tools.Thread(target=tools.bound(tracer.child))
        started.start()
        started.join(LIMIT)

    tracer.call("parent", parent)


@row(
    "thread-enabled",
    "`Thread`, tracing turned on by `tracing_context(enabled=True)`",
    f"{NEW}, and whether to trace stands in the context, too",
    tracers=("LangSmith",),
)
def thread_enabled(tools: Any, tracer: Any) -> None:
    from langsmith import tracing_context, utils

    os.environ["LANGSMITH_TRACING"] = "false"
    utils.get_env_var.cache_clear()

    def parent() -> None:
        started = tools.Thread(target=tools.bound(tracer.child))
        started.start()
        started.join(LIMIT)

    with tracing_context(enabled=True):
        tracer.call("parent", parent)


@row("timer", "`threading.Timer`", NEW)
def timer(tools: Any, tracer: Any) -> None:
    def parent() -> None:
        started = tools.Timer(0, tools.bound(tracer.child))
        started.start()
        started.join(LIMIT)

    tracer.call("parent", parent)


@row("thread-pool", "`multiprocessing.pool.ThreadPool.apply`", EMPTY)
def thread_pool(tools: Any, tracer: Any) -> None:
    with multiprocessing.pool.ThreadPool(1) as pool:
        tracer.call("parent", lambda: pool.apply(tools.wrap(tracer.child)))
        pool.close()
        pool.join()


@row("queue", "`queue.Queue` to a thread that already runs", HANDLER)
def queue_(tools: Any, tracer: Any) -> None:
    mails = tools.queue(queue.Queue())
    worker = threading.Thread(target=mails.work, args=(lambda _: tracer.child(),))
    worker.start()

    def parent() -> None:
        mails.put("mail")
        mails.join()

    tracer.call("parent", parent)
    mails.stop()
    worker.join(LIMIT)


def _nothing() -> None:
    pass


_tracer: Any = None


def _child_in_a_process() -> Any:
    _tracer.child()
    return _tracer.runs()


@row(
    "process",
    "`ProcessPoolExecutor.submit`",
    "the worker has been forked before, or is spawned: a context of its own",
)
def process(tools: Any, tracer: Any) -> Any:
    global _tracer
    _tracer = tracer
    # Forked here and now, for a child of a fork inside the run would have its context.
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        pool.submit(_nothing).result(LIMIT)

        def parent() -> Any:
            return pool.submit(*tools.for_a_process(_child_in_a_process)).result(LIMIT)

        return tracer.call("parent", parent)
