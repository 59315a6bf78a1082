"""Services, served in process: what an endpoint streams, and where it blocks."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
from typing import TYPE_CHECKING, Any

import httpx
import langsmith
from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse
from langsmith import traceable
from opentelemetry import context, trace
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from vendors.corpus import loses, sound

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

tracer = trace.get_tracer("corpus")


def fastapi_app() -> FastAPI:
    # The newest make spans of their own, and whether they do is not what these programs are about.
    if "telemetry" in inspect.signature(FastAPI).parameters:
        return FastAPI(telemetry={"tracing": False})
    return FastAPI()


def starlette_app(endpoint: Callable[..., Any]) -> Starlette:
    return Starlette(routes=[Route("/", endpoint)])


async def get(app: Any, path: str = "/") -> str:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        response = await client.get(path)
    assert response.status_code == 200
    return response.text


# Bodies that are streamed when their endpoint has returned.


@traceable
async def complete(word: str) -> str:
    await asyncio.sleep(0)
    return f"{word} "


async def _words() -> AsyncIterator[str]:
    for word in ("two", "words"):
        yield await complete(word)  # lost: complete


def _chat(words: Callable[[], AsyncIterator[str]]) -> FastAPI:
    app = fastapi_app()

    @traceable
    async def chat() -> StreamingResponse:
        return StreamingResponse(words())

    @app.get("/")
    async def endpoint() -> Any:
        return await chat()

    return app


@loses("complete")
def a_chat_that_streams_its_answer() -> None:
    # After langsmith-sdk issue 817: the endpoint and what it streams are two traces.
    assert asyncio.run(get(_chat(_words))) == "two words "


@sound
def a_chat_whose_answer_keeps_its_context() -> None:
    assert asyncio.run(get(_chat(ctxtrace.streaming(_words)))) == "two words "


@sound(roots=2)
def a_chat_whose_answer_has_a_run_of_its_own() -> None:
    # The run of the stream is a span as well, and that has no parent here.
    answer = ctxtrace.traced_stream(name="answer")(_words)
    assert asyncio.run(get(_chat(answer))) == "two words "


def _rows(count: int) -> Iterator[str]:
    for number in range(count):
        with tracer.start_as_current_span("row"):  # lost: row
            row = f"{number}\n"
        yield row


@loses("row")
def an_export_that_streams_rows() -> None:
    # After langfuse issue 2015: a sync body, stepped in a pool, starts a trace a step.
    async def export(request: Any) -> StreamingResponse:
        with tracer.start_as_current_span("export"):
            return StreamingResponse(_rows(2))

    assert asyncio.run(get(starlette_app(export))) == "0\n1\n"


@sound
def an_export_that_streams_rows_in_its_context() -> None:
    async def export(request: Any) -> StreamingResponse:
        with tracer.start_as_current_span("export"):
            return StreamingResponse(ctxtrace.streaming(_rows(2)))

    assert asyncio.run(get(starlette_app(export))) == "0\n1\n"


@sound
def an_export_that_is_made_before_it_is_sent() -> None:
    async def export(request: Any) -> StreamingResponse:
        with tracer.start_as_current_span("export"):
            return StreamingResponse(iter(list(_rows(2))))

    assert asyncio.run(get(starlette_app(export))) == "0\n1\n"


# Blocking calls.


def _fetch_object(key: str) -> str:
    with tracer.start_as_current_span("fetch"):
        return key


@loses("fetch")
def an_endpoint_that_blocks_in_an_executor() -> None:
    # After opentelemetry-python-contrib issue 1009: the client library that is called in a pool
    # has another trace than the endpoint.
    app = fastapi_app()

    @app.get("/")
    async def endpoint() -> str:
        with tracer.start_as_current_span("endpoint"):
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(None, _fetch_object, "key")  # lost: fetch

    assert asyncio.run(get(app)) == '"key"'


@sound
def an_endpoint_that_blocks_in_the_threads_of_the_framework() -> None:
    app = fastapi_app()

    @app.get("/")
    async def endpoint() -> str:
        with tracer.start_as_current_span("endpoint"):
            key = await asyncio.to_thread(_fetch_object, "key")
            return key + await run_in_threadpool(_fetch_object, "s")

    assert asyncio.run(get(app)) == '"keys"'


@sound
def an_endpoint_that_carries_its_span_by_hand() -> None:
    async def endpoint(request: Any) -> PlainTextResponse:
        with tracer.start_as_current_span("endpoint"):
            here = context.get_current()

            def fetch() -> str:
                token = context.attach(here)
                try:
                    return _fetch_object("key")
                finally:
                    context.detach(token)

            loop = asyncio.get_running_loop()
            return PlainTextResponse(await loop.run_in_executor(None, fetch))

    assert asyncio.run(get(starlette_app(endpoint))) == "key"


@sound(roots=2)
def an_endpoint_that_starts_another_trace_on_purpose() -> None:
    async def endpoint(request: Any) -> PlainTextResponse:
        with tracer.start_as_current_span("endpoint"):
            tracer.start_span("billing", context=context.Context()).end()
        return PlainTextResponse("ok")

    asyncio.run(get(starlette_app(endpoint)))


@sound
def an_endpoint_that_is_not_async() -> None:
    app = fastapi_app()

    def session() -> str:
        return "s"

    @app.get("/")
    def endpoint(session: str = Depends(session)) -> str:
        with tracer.start_as_current_span("endpoint"):
            return _fetch_object(f"key{session}")

    assert asyncio.run(get(app)) == '"keys"'


@sound
def a_dependency_that_holds_the_span_of_the_request() -> None:
    app = fastapi_app()

    async def traced_request() -> AsyncIterator[None]:
        with tracer.start_as_current_span("request"):
            yield

    @app.get("/", dependencies=[Depends(traced_request)])
    async def endpoint() -> str:
        return _fetch_object("key")

    assert asyncio.run(get(app)) == '"key"'


# The pool of the service.


@traceable
def price(item: str) -> int:
    return len(item)


@loses("price")
def a_basket_that_is_priced_in_the_pool_of_the_service() -> None:
    # After fastapi issue 2776: what an async dependency sets is seen in a sync route, and not
    # in the pool that this route uses.
    app = fastapi_app()
    pool = concurrent.futures.ThreadPoolExecutor(2)

    async def traced_request() -> AsyncIterator[None]:
        with langsmith.trace("request"):
            yield

    @app.get("/", dependencies=[Depends(traced_request)])
    def total(items: str) -> int:
        prices = [pool.submit(price, item) for item in items.split()]  # lost: price
        return sum(future.result() for future in prices)

    with pool:
        assert asyncio.run(get(app, "/?items=tea+cup")) == "6"


@sound(roots=2)
def baskets_that_are_priced_in_a_wrapped_pool() -> None:
    pool = ctxtrace.wrap_executor(concurrent.futures.ThreadPoolExecutor(2))

    @traceable
    def total(items: str) -> int:
        return sum(pool.map(price, items.split(",")))

    def endpoint(request: Any) -> PlainTextResponse:
        return PlainTextResponse(str(total("tea,cup")))

    async def two_clients() -> Any:
        app = starlette_app(endpoint)
        return await asyncio.gather(get(app), get(app))

    with pool:
        assert list(asyncio.run(two_clients())) == ["6", "6"]
