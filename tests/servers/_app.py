"""The service under test: a FastAPI application on uvicorn, in a process of its own.

Started by run_streams.py, which tells it where to send traces by the environment. Says on
stdout where it listens; serves until stdin ends; then says what it has seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import socket
import sys
import threading
import warnings
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypedDict

import uvicorn
from fastapi import Depends, FastAPI, Request
from fastapi.responses import StreamingResponse
from langsmith import trace
from langsmith.run_trees import RunTree, get_cached_client
from opentelemetry import context as otel_context
from opentelemetry import trace as otel
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from starlette.middleware.base import BaseHTTPMiddleware

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

CONTROL = "--control" in sys.argv

PROVIDER = TracerProvider(shutdown_on_exit=False)
PROVIDER.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), max_queue_size=100_000))
otel.set_tracer_provider(PROVIDER)
TRACER = PROVIDER.get_tracer("app")

MODEL: ContextVar[str] = ContextVar("model", default="none")

# More than sockets buffer: whoever sends a few waits for its client to read.
LARGE = "x" * 2**18

begun: list[str] = []


@contextlib.contextmanager
def child(name: str) -> Iterator[None]:
    with trace(name), TRACER.start_as_current_span(name):
        yield


class Held:
    """The same for a stream to hold open over its yields.

    A class, and no generator: what a cancelled request leaves behind lies in reference cycles,
    and of an async generator there the garbage collector closes every generator inside it at
    once and where it stands, OpenTelemetry's own `start_as_current_span` among them, before the
    event loop closes the stream. That is so of a bare stream as well.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        self.run = trace(self.name)
        self.run.__enter__()
        self.span = TRACER.start_span(self.name)
        self.token = otel_context.attach(otel.set_span_in_context(self.span))

    def __exit__(self, *error: object) -> None:
        otel_context.detach(self.token)
        self.span.end()
        self.run.__exit__(*error)


# Whoever opens the request's run and span.


@contextlib.contextmanager
def root(request: str) -> Iterator[None]:
    begun.append(request)
    with (
        trace("request", metadata={"request": request}),
        TRACER.start_as_current_span("request", attributes={"request": request}),
    ):
        yield


