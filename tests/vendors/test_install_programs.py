"""Unedited programs under install(): each boundary, for each tracer, and a service with them all.

The crossings are those of test_boundaries.py, where the controls are: the same ones, without
install(), split.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import threading
from multiprocessing.pool import ThreadPool
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI
from langsmith import run_helpers
from starlette.responses import StreamingResponse
from vendors import crossings
from vendors.crossings import FROM_A_LOOP, LIMIT, STANDARD, THREADED
from vendors.test_boundaries import (
    IN_TIME_OR_LATE,
    ON_EACH_LOOP,
    SPLIT,
    WHOLE,
    cross_and_outlive_the_parent,
    cross_from_a_loop,
    cross_while_the_parent_runs,
)
from vendors.tracers import TRACERS, OwnVariable

import ctxtrace
from ctxtrace.testing import record

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=TRACERS, ids=lambda kind: kind.__name__)
def tracer(request: pytest.FixtureRequest) -> Iterator[Any]:
    tracer = request.param()
    with tracer.recording():
        yield tracer


CARRIED = [crossing for crossing in THREADED if crossing is not crossings.done_callback]


@IN_TIME_OR_LATE
@pytest.mark.parametrize("crossing", CARRIED, ids=lambda f: f.__name__)
def test_a_thread_of_the_standard_library_keeps_the_trace_whole(
    tracer: Any, crossing: Any, cross: Any
) -> None:
    with ctxtrace.install():
        cross(tracer, crossing, STANDARD)
    assert tracer.shape() == WHOLE


@pytest.mark.parametrize(
    "crossing", [crossings.submit, crossings.thread, crossings.timer], ids=lambda f: f.__name__
)
def test_the_trace_alone_is_whole_and_takes_no_variable_of_the_users_along(
    tracer: Any, crossing: Any
) -> None:
    with ctxtrace.install(variables="trace"):
        cross_and_outlive_the_parent(tracer, crossing, STANDARD)
    assert tracer.shape() == (SPLIT if isinstance(tracer, OwnVariable) else WHOLE)


def test_limit_a_callback_of_a_future_is_not_carried(tracer: Any) -> None:
    with ctxtrace.install():
        cross_while_the_parent_runs(tracer, crossings.done_callback, STANDARD)
    assert tracer.shape() == SPLIT


@ON_EACH_LOOP
@pytest.mark.parametrize("crossing", FROM_A_LOOP, ids=lambda f: f.__name__)
def test_what_outlives_its_parent_in_asyncio_keeps_the_trace_whole(
    tracer: Any, crossing: Any, run: Any
) -> None:
    with ctxtrace.install():
        cross_from_a_loop(tracer, crossing, STANDARD, run)
    assert tracer.shape() == WHOLE


# A service, as it is written by who has never heard of us.


def build_service(traceable: Any) -> tuple[FastAPI, Any]:
    app = FastAPI()
    left_behind: list[Any] = []

    @traceable
    def look_up(source: object) -> str:
        return f"{source}"

    @traceable
    async def remember() -> None:
        pass

    @traceable
    async def tokens() -> Any:
        for word in ("one", "two"):
            look_up(word)
            yield word

    async def follow_up(answered: asyncio.Event) -> None:
        await answered.wait()
        gc.collect()
        await remember()

    def in_threads() -> None:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(look_up, range(2)))
        with ThreadPool(1) as pool:
            pool.map(look_up, range(2))
        threads = [threading.Thread(target=look_up, args=(1,)), threading.Timer(0, look_up, (1,))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)

    @traceable
    async def answer(answered: asyncio.Event) -> list[Any]:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, in_threads)
        left_behind.append(asyncio.create_task(follow_up(answered)))
        return [tokens()]

    @app.get("/")
    async def endpoint(background: BackgroundTasks) -> StreamingResponse:
        answered = asyncio.Event()
        (stream,) = await answer(answered)
        background.add_task(answered.set)
        return StreamingResponse(stream, background=background)

    async def settled() -> None:
        await asyncio.gather(*left_behind)

    return app, settled


async def _request(app: Any, settled: Any, times: int) -> None:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        responses = await asyncio.gather(*(client.get("/") for _ in range(times)))
    assert {response.text for response in responses} == {"onetwo"}
    await settled()


LOOKED_UP = ("look_up", [])
ANSWER = ("answer", [*[LOOKED_UP] * 6, ("remember", []), ("tokens", [LOOKED_UP] * 2)])


def test_a_service_that_nobody_edited_has_one_trace_a_request() -> None:
    with record("langsmith") as recording, ctxtrace.install():
        app, settled = build_service(run_helpers.traceable)
        asyncio.run(_request(app, settled, 3))
    assert recording.forest().shape == [ANSWER] * 3


def test_control_a_service_that_nobody_edited_has_many_traces_a_request() -> None:
    with record("langsmith") as recording:
        app, settled = build_service(run_helpers.traceable)
        asyncio.run(_request(app, settled, 3))
    assert len(recording.forest().shape) >= 3 * 8
