"""What the standard library and the tracers have to carry a trace by hand.

Two subjects: a copy of the context, in which the far side is run; and the parent itself, which the
child is told.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from comparison._tools import AsyncWorker, StreamWorker, Worker, stream_with_run

if TYPE_CHECKING:
    from collections.abc import Callable

TASKS_TAKE_CONTEXTS = sys.version_info >= (3, 11)


# By hand, with the standard library's copy of the context.


class _CopyingWorker(Worker):
    def put(self, mail: Any) -> None:
        super().put((copy_context(), mail))

    def handle(self, mail: Any, handle: Any) -> None:
        context, mail = mail
        context.run(handle, mail)


class _CopyingAsyncWorker(AsyncWorker):
    async def put(self, mail: Any) -> None:
        await super().put((copy_context(), mail))

    async def handle(self, mail: Any, handle: Any) -> None:
        context, mail = mail
        await asyncio.create_task(handle(mail), context=context)  # type: ignore[call-arg]


class _CopyingStreamWorker(StreamWorker):
    async def handle(self, mail: Any, handle: Any) -> None:
        context, mail = mail
        await asyncio.create_task(handle(mail), context=context)  # type: ignore[call-arg]


class _Pairing:
    """A sending end that puts something beside each item."""

    def __init__(self, send: Any, something: Callable[[], Any]) -> None:
        self._send = send
        self._something = something

    async def send(self, mail: Any) -> None:
        await self._send.send((self._something(), mail))

    async def aclose(self) -> None:
        await self._send.aclose()


def _copied(function: Any) -> Any:
    return functools.partial(copy_context().run, function)


def _copied_coroutine(function: Any) -> Any:
    context = copy_context()

    async def run() -> Any:
        return await asyncio.create_task(function(), context=context)  # type: ignore[call-arg]

    return run


def _copied_stream(function: Any) -> Any:
    """Take each step of a generator in a copy of the context of its call."""

    def call(*args: Any) -> Any:
        # Not a generator itself: its body would wait for the first step, and the copy with it.
        context = copy_context()
        steps = context.run(function, *args)
        return (_AsyncSteps if hasattr(steps, "__anext__") else _Steps)(context, steps)

    return call


class _Steps:
    def __init__(self, context: Any, steps: Any) -> None:
        self._context = context
        self._steps = steps

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return self._context.run(next, self._steps)

    def close(self) -> None:
        self._context.run(self._steps.close)


class _AsyncSteps:
    def __init__(self, context: Any, steps: Any) -> None:
        self._context = context
        self._steps = steps

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        async def step() -> Any:
            return await self._steps.__anext__()

        return await asyncio.create_task(step(), context=self._context)  # type: ignore[call-arg]


def _stepped_with_run(tracer: Any, name: str) -> Any:
    return lambda function: _copied_stream(stream_with_run(tracer, name)(function))


def copy_tools(_: Any) -> dict[str, Any]:
    tools: dict[str, Any] = {
        "bound": _copied,
        "wrap": _copied,
        "queue": _CopyingWorker,
        "stream": _copied_stream,
        "stream_with_run": _stepped_with_run,
    }
    if TASKS_TAKE_CONTEXTS:
        # To run a coroutine in a context takes a task that is given one.
        tools.update(
            abound=_copied_coroutine,
            async_queue=_CopyingAsyncWorker,
            memory_stream=lambda send, receive: (
                _Pairing(send, copy_context),
                _CopyingStreamWorker(receive),
            ),
            astream=_copied_stream,
        )
    return tools


# By hand, with the parent given to the child: what each tracer documents.


def parent_tools(tracer: Any) -> dict[str, Any]:
    def bound(function: Any) -> Any:
        handle = tracer.handle()

        def run() -> Any:
            with tracer.below(handle):
                return function()

        return run

    def abound(function: Any) -> Any:
        handle = tracer.handle()

        async def run() -> Any:
            with tracer.below(handle):
                return await function()

        return run

    class Paired(Worker):
        def put(self, mail: Any) -> None:
            super().put((tracer.handle(), mail))

        def handle(self, mail: Any, handle: Any) -> None:
            parent, mail = mail
            with tracer.below(parent):
                handle(mail)

    class AsyncPaired(AsyncWorker):
        async def put(self, mail: Any) -> None:
            await super().put((tracer.handle(), mail))

        async def handle(self, mail: Any, handle: Any) -> None:
            parent, mail = mail
            with tracer.below(parent):
                await handle(mail)

    class StreamPaired(StreamWorker):
        async def handle(self, mail: Any, handle: Any) -> None:
            parent, mail = mail
            with tracer.below(parent):
                await handle(mail)

    def below_config(config: Any) -> Any:
        from langsmith import RunTree

        return tracer.below(RunTree.from_runnable_config(config))

    return {
        "bound": bound,
        "abound": abound,
        "wrap": bound,
        "queue": Paired,
        "async_queue": AsyncPaired,
        "memory_stream": lambda send, receive: (
            _Pairing(send, tracer.handle),
            StreamPaired(receive),
        ),
        "for_a_process": lambda function: (in_a_process, tracer.headers(), function),
        "handed_config": lambda config: (config,),
        "below_config": below_config,
    }


def in_a_process(headers: dict[str, str], function: Any) -> Any:
    from comparison import _in_threads

    with _in_threads._tracer.below_headers(headers):
        return function()
