"""anyio: task groups on both of its backends, threads, streams of objects."""

from __future__ import annotations

import gc
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
from comparison._in_asyncio import COPIED
from comparison._in_threads import HANDLER, WEAK
from comparison._rows import LIMIT, row


def _start_soon(backend: str) -> Any:
    def start_soon(tools: Any, tracer: Any) -> None:
        async def main() -> None:
            async def work(child: Any) -> None:
                child()

            # LangSmith's @traceable on a coroutine function needs asyncio.
            with tracer.open("parent"):
                async with tools.create_task_group() as group:
                    group.start_soon(work, tools.bound(tracer.child))

        anyio.run(main, backend=backend)

    return start_soon


row("start_soon-asyncio", "anyio's `start_soon`, on asyncio", COPIED)(_start_soon("asyncio"))
row("start_soon-trio", "anyio's `start_soon`, on trio", COPIED)(_start_soon("trio"))


@row("start_soon-late", "anyio's `start_soon`, outlives its parent", WEAK)
def start_soon_late(tools: Any, tracer: Any) -> None:
    async def main() -> None:
        ended = anyio.Event()

        async def work(child: Any) -> None:
            await ended.wait()
            child()

        async with tools.create_task_group() as group:
            tracer.call("parent", lambda: group.start_soon(work, tools.bound(tracer.child)))
            gc.collect()
            ended.set()

    anyio.run(main)


@row("anyio-to_thread", "`anyio.to_thread.run_sync`", "the function runs in a copy of the context")
def to_thread(tools: Any, tracer: Any) -> None:
    async def parent() -> None:
        await anyio.to_thread.run_sync(tracer.child)

    async def main() -> None:
        await tracer.acall("parent", parent)

    anyio.run(main)


@row("from_thread", "`anyio.from_thread.run`", "the task gets a copy of the thread's", shown=False)
def from_thread(tools: Any, tracer: Any) -> None:
    def in_a_thread() -> None:
        tracer.call("parent", lambda: anyio.from_thread.run(tracer.achild))

    async def main() -> None:
        await anyio.to_thread.run_sync(in_a_thread)

    anyio.run(main)


@row("memory-stream", "anyio's memory object stream to a task that already runs", HANDLER)
def memory_stream(tools: Any, tracer: Any) -> None:
    async def main() -> None:
        send, receive = tools.memory_stream(*anyio.create_memory_object_stream(10))
        handled = anyio.Event()

        async def handle(_: str) -> None:
            await tracer.achild()
            handled.set()

        async with receive, anyio.create_task_group() as group:
            group.start_soon(receive.work, handle)
            await anyio.lowlevel.checkpoint()

            async def parent() -> None:
                await send.send("mail")
                with anyio.fail_after(LIMIT):
                    await handled.wait()

            await tracer.acall("parent", parent)
            await send.aclose()

    anyio.run(main)