class Middleware:
    """Has it open until the response has been sent."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            query = Request(scope).query_params
            if query.get("root") == "middleware":
                with root(query["request"]):
                    await self.app(scope, receive, send)
                return
        await self.app(scope, receive, send)


async def http_middleware(request: Any, call_next: Any) -> Any:
    """Has it open until the response begins. The application runs in another task."""
    if request.query_params.get("root") != "http middleware":
        return await call_next(request)
    with root(request.query_params["request"]):
        return await call_next(request)


async def dependency(request: Request) -> AsyncIterator[None]:
    if request.query_params.get("root") == "dependency":
        with root(request.query_params["request"]):
            yield
    else:
        yield


# The bodies. Those of a stream that holds a run of its own open are written out: with one
# generator in another there would be a second one to close.


def of_streaming(function: Any) -> Any:
    return function if CONTROL else ctxtrace.streaming(function)


def of_traced_stream(function: Any) -> Any:
    return function if CONTROL else ctxtrace.traced_stream(name="stream")(function)


async def plain(chunks: int, text: str, waits: bool) -> AsyncIterator[str]:
    try:
        with child("before"):
            await asyncio.sleep(0)
        for number in range(chunks):
            with child("step"):
                await asyncio.sleep(0)
            yield f"{number} {text}\n"
            if waits:
                await asyncio.get_running_loop().create_future()  # until the client goes away
        with child("after"):
            await asyncio.sleep(0)
    finally:
        with child("close"):
            await asyncio.sleep(0)


@of_streaming
async def holding(chunks: int, text: str, waits: bool) -> AsyncIterator[str]:
    token = MODEL.set("large")
    try:
        with Held("stream"):
            try:
                with child("before"):
                    await asyncio.sleep(0)
                for number in range(chunks):
                    with child("step"):
                        await asyncio.sleep(0)
                    yield f"{number} {text}\n"
                    if waits:
                        await asyncio.get_running_loop().create_future()
                with child("after"):
                    await asyncio.sleep(0)
            finally:
                with child("close"):
                    await asyncio.sleep(0)
    finally:
        MODEL.reset(token)


def plain_sync(chunks: int, text: str, waits: bool) -> Iterator[str]:
    try:
        with child("before"):
            pass
        for number in range(chunks):
            with child("step"):
                pass
            yield f"{number} {text}\n"
        with child("after"):
            pass
    finally:
        with child("close"):
            pass


@of_streaming
def holding_sync(chunks: int, text: str, waits: bool) -> Iterator[str]:
    token = MODEL.set("large")
    try:
        with child("stream"):
            try:
                with child("before"):
                    pass
                for number in range(chunks):
                    with child("step"):
                        pass
                    yield f"{number} {text}\n"
                with child("after"):
                    pass
            finally:
                with child("close"):
                    pass
    finally:
        MODEL.reset(token)


class State(TypedDict):
    left: int


def step(state: State) -> State:
    with child("step"):
        return {"left": state["left"] - 1}


async def astep(state: State) -> State:
    with child("step"):
        await asyncio.sleep(0)
        return {"left": state["left"] - 1}


def graph() -> Any:
    # langgraph 0.6.11, the last for Python 3.9, warns when it is imported with langchain-core
    # 0.3.86, which shows its warnings whatever was asked for before it was imported itself.
    import langchain_core  # noqa: F401

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        from langgraph.graph import END, START, StateGraph

    builder = StateGraph(State)
    # Before Python 3.11 LangGraph's asynchronous nodes lose the run that they are in.
    builder.add_node("work", astep if sys.version_info >= (3, 11) else step)
    builder.add_edge(START, "work")
    builder.add_conditional_edges("work", lambda state: "work" if state["left"] else END)
    return builder.compile()


GRAPH = graph()


@of_streaming
async def of_graph(chunks: int, text: str, waits: bool) -> AsyncIterator[str]:
    try:
        with child("before"):
            pass
        updates = GRAPH.astream({"left": chunks}, {"recursion_limit": chunks + 5})
        async for _ in updates:
            yield f"{text}\n"
            if waits:
                await asyncio.get_running_loop().create_future()
        with child("after"):
            pass
    finally:
        with child("close"):
            pass


BODIES = {
    "async": of_streaming(plain),
    "async, holding a run": holding,
    "async, traced": of_traced_stream(plain),
    "sync": of_streaming(plain_sync),
    "sync, holding a run": holding_sync,
    "sync, traced": of_traced_stream(plain_sync),
    "graph": of_graph,
}

# FastAPI's own spans around dependencies and endpoints do not nest in what a dependency opens.
# (Those that have no such spans take the argument and leave it.)
app = FastAPI(dependencies=[Depends(dependency)], telemetry={"operation_spans": False})
app.add_middleware(BaseHTTPMiddleware, dispatch=http_middleware)
app.add_middleware(Middleware)


@app.get("/stream")
async def stream(body: str, chunks: int, large: bool, waits: bool) -> StreamingResponse:
    return StreamingResponse(BODIES[body](chunks, LARGE if large else "", waits))


@app.get("/threaded")
def threaded(request: str, body: str, chunks: int, large: bool, waits: bool) -> StreamingResponse:
    """Open the request's run here, in a pool's thread, and end it before the first step."""
    with root(request):
        return StreamingResponse(BODIES[body](chunks, LARGE if large else "", waits))


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(levelname)s: %(message)s")
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)  # from here on whoever connects waits, and is not refused
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))

    def wait() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=wait, daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    asyncio.run(server.serve(sockets=[listener]))

    gc.collect()
    client = get_cached_client()
    client.flush()
    PROVIDER.shutdown()
    gc.collect()
    alive = sum(type(thing) is RunTree for thing in gc.get_objects())
    print(json.dumps({"begun": begun, "alive": alive}), flush=True)


if __name__ == "__main__":
    main()
