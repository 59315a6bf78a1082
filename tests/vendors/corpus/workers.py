"""Services, served in process: what goes on when a request is over, or serves them all."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import threading
from typing import TYPE_CHECKING, Any

from fastapi import BackgroundTasks  # noqa: TC002 - FastAPI reads it from the annotations
from langsmith import traceable
from opentelemetry import trace
from starlette.responses import PlainTextResponse
from vendors.corpus import WEAK, loses, sound
from vendors.corpus.services import fastapi_app, get, starlette_app

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Callable

tracer = trace.get_tracer("corpus")

# Tasks.


@traceable
async def notify(user: str) -> None:
    await asyncio.sleep(0)


def _order(create_task: Callable[..., asyncio.Task[None]]) -> None:
    async def main() -> None:
        answered = asyncio.Event()
        mails: list[asyncio.Task[None]] = []

        async def mail(user: str) -> None:
            await answered.wait()
            await notify(user)

        # Not async: LangSmith would end its run in a thread, which may hold it a little longer.
        @traceable
        def order() -> str:
            mails.append(create_task(mail("ada")))  # lost: notify
            return "thanks"

        async def endpoint(request: Any) -> PlainTextResponse:
            return PlainTextResponse(order())

        assert await get(starlette_app(endpoint)) == "thanks"
        answered.set()
        await mails[0]

    asyncio.run(main())


@loses("notify", when=WEAK)
def an_order_whose_mail_is_sent_by_a_task() -> None:
    _order(asyncio.create_task)


@sound
def an_order_whose_mail_is_sent_by_a_task_that_keeps_its_parent() -> None:
    _order(ctxtrace.create_task)


@sound
def an_order_whose_task_outlives_a_span() -> None:
    # A context holds spans strongly: a task may outlive them.
    sent: list[asyncio.Task[str]] = []

    async def mail() -> str:
        await asyncio.sleep(0)
        with tracer.start_as_current_span("mail"):
            return "sent"

    async def endpoint(request: Any) -> PlainTextResponse:
        with tracer.start_as_current_span("order"):
            sent.append(asyncio.create_task(mail()))
        return PlainTextResponse("thanks")

    async def main() -> None:
        await get(starlette_app(endpoint))
        assert await sent[0] == "sent"

    asyncio.run(main())


@traceable
def embed(document: str) -> int:
    return len(document)


@loses("embed")
def an_upload_that_is_indexed_in_the_background() -> None:
    app = fastapi_app()

    @traceable
    def index(document: str) -> None:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            assert sum(pool.map(embed, document.split())) == 5  # lost: embed

    @app.get("/")
    async def upload(background: BackgroundTasks) -> str:
        background.add_task(index, "ab cde")
        return "taken"

    assert asyncio.run(get(app)) == '"taken"'


def _upload(work: Callable[[Any], Any]) -> None:
    app = fastapi_app()

    @traceable
    async def accept(background: BackgroundTasks) -> str:
        background.add_task(work(embed), "ab cde")
        return "taken"

    @app.get("/")
    async def upload(background: BackgroundTasks) -> str:
        return await accept(background)

    assert asyncio.run(get(app)) == '"taken"'


@sound(roots=2)
def an_upload_whose_background_task_is_a_trace_of_its_own() -> None:
    # Starlette calls it when the endpoint has returned: nothing was crossed, nothing lost.
    _upload(lambda function: function)


@sound
def an_upload_whose_background_task_is_wrapped_where_it_is_added() -> None:
    _upload(ctxtrace.wrap)


# Workers that serve all requests.


def _write_all(entries: queue.Queue[str | None], name: str) -> None:
    for _ in iter(entries.get, None):
        with tracer.start_as_current_span(name):
            entries.task_done()


@loses("write")
def a_log_written_by_a_worker_of_the_service() -> None:
    entries: queue.Queue[str | None] = queue.Queue()
    worker = threading.Thread(target=_write_all, args=[entries, "write"])
    worker.start()

    async def endpoint(request: Any) -> PlainTextResponse:
        with tracer.start_as_current_span("request"):
            entries.put_nowait("served")  # lost: write
        return PlainTextResponse("ok")

    asyncio.run(get(starlette_app(endpoint)))
    entries.put(None)
    worker.join()


@sound(roots=2)
def a_log_whose_entries_belong_to_no_request() -> None:
    entries: queue.Queue[str | None] = queue.Queue()
    worker = threading.Thread(target=_write_all, args=[entries, "rotate"])
    worker.start()

    async def endpoint(request: Any) -> PlainTextResponse:
        entries.put_nowait("rotate")
        with tracer.start_as_current_span("request"):
            return PlainTextResponse("ok")

    asyncio.run(get(starlette_app(endpoint)))
    entries.put(None)
    worker.join()


def _serve_two(log: Callable[[str], None]) -> None:
    def endpoint(request: Any) -> PlainTextResponse:
        with tracer.start_as_current_span("request"):
            log(request.query_params["entry"])
        return PlainTextResponse("ok")

    async def main() -> None:
        app = starlette_app(endpoint)
        for entry in ("one", "two"):
            await get(app, f"/?entry={entry}")

    asyncio.run(main())


def _write(entry: str) -> None:
    with tracer.start_as_current_span(f"write {entry}"):
        pass


@loses("write two", how="leak", roots=2)
def a_worker_that_the_first_request_starts() -> None:
    # As reported of a server whose database writes all showed up in the trace of one request.
    entries: queue.Queue[str | None] = queue.Queue()
    workers: list[threading.Thread] = []

    def work() -> None:
        for entry in iter(entries.get, None):
            _write(entry)
            entries.task_done()

    def log(entry: str) -> None:
        if not workers:
            workers.append(ctxtrace.Thread(target=work))
            workers[0].start()  # lost: write two
        entries.put(entry)
        entries.join()

    _serve_two(log)
    entries.put(None)
    workers[0].join()


@sound(roots=2)
def a_worker_that_the_first_request_starts_outside_of_its_trace() -> None:
    entries: ctxtrace.ContextQueue[str] = ctxtrace.ContextQueue(queue.Queue())
    workers: list[threading.Thread] = []

    def log(entry: str) -> None:
        if not workers:
            with ctxtrace.detached():
                workers.append(ctxtrace.Thread(target=entries.serve, args=[_write]))
                workers[0].start()
        entries.put(entry)
        entries.join()

    _serve_two(log)
    entries.stop()
    workers[0].join()


@loses("save two", how="leak", roots=2)
def a_worker_task_that_the_first_request_creates() -> None:
    # After ogx's pull request 5168: the task of a queue goes on in the trace of whoever made it.
    async def main() -> None:
        entries: asyncio.Queue[str] = asyncio.Queue()
        workers: list[asyncio.Task[None]] = []

        async def work() -> None:
            while True:
                entry = await entries.get()
                with tracer.start_as_current_span(f"save {entry}"):
                    entries.task_done()

        async def endpoint(request: Any) -> PlainTextResponse:
            with tracer.start_as_current_span("request"):
                if not workers:
                    workers.append(asyncio.create_task(work()))  # lost: save two
                await entries.put(request.query_params["entry"])
                await entries.join()
            return PlainTextResponse("ok")

        app = starlette_app(endpoint)
        for entry in ("one", "two"):
            await get(app, f"/?entry={entry}")
        workers[0].cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    asyncio.run(main())


@sound(roots=2)
def a_worker_task_that_serves_each_entry_under_its_request() -> None:
    async def main() -> None:
        entries: ctxtrace.AsyncContextQueue[str] = ctxtrace.AsyncContextQueue(asyncio.Queue())
        with ctxtrace.detached():
            worker = asyncio.create_task(entries.serve(_write))

        async def endpoint(request: Any) -> PlainTextResponse:
            with tracer.start_as_current_span("request"):
                await entries.put("one")
            return PlainTextResponse("ok")

        app = starlette_app(endpoint)
        await asyncio.gather(get(app), get(app))
        entries.stop()
        await worker

    asyncio.run(main())
