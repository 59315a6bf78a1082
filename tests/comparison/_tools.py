"""What the programs cross boundaries with: the standard library's, and what stands in its place.

`STANDARD` has everything. A subject of the comparison says what it has in the place of some of it;
`Tools` notes whether a program took any of that: if not, the subject has nothing for the boundary.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from typing import Any, Callable

from comparison._rows import Unavailable


class Worker:
    """A queue between threads, and the loop of the worker that takes from it."""

    def __init__(self, queue: Any) -> None:
        self.queue = queue

    def put(self, mail: Any) -> None:
        self.queue.put(mail)

    def work(self, handle: Any) -> None:
        while (mail := self.queue.get()) is not None:
            self.handle(mail, handle)
            self.queue.task_done()

    def handle(self, mail: Any, handle: Any) -> None:
        handle(mail)

    def join(self) -> None:
        self.queue.join()

    def stop(self) -> None:
        self.queue.put(None)


class AsyncWorker:
    """The same between tasks."""

    def __init__(self, queue: Any) -> None:
        self.queue = queue

    async def put(self, mail: Any) -> None:
        await self.queue.put(mail)

    async def work(self, handle: Any) -> None:
        while (mail := await self.queue.get()) is not None:
            await self.handle(mail, handle)
            self.queue.task_done()

    async def handle(self, mail: Any, handle: Any) -> None:
        await handle(mail)

    async def join(self) -> None:
        await self.queue.join()

    def stop(self) -> None:
        self.queue.put_nowait(None)


class StreamWorker:
    """The receiving end of a memory object stream."""

    def __init__(self, receive: Any) -> None:
        self.receive = receive

    async def work(self, handle: Any) -> None:
        async for mail in self.receive:
            await self.handle(mail, handle)

    async def handle(self, mail: Any, handle: Any) -> None:
        await handle(mail)

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.receive.aclose()


def same(value: Any) -> Any:
    return value


def _run_in_executor(function: Any) -> Any:
    return asyncio.get_running_loop().run_in_executor(None, function)


def _create_task_in(coro: Any, context: Any) -> Any:
    try:
        return asyncio.create_task(coro, context=context)  # type: ignore[call-arg]
    except TypeError:  # before Python 3.11
        coro.close()
        raise


def _task_group() -> Any:
    if not hasattr(asyncio, "TaskGroup"):
        raise Unavailable
    return asyncio.TaskGroup()


def _anyio_task_group() -> Any:
    import anyio

    return anyio.create_task_group()


def stream_with_run(tracer: Any, name: str) -> Callable[[Any], Any]:
    """Hold a run open while a generator runs, as one writes it by hand."""

    def decorate(generator: Any) -> Any:
        def stream() -> Any:
            with tracer.open(name):
                yield from generator()

        return stream

    return decorate


STANDARD: dict[str, Any] = {
    "ThreadPoolExecutor": concurrent.futures.ThreadPoolExecutor,
    "Thread": threading.Thread,
    "Timer": threading.Timer,
    "wrap_executor": same,
    # What is done by hand where a boundary is crossed, to a function and to a coroutine function.
    "bound": same,
    "abound": same,
    # What is done where nothing can be put in the boundary's place.
    "wrap": same,
    # The function and its arguments, as a process pool is to get them.
    "for_a_process": lambda function: (function,),
    "run_in_executor": _run_in_executor,
    # Looked up when called: who patches asyncio does so later.
    "to_thread": lambda function: asyncio.to_thread(function),
    "create_task": lambda coro: asyncio.create_task(coro),
    "create_task_in": _create_task_in,
    "gather": lambda *coros: asyncio.gather(*coros),
    "TaskGroup": _task_group,
    "create_task_group": _anyio_task_group,
    "queue": Worker,
    "async_queue": AsyncWorker,
    "memory_stream": lambda send, receive: (send, StreamWorker(receive)),
    "stream": same,
    "astream": same,
    "stream_with_run": stream_with_run,
    # LangChain's config, for what is called inside a runnable or a node.
    "handed_config": lambda config: (),
    "below_config": lambda config: contextlib.nullcontext(),
}


class Tools:
    """The standard library's tools, with others in the place of some."""

    def __init__(self, others: dict[str, Any]) -> None:
        assert not others.keys() - STANDARD.keys()
        self._tools = {**STANDARD, **others}
        self._others = others
        self.used = False
        """Whether the program took any of the others."""

    def __getattr__(self, name: str) -> Any:
        self.used |= name in self._others
        return self._tools[name]
