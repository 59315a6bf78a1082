"""Bodies of streaming responses: stepped when the endpoint has returned, closed by anyone.

A synchronous body is stepped in the threads of a pool, each step in a copy of the request's
context of its own. The requests are made in process, by hand where a client goes away.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.routing import Route
from vendors.crossings import LIMIT
from vendors.streams import bare, children, nothing
from vendors.tracers import TRACERS, LangSmith

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    Endpoint = Callable[..., Any]


@pytest.fixture(params=TRACERS, ids=lambda kind: kind.__name__)
def tracer(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    tracer = request.param()
    with tracer.recording():
        yield tracer
    assert [record.getMessage() for record in caplog.get_records("call")] == []


def named(value: Any) -> str:
    return value.__name__


# Apps with one endpoint, that answers GET /.


def starlette(endpoint: Endpoint) -> Any:
    return Starlette(routes=[Route("/", endpoint)])


def starlette_with_middleware(endpoint: Endpoint) -> Any:
    # It runs the app in a task of its own, and hands on the body from another.
    async def pass_on(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    middleware = [Middleware(BaseHTTPMiddleware, dispatch=pass_on)]
    return Starlette(routes=[Route("/", endpoint)], middleware=middleware)


def fastapi(endpoint: Endpoint) -> Any:
    app = FastAPI()
    app.get("/")(endpoint)
    return app


# Endpoints. Each has ended, and the run in it, when the body is stepped.


def respond(tracer: Any, body: Callable[[], Any]) -> StreamingResponse:
    responses: list[StreamingResponse] = []
    tracer.call("request", lambda: responses.append(StreamingResponse(body())))
    gc.collect()
    return responses.pop()


def sync_endpoint(tracer: Any, body: Callable[[], Any]) -> Endpoint:
    def endpoint(request: Any = None) -> Any:
        return respond(tracer, body)

    return endpoint


def async_endpoint(tracer: Any, body: Callable[[], Any]) -> Endpoint:
    async def endpoint(request: Any = None) -> Any:
        return respond(tracer, body)

    return endpoint


# Bodies.

ALL = ("first", "between", "finally")
EARLY = ("first", "finally")


def sync_body(tracer: Any, closed: Callable[[], Any] = nothing) -> Callable[[], Iterator[str]]:
    def body() -> Iterator[str]:
        try:
            assert threading.current_thread() is not threading.main_thread()
            tracer.call("first", nothing)
            yield "yes"
            tracer.call("between", nothing)
            yield "no"
        finally:
            tracer.call("finally", nothing)
            closed()

    return body


def async_body(
    tracer: Any, closed: Callable[[], Any] = nothing
) -> Callable[[], AsyncIterator[str]]:
    async def body() -> AsyncIterator[str]:
        try:
            tracer.call("first", nothing)
            yield "yes"
            await anyio.sleep(0)
            tracer.call("between", nothing)
            yield "no"
        finally:
            tracer.call("finally", nothing)
            closed()

    return body


SERVED = pytest.mark.parametrize(
    ("app", "backend"),
    [
        (starlette, "asyncio"),
        (starlette, "trio"),
        (fastapi, "asyncio"),
        (fastapi, "trio"),
        # On trio it drops an async generator of Starlette's own, and trio warns of that.
        (starlette_with_middleware, "asyncio"),
    ],
)
ENDPOINTS = pytest.mark.parametrize("endpoint", [sync_endpoint, async_endpoint], ids=named)
BODIES = pytest.mark.parametrize("body", [sync_body, async_body], ids=named)
BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


async def get(app: Any) -> str:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return (await client.get("/")).text


@SERVED
@ENDPOINTS
@BODIES
def test_control_the_children_of_a_bare_body_are_roots(
    tracer: Any, app: Any, endpoint: Any, body: Any, backend: str
) -> None:
    served = app(endpoint(tracer, body(tracer)))
    assert anyio.run(get, served, backend=backend) == "yesno"
    assert tracer.shape() == children("request", *ALL)


@SERVED
@ENDPOINTS
@BODIES
def test_the_children_of_a_body_are_those_of_the_endpoints_run(
    tracer: Any, app: Any, endpoint: Any, body: Any, backend: str
) -> None:
    served = app(endpoint(tracer, ctxtrace.streaming(body(tracer))))
    assert anyio.run(get, served, backend=backend) == "yesno"
    assert tracer.shape() == [("request", children(*ALL))]


# A run that is held over the yields of a body.


def held_body(tracer: Any) -> Callable[[], Iterator[str]]:
    def body() -> Iterator[str]:
        with tracer.open("held"):
            yield "yes"
            tracer.call("child", nothing)
            yield "no"

    return body


def async_held_body(tracer: Any) -> Callable[[], AsyncIterator[str]]:
    async def body() -> AsyncIterator[str]:
        with tracer.open("held"):
            yield "yes"
            await anyio.sleep(0)
            tracer.call("child", nothing)
            yield "no"

    return body


HELD_BODIES = pytest.mark.parametrize("body", [held_body, async_held_body], ids=named)


@SERVED
def test_control_a_run_held_by_a_bare_body_loses_its_children_and_cannot_be_ended(
    tracer: Any, app: Any, backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    served = app(async_endpoint(tracer, held_body(tracer)))
    if type(tracer).__name__ == "OwnVariable":
        with pytest.raises(Exception, match=r".") as raised:
            anyio.run(get, served, backend=backend)
        error: Any = raised.value
        while hasattr(error, "exceptions"):  # Starlette before 0.45 shows its task group's error
            (error,) = error.exceptions
        assert "was created in a different Context" in str(error)
    else:
        assert anyio.run(get, served, backend=backend) == "yesno"
    logged = [record.getMessage() for record in caplog.records]
    caplog.clear()
    is_otel = type(tracer).__name__ == "OpenTelemetry"
    assert logged == (["Failed to detach context"] if is_otel else [])
    assert tracer.shape() == children("child", "held", "request")


@SERVED
@HELD_BODIES
def test_a_run_held_by_a_body_has_its_children(
    tracer: Any, app: Any, body: Any, backend: str
) -> None:
    served = app(async_endpoint(tracer, ctxtrace.streaming(body(tracer))))
    assert anyio.run(get, served, backend=backend) == "yesno"
    assert tracer.shape() == [("request", [("held", children("child"))])]


@BACKENDS
def test_two_responses_at_once_keep_their_runs_apart(tracer: Any, backend: str) -> None:
    served = starlette(async_endpoint(tracer, ctxtrace.streaming(async_held_body(tracer))))

    async def both() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(get, served)
            group.start_soon(get, served)

    anyio.run(both, backend=backend)
    assert tracer.shape() == [("request", [("held", children("child"))])] * 2


# A client that goes away, said in each of the ways that a server has.


class Client:
    """Takes the first chunk of one response, and is gone.

    Args:
        app: What it asks.
        how: "message": the server says "http.disconnect" while the app sends. "silence": the
            same, while the app waits for its body. "error": sending fails, as from version
            2.4 of ASGI's HTTP on.
    """

    def __init__(self, app: Any, how: str) -> None:
        self.app = app
        self.how = how
        self.got: list[bytes] = []
        self.gone = anyio.Event()
        self.asked = False

    async def run(self) -> None:
        await self.app(
            {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.4" if self.how == "error" else "2.3"},
                "http_version": "1.1",
                "method": "GET",
                "scheme": "http",
                "path": "/",
                "raw_path": b"/",
                "root_path": "",
                "query_string": b"",
                "headers": [(b"host", b"test")],
                "client": ("client", 1),
                "server": ("test", 80),
            },
            self.receive,
            self.send,
        )

    async def receive(self) -> dict[str, Any]:
        if not self.asked:
            self.asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if not message.get("body"):
            return
        self.got.append(message["body"])
        if self.how == "error":
            raise OSError("gone")
        self.gone.set()
        if self.how == "message":
            await anyio.sleep_forever()


def go_away(app: Callable[[Endpoint], Any], how: str, tracer: Any, function: Any) -> None:
    """Serve a client that goes away, on asyncio, until the body says that it is closed."""

    async def main() -> None:
        closed = asyncio.Event()
        loop = asyncio.get_running_loop()

        def close() -> None:
            loop.call_soon_threadsafe(closed.set)

        client = Client(app(async_endpoint(tracer, function(tracer, close))), how)
        if how == "error":
            with pytest.raises(ClientDisconnect):
                await client.run()
        else:
            await client.run()
        gc.collect()  # an error's traceback may hold the response, and be part of a cycle
        await asyncio.wait_for(closed.wait(), LIMIT)
        assert client.got == [b"yes"]

    before = set(threading.enumerate())
    asyncio.run(main())
    # A synchronous body says that it is closed from a thread of anyio's, in which its run ends
    # after that.
    for thread in set(threading.enumerate()) - before:
        thread.join(LIMIT)


def decorated(decorate: Any, body: Any) -> Any:
    return lambda tracer, closed: decorate(body(tracer, closed))


HOW = pytest.mark.parametrize("how", ["message", "error"])
WITHOUT_MIDDLEWARE = pytest.mark.parametrize("app", [starlette, fastapi], ids=named)


@HOW
@WITHOUT_MIDDLEWARE
@BODIES
def test_control_what_a_bare_body_starts_when_its_client_is_gone_is_a_root(
    tracer: Any, app: Any, body: Any, how: str
) -> None:
    go_away(app, how, tracer, body)
    assert tracer.shape() == children("request", *EARLY)


@HOW
@WITHOUT_MIDDLEWARE
@BODIES
def test_what_a_body_starts_when_its_client_is_gone_is_under_the_endpoints_run(
    tracer: Any, app: Any, body: Any, how: str
) -> None:
    go_away(app, how, tracer, decorated(ctxtrace.streaming, body))
    assert tracer.shape() == [("request", children(*EARLY))]


def waiting_body(tracer: Any) -> Callable[[], AsyncIterator[str]]:
    async def body() -> AsyncIterator[str]:
        with tracer.open("held"):
            try:
                yield "yes"
                await anyio.sleep_forever()
            finally:
                tracer.call("finally", nothing)

    return body


@SERVED
@pytest.mark.parametrize("decorate", [bare, ctxtrace.streaming], ids=named)
def test_a_body_that_waits_when_its_client_goes_is_cancelled_under_what_it_holds(
    tracer: Any, app: Any, decorate: Any, backend: str
) -> None:
    served = app(async_endpoint(tracer, decorate(waiting_body(tracer))))

    async def main() -> None:
        with anyio.fail_after(LIMIT):
            await Client(served, "silence").run()

    anyio.run(main, backend=backend)
    held = ("held", children("finally"))
    whole = [("request", [held])]
    assert tracer.shape() == ([held, ("request", [])] if decorate is bare else whole)


# The run of a traced stream lasts as long as the response.


@pytest.fixture
def langsmith_runs() -> Iterator[Any]:
    tracer = LangSmith()
    with tracer.recording():
        yield tracer


TRACED = ctxtrace.traced_stream(name="tokens")


@SERVED
@ENDPOINTS
@BODIES
def test_the_run_of_a_traced_body_is_under_the_endpoints_run(
    langsmith_runs: Any, app: Any, endpoint: Any, body: Any, backend: str
) -> None:
    served = app(endpoint(langsmith_runs, TRACED(body(langsmith_runs))))
    assert anyio.run(get, served, backend=backend) == "yesno"
    assert langsmith_runs.shape() == [("request", [("tokens", children(*ALL))])]
    assert all(node.ended and not node.error for node in langsmith_runs._recording.forest().nodes)


@HOW
@WITHOUT_MIDDLEWARE
@BODIES
def test_the_run_of_a_traced_body_ends_when_the_client_is_gone(
    langsmith_runs: Any, app: Any, body: Any, how: str
) -> None:
    go_away(app, how, langsmith_runs, decorated(TRACED, body))
    assert langsmith_runs.shape() == [("request", [("tokens", children(*EARLY))])]
    assert all(node.ended and not node.error for node in langsmith_runs._recording.forest().nodes)
