"""Threads of real libraries that serve many requests start empty under install().

Each kind starts its worker while ada is served. It returns a function to be called while grace
is served, that tells whom the worker itself sees.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import uuid

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
import requests
from core.support import LIMIT, as_seen_by_the_next_request, serving, user
from langsmith import Client
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from trio._core._thread_cache import ThreadCache

import ctxtrace
from ctxtrace.patches import threads


def tracing_thread_of_langsmith(stack):
    seen = queue.Queue()

    class Session(requests.Session):
        def request(self, method, url, **_):
            if method == "POST":
                seen.put(user())
            response = requests.Response()
            response.status_code = 202
            response._content = b"{}"
            return response

    client = Client(api_url="http://localhost:1", api_key="none", session=Session(), info={})
    stack.callback(client.cleanup)

    def look():
        run = uuid.uuid4()
        client.create_run("child", {}, "chain", id=run, trace_id=run, dotted_order=f"20260101{run}")
        return seen.get(timeout=LIMIT)

    return look


def span_processor(stack):
    seen = queue.Queue()

    class Exporter(SpanExporter):
        def export(self, spans):
            seen.put(user())
            return SpanExportResult.SUCCESS

    provider = TracerProvider(shutdown_on_exit=False)
    # With one span a batch is full, and the worker is the one to export it.
    provider.add_span_processor(BatchSpanProcessor(Exporter(), max_export_batch_size=1))
    stack.callback(provider.shutdown)

    def look():
        provider.get_tracer("tests").start_span("child").end()
        return seen.get(timeout=LIMIT)

    return look


def metric_reader(stack):
    seen = queue.Queue()

    class Exporter(MetricExporter):
        def export(self, metrics_data, timeout_millis=0, **_):
            seen.put((threading.current_thread(), user()))
            return MetricExportResult.SUCCESS

        def force_flush(self, timeout_millis=0):
            return True

        def shutdown(self, timeout_millis=0, **_):
            pass

    reader = PeriodicExportingMetricReader(Exporter(), export_interval_millis=5)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    stack.callback(provider.shutdown)

    def look():
        provider.get_meter("tests").create_counter("requests").add(1)
        thread, name = seen.get(timeout=LIMIT)
        assert thread is not threading.current_thread()
        return name

    return look


def worker_thread_of_anyio(stack):
    loop = asyncio.new_event_loop()
    stack.callback(loop.close)
    seen = []

    def call_soon_threadsafe(*args, **kwargs):
        # How a worker reports its result, from its own context.
        seen.append((threading.current_thread(), user()))
        return type(loop).call_soon_threadsafe(loop, *args, **kwargs)

    loop.call_soon_threadsafe = call_soon_threadsafe

    async def main():
        # A worker lives for as long as its loop, so both requests are served here.
        with serving("ada"):
            assert await anyio.to_thread.run_sync(user) == "ada"
        seen.clear()
        assert await anyio.to_thread.run_sync(user) == "grace"
        return next(name for thread, name in seen if thread is not threading.current_thread())

    return lambda: anyio.run(main, backend_options={"loop_factory": lambda: loop})


def portal_of_anyio(stack):
    seen = []

    def loop_factory():  # called in the portal's thread
        seen.append(user())
        return asyncio.new_event_loop()

    stack.enter_context(
        anyio.from_thread.start_blocking_portal(
            "asyncio", backend_options={"loop_factory": loop_factory}
        )
    )
    return seen.pop


def worker_thread_of_trio(stack):
    results = queue.Queue()
    cache = ThreadCache()  # not trio's own, where one may be idle from a test before

    def look():
        cache.start_thread_soon(user, results.put)
        return results.get(timeout=LIMIT).unwrap()

    look()
    return look


KINDS = {
    "LangSmith's tracing thread": tracing_thread_of_langsmith,
    "OpenTelemetry's BatchSpanProcessor": span_processor,
    "OpenTelemetry's PeriodicExportingMetricReader": metric_reader,
    "anyio's worker thread": worker_thread_of_anyio,
    "anyio's portal": portal_of_anyio,
    "trio's worker thread": worker_thread_of_trio,
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        yield stack


@every_kind
def test_a_worker_shows_nothing_of_the_request_that_started_it(kind, stack):
    with ctxtrace.install():
        assert as_seen_by_the_next_request(kind, stack) == "nobody"


@every_kind
def test_control_if_every_thread_carried_a_worker_would_show_the_request(kind, stack, monkeypatch):
    monkeypatch.setattr(threads, "serves_many", lambda *_: False)
    with ctxtrace.install():
        assert as_seen_by_the_next_request(kind, stack) == "ada"
