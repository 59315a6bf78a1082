"""The columns: what carries a trace over a boundary, each used as its documentation shows.

A subject brings tools for the program to use, or changes the standard library for the whole
process before the program runs, or both. What it says nothing about is left as it is.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

from comparison._by_hand import copy_tools, parent_tools
from comparison._tools import AsyncWorker, StreamWorker, Worker, stream_with_run
from comparison._tracers import TRACERS

if TYPE_CHECKING:
    from collections.abc import Callable


def _nothing(_: Any) -> None:
    pass


class Subject(NamedTuple):
    key: str
    title: str
    tools: Callable[[Any], dict[str, Any]]
    """Given the tracer: what stands in the place of the standard library's."""
    set_up: Callable[[Any], None] = _nothing
    """Given the tracer: what is called once, when the process starts."""
    covers: frozenset[str] = frozenset()
    """The rows that `set_up` is for, by its documentation or its source."""
    covers_tracers: tuple[str, ...] = tuple(TRACERS)
    packages: tuple[str, ...] = ()
    oldest: tuple[int, int] = (3, 9)
    shown: bool = True


# LangSmith and LangChain.


def _langsmith(tracer: Any) -> dict[str, Any]:
    from langsmith import traceable
    from langsmith.utils import ContextThreadPoolExecutor

    tools: dict[str, Any] = {"ThreadPoolExecutor": ContextThreadPoolExecutor}
    if tracer.name == "LangSmith":  # which it opens a run of for the stream
        tools["stream"] = tools["astream"] = traceable(name="stream")
        tools["stream_with_run"] = lambda tracer, name: traceable(name=name)
    return tools


def _langchain(tracer: Any) -> dict[str, Any]:
    from langchain_core.runnables.config import ContextThreadPoolExecutor, run_in_executor

    return {
        "ThreadPoolExecutor": ContextThreadPoolExecutor,
        "run_in_executor": functools.partial(run_in_executor, None),
    }


# What patches the standard library for OpenTelemetry.

_POOLS = frozenset({"submit", "map", "map-generator", "submit-late", "inner-pool", "given-pool"})
_POOLS |= {"callback", "library", "run_in_executor"}
_THREADS = frozenset({"thread", "timer", "call_soon_threadsafe", "thread-enabled"})


def _instrument_threading(_: Any) -> None:
    from opentelemetry.instrumentation.threading import ThreadingInstrumentor

    ThreadingInstrumentor().instrument()


def _instrument_asyncio(_: Any) -> None:
    from opentelemetry.instrumentation.asyncio import AsyncioInstrumentor

    AsyncioInstrumentor().instrument()


def _configure_logfire(_: Any) -> None:
    import logfire

    logfire.configure(send_to_logfire=False, console=False)


def _langfuse(tracer: Any) -> dict[str, Any]:
    if tracer.name != "OpenTelemetry":
        return {}
    from langfuse import Langfuse, observe
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    Langfuse(
        public_key="pk-lf-1",
        secret_key="sk-lf-1",
        base_url="http://localhost",
        tracer_provider=tracer.provider,
        span_exporter=InMemorySpanExporter(),
    )
    stream = observe(name="stream")
    return {
        "stream": stream,
        "astream": stream,
        "stream_with_run": lambda tracer, name: observe(name=name),
    }


def _asgiref(_: Any) -> dict[str, Any]:
    from asgiref.sync import sync_to_async

    def in_a_thread(function: Any) -> Any:
        return sync_to_async(function)()

    return {"to_thread": in_a_thread, "run_in_executor": in_a_thread}


# ctxtrace.


class _CtxtraceWorker(Worker):
    def __init__(self, queue: Any) -> None:
        import ctxtrace

        super().__init__(ctxtrace.ContextQueue(queue))

    def work(self, handle: Any) -> None:
        self.queue.serve(handle)

    def stop(self) -> None:
        self.queue.stop()


class _CtxtraceAsyncWorker(AsyncWorker):
    def __init__(self, queue: Any) -> None:
        import ctxtrace

        super().__init__(ctxtrace.AsyncContextQueue(queue))

    async def work(self, handle: Any) -> None:
        await self.queue.serve(handle)

    def stop(self) -> None:
        self.queue.stop()


class _CtxtraceStreamWorker(StreamWorker):
    async def work(self, handle: Any) -> None:
        await self.receive.serve(handle)


def ctxtrace_tools(_: Any) -> dict[str, Any]:
    import ctxtrace

    def memory_stream(send: Any, receive: Any) -> Any:
        sending, receiving = ctxtrace.context_stream(send, receive)
        return sending, _CtxtraceStreamWorker(receiving)

    def streaming_with_run(tracer: Any, name: str) -> Any:
        return lambda function: ctxtrace.streaming(stream_with_run(tracer, name)(function))

    return {
        "ThreadPoolExecutor": ctxtrace.ThreadPoolExecutor,
        "Thread": ctxtrace.Thread,
        "Timer": ctxtrace.Timer,
        "wrap_executor": ctxtrace.wrap_executor,
        "wrap": ctxtrace.wrap,
        "run_in_executor": functools.partial(ctxtrace.run_in_executor, None),
        "to_thread": ctxtrace.to_thread,
        "create_task": ctxtrace.create_task,
        "create_task_in": lambda coro, context: ctxtrace.create_task(coro, context=context),
        "gather": ctxtrace.gather,
        "TaskGroup": ctxtrace.TaskGroup,
        "create_task_group": ctxtrace.create_task_group,
        "queue": _CtxtraceWorker,
        "async_queue": _CtxtraceAsyncWorker,
        "memory_stream": memory_stream,
        "stream": ctxtrace.streaming,
        "astream": ctxtrace.streaming,
        "stream_with_run": streaming_with_run,
    }


def _install(_: Any) -> None:
    import ctxtrace

    ctxtrace.install()


def _none(_: Any) -> dict[str, Any]:
    return {}


SUBJECTS = [
    Subject("bare", "nothing", _none),
    Subject("langsmith", "LangSmith", _langsmith, packages=("langsmith",)),
    Subject("langchain", "LangChain", _langchain, packages=("langchain-core",)),
    Subject(
        "otel-threading",
        "`ThreadingInstrumentor`",
        _none,
        _instrument_threading,
        _POOLS | _THREADS,
        ("OpenTelemetry",),
        ("opentelemetry-instrumentation-threading",),
    ),
    Subject(
        "otel-asyncio",
        "`AsyncioInstrumentor`",
        _none,
        _instrument_asyncio,
        packages=("opentelemetry-instrumentation-asyncio",),
        shown=False,
    ),
    Subject(
        "logfire",
        "logfire",
        _none,
        _configure_logfire,
        _POOLS | {"process"},
        ("OpenTelemetry",),
        ("logfire",),
    ),
    Subject("langfuse", "Langfuse", _langfuse, packages=("langfuse",), oldest=(3, 10)),
    Subject("asgiref", "asgiref", _asgiref, packages=("asgiref",)),
    Subject("copy", "`copy_context()`", copy_tools),
    Subject("parent", "parent handed over", parent_tools),
    Subject("ctxtrace", "ctxtrace", ctxtrace_tools, packages=("ctxtrace",)),
    Subject(
        "install",
        "`install()`",
        _none,
        _install,
        _POOLS
        | _THREADS
        | {
            "thread-pool",
            "to_thread",
            "create_task-late",
            "create_task-context",
            "start_soon-late",
            "runnable",
            "graph-sync",
            "graph-async",
            "traceable-returned",
        },
        packages=("ctxtrace",),
    ),
]
