"""asyncio: tasks, threads from a coroutine, callbacks, queues between tasks."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextvars import copy_context
from typing import Any

from comparison._in_threads import EMPTY, HANDLER, WEAK
from comparison._rows import LIMIT, row

COPIED = "the task gets a copy of the context"


@row("run_in_executor", "`loop.run_in_executor`", EMPTY)
def run_in_executor(tools: Any, tracer: Any) -> None:
    async def parent() -> None:
        await tools.run_in_executor(tools.bound(tracer.child))

    asyncio.run(tracer.acall("parent", parent))


@row("to_thread", "`asyncio.to_thread`", "the function runs in a copy of the context")
def to_thread(tools: Any, tracer: Any) -> None:
    async def parent() -> None:
        await tools.to_thread(tools.bound(tracer.child))

    asyncio.run(tracer.acall("parent", parent))


@row("wait_for", "`await`, `asyncio.wait_for`", "the context is the same, or a copy", shown=False)
def wait_for(tools: Any, tracer: Any) -> None:
    async def parent() -> None:
        await asyncio.wait_for(tracer.achild(), LIMIT)

    asyncio.run(tracer.acall("parent", parent))


@row("create_task", "`asyncio.create_task`, awaited", COPIED)
def create_task(tools: Any, tracer: Any) -> None:
    async def parent() -> None:
        await tools.create_task(tools.abound(tracer.achild)())

    asyncio.run(tracer.acall("parent", parent))


@row("create_task-late", "`asyncio.create_task`, outlives its parent", WEAK)
def create_task_late(tools: Any, tracer: Any) -> None:
    async def main() -> None:
        ended = asyncio.Event()

        async def work(child: Any) -> None:
            await ended.wait()
            await child()

        # Of a plain function, for LangSmith ends the run of a coroutine function in a thread, and
        # the run would be freed when that thread drops its work.
        task = tracer.call("parent", lambda: tools.create_task(work(tools.abound(tracer.achild))))
        gc.collect()
        ended.set()
        await task

    asyncio.run(main())


@row(
    "create_task-context",
    "`asyncio.create_task(..., context=)`",
    "the task runs in the given context; before Python 3.11 there is no such argument",
)
def create_task_context(tools: Any, tracer: Any) -> None:
    async def parent() -> None:
        await tools.create_task_in(tracer.achild(), copy_context())

    asyncio.run(tracer.acall("parent", parent))


@row("gather", "`asyncio.gather`", COPIED)
def gather(tools: Any, tracer: Any) -> None:
    async def parent() -> None:
        await tools.gather(tools.abound(tracer.achild)())

    asyncio.run(tracer.acall("parent", parent))


@row("TaskGroup", "`asyncio.TaskGroup`", f"{COPIED}; new in Python 3.11")
def task_group(tools: Any, tracer: Any) -> None:
    async def parent() -> None:
        async with tools.TaskGroup() as group:
            group.create_task(tools.abound(tracer.achild)())

    asyncio.run(tracer.acall("parent", parent))


@row("call_later", "`loop.call_soon`, `call_later`", "the callback gets a copy", shown=False)
def call_later(tools: Any, tracer: Any) -> None:
    async def parent() -> None:
        called = asyncio.Event()

        def callback() -> None:
            tracer.child()
            called.set()

        asyncio.get_running_loop().call_later(0, callback)
        await asyncio.wait_for(called.wait(), LIMIT)

    asyncio.run(tracer.acall("parent", parent))


@row(
    "call_soon_threadsafe",
    "`loop.call_soon_threadsafe` in a thread",
    "the callback gets a copy of the thread's context, which is empty",
)
def call_soon_threadsafe(tools: Any, tracer: Any) -> None:
    async def parent() -> None:
        loop = asyncio.get_running_loop()
        called = asyncio.Event()
        child = tools.bound(tracer.child)

        def callback() -> None:
            child()
            called.set()

        started = tools.Thread(target=lambda: loop.call_soon_threadsafe(callback))
        started.start()
        await asyncio.wait_for(called.wait(), LIMIT)
        started.join(LIMIT)

    asyncio.run(tracer.acall("parent", parent))


@row(
    "run_coroutine_threadsafe",
    "`asyncio.run_coroutine_threadsafe`",
    "the task gets a copy of the calling thread's context",
    shown=False,
)
def run_coroutine_threadsafe(tools: Any, tracer: Any) -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    tracer.call(
        "parent",
        lambda: asyncio.run_coroutine_threadsafe(tracer.achild(), loop).result(LIMIT),
    )
    loop.call_soon_threadsafe(loop.stop)
    thread.join(LIMIT)
    loop.close()


@row("asyncio-queue", "`asyncio.Queue` to a task that already runs", HANDLER)
def asyncio_queue(tools: Any, tracer: Any) -> None:
    async def main() -> None:
        mails = tools.async_queue(asyncio.Queue())

        async def handle(_: str) -> None:
            await tracer.achild()

        worker = asyncio.ensure_future(mails.work(handle))
        # It waits for a mail before the run begins.
        await asyncio.sleep(0)

        async def parent() -> None:
            await mails.put("mail")
            await asyncio.wait_for(mails.join(), LIMIT)

        await tracer.acall("parent", parent)
        mails.stop()
        await asyncio.wait_for(worker, LIMIT)

    asyncio.run(main())
