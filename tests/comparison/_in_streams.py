"""Generators, whose steps run in the context of whoever takes them."""

from __future__ import annotations

import asyncio
import gc
import queue
import threading
from typing import TYPE_CHECKING, Any

from comparison._rows import LIMIT, row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

STEPS = "a step runs in the context of who takes it"
RETURNED = f"{STEPS}, and the run has ended"


def _words(tools: Any) -> Any:
    @tools.stream
    def words(child: Any) -> Iterator[str]:
        for word in ("yes", "no"):
            gc.collect()
            child()
            yield word

    return words


def _async_words(tools: Any) -> Any:
    @tools.astream
    async def words(child: Any) -> AsyncIterator[str]:
        for word in ("yes", "no"):
            gc.collect()
            child()
            yield word

    return words


def _returned(tracer: Any, make: Any) -> Any:
    """Return what the run made, which itself returns nothing: LangSmith would look into that.

    The run is a plain function's also where it need not be: LangSmith ends that of a coroutine
    function in a thread, and it would be freed when that thread drops its work.
    """
    made: list[Any] = []
    tracer.call("parent", lambda: made.append(make()))
    return made.pop()


def _consume(words: Any) -> None:
    for _ in words:
        pass


@row("generator-returned", "a generator, consumed after its endpoint returned", RETURNED)
def generator_returned(tools: Any, tracer: Any) -> None:
    words = _words(tools)
    _consume(_returned(tracer, lambda: words(tools.bound(tracer.child))))


@row(
    "traceable-returned",
    "a `@traceable` generator, consumed after its endpoint returned",
    "the stream's run looks for its parent at the first step, in the context of who takes it",
    tracers=("LangSmith",),
)
def traceable_returned(tools: Any, tracer: Any) -> None:
    from langsmith import traceable

    # Whatever is compared: the program is decorated already.
    @traceable
    def words() -> Iterator[str]:
        for word in ("yes", "no"):
            gc.collect()
            tracer.child()
            yield word

    _consume(_returned(tracer, words))


@row("generator-thread", "a generator, handed to a thread that already runs", STEPS)
def generator_thread(tools: Any, tracer: Any) -> None:
    words = _words(tools)
    bodies: queue.Queue[Any] = queue.Queue()
    consumed = threading.Event()

    def consume() -> None:
        _consume(bodies.get())
        consumed.set()

    consumer = threading.Thread(target=consume)
    consumer.start()

    def parent() -> None:
        bodies.put(words(tools.bound(tracer.child)))
        assert consumed.wait(LIMIT)

    tracer.call("parent", parent)
    consumer.join(LIMIT)


@row("async-generator-task", "an async generator, handed to a task that already runs", STEPS)
def async_generator_task(tools: Any, tracer: Any) -> None:
    words = _async_words(tools)

    async def main() -> None:
        handed = asyncio.get_running_loop().create_future()
        consumed = asyncio.Event()

        async def consume() -> None:
            async for _ in (await handed)[0]:
                pass
            consumed.set()

        consumer = asyncio.ensure_future(consume())
        await asyncio.sleep(0)

        async def parent() -> None:
            handed.set_result([words(tools.bound(tracer.child))])
            await asyncio.wait_for(consumed.wait(), LIMIT)

        await tracer.acall("parent", parent)
        await consumer

    asyncio.run(main())


def _streaming_response(tracer: Any, body: Any) -> None:
    """Answer one request of an ASGI server with a StreamingResponse, made inside the run."""
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    async def endpoint(_: Any) -> Any:
        return _returned(tracer, lambda: StreamingResponse(body()))

    app = Starlette(routes=[Route("/", endpoint)])
    sent = []

    async def receive() -> Any:
        if not sent:
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.Event().wait()  # the client stays
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "client": None,
        "server": None,
        "state": {},
    }
    asyncio.run(app(scope, receive, send))
    assert b"".join(m.get("body", b"") for m in sent) == b"yesno", sent


@row(
    "starlette", "Starlette's `StreamingResponse` over a generator", f"{RETURNED}; each in a thread"
)
def starlette(tools: Any, tracer: Any) -> None:
    words = _words(tools)
    _streaming_response(tracer, lambda: words(tools.bound(tracer.child)))


@row("starlette-async", "the same over an async generator", RETURNED)
def starlette_async(tools: Any, tracer: Any) -> None:
    words = _async_words(tools)
    _streaming_response(tracer, lambda: words(tools.bound(tracer.child)))


@row(
    "generator-closed",
    "a generator that cleans up when it is closed, after its endpoint returned",
    RETURNED,
)
def generator_closed(tools: Any, tracer: Any) -> None:
    @tools.stream
    def words(child: Any) -> Iterator[str]:
        try:
            yield "yes"
            yield "no"
        finally:
            gc.collect()
            child()

    def make() -> Any:
        body = words(tools.bound(tracer.child))
        next(body)
        return body

    body = _returned(tracer, make)
    gc.collect()
    body.close()
    # What does not forward it closes the generator when that is freed.
    del body
    gc.collect()


@row(
    "generator-leak",
    "a generator holds a run open over `yield`: its consumer's child",
    f"{STEPS}, and what a step sets stays set there",
    direct=True,
)
def generator_leak(tools: Any, tracer: Any) -> None:
    @tools.stream_with_run(tracer, "stream")
    def words() -> Iterator[str]:
        yield "yes"
        yield "no"

    def parent() -> None:
        for _ in words():
            tracer.child()

    tracer.call("parent", parent)
