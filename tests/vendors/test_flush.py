"""`flush` and `shutdown` with real libraries: everyone who keeps runs is found, and sends them."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from langsmith import Client, traceable, tracing_context
from opentelemetry import trace
from opentelemetry.metrics import _internal as metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from vendors.langsmith_server import all_threads_ended, closing, serving

import ctxtrace
from ctxtrace.carriers._exporting import live_exporters
from ctxtrace.lifecycle import flushing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from vendors.langsmith_server import Server

NEVER = 3_600_000  # milliseconds: what is sent before has been flushed
ENOUGH = 1.0  # seconds


@traceable
def work() -> None:
    pass


@pytest.fixture(autouse=True)
def _nothing_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    # Which may have left clients and providers that nobody ended.
    earlier = [exporter.target for exporter in live_exporters()]

    def of_this_test() -> list[Any]:
        return [each for each in live_exporters() if all(each.target is not e for e in earlier)]

    monkeypatch.setattr(flushing, "live_exporters", of_this_test)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def states(report: ctxtrace.FlushReport) -> list[tuple[str, str]]:
    return sorted((each.name, each.state) for each in report.exporters)


# LangSmith.


def test_every_client_of_langsmith_is_found_and_sends(server: Server) -> None:
    with all_threads_ended():
        clients = [Client(api_url=server.url, api_key="none") for _ in range(2)]
        for client in clients:
            with tracing_context(enabled=True, client=client):
                work()
        assert states(ctxtrace.flush()) == [("langsmith", "flushed")] * 2
        assert [client.tracing_queue.unfinished_tasks for client in clients] == [0, 0]
        assert "POST /runs/batch" in server.requests
        for client in clients:
            with closing(client):
                pass
        del client, clients


def test_a_client_that_has_gone_is_not_kept(server: Server) -> None:
    with all_threads_ended():
        client = Client(api_url=server.url, api_key="none")
        reference = weakref.ref(client)
        assert states(ctxtrace.flush()) == [("langsmith", "flushed")]
        with closing(client):
            pass
        del client
    gc.collect()
    assert reference() is None
    assert ctxtrace.flush().exporters == ()


def test_a_client_of_langsmith_that_ends_has_sent_all_and_its_thread_is_gone(
    server: Server,
) -> None:
    with all_threads_ended():
        client = Client(api_url=server.url, api_key="none")
        with tracing_context(enabled=True, client=client):
            work()
        assert ctxtrace.shutdown().ok
        assert client.tracing_queue is not None
        assert client.tracing_queue.unfinished_tasks == 0
        client.session.close()
        # And its thread ends though the client lives.
    assert client.tracing_queue.qsize() == 0


# OpenTelemetry.


class Stuck(SpanExporter):
    """Exports nothing until it may."""

    def __init__(self) -> None:
        self.may_end = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.may_end.wait()
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        pass


def provider_to(exporter: SpanExporter) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=NEVER))
    return provider


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> Iterator[TracerProvider]:
    provider = provider_to(exporter)
    yield provider
    provider.shutdown()


def a_span(provider: TracerProvider) -> None:
    provider.get_tracer("test").start_span("span").end()


def test_control_a_batch_processor_keeps_its_spans(
    provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    a_span(provider)
    assert exporter.get_finished_spans() == ()


def test_the_provider_of_the_program_is_flushed(
    provider: TracerProvider, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    a_span(provider)
    assert states(ctxtrace.flush()) == [("opentelemetry traces", "flushed")]
    assert len(exporter.get_finished_spans()) == 1


def test_a_provider_that_nobody_set_is_flushed(
    provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    a_span(provider)
    assert states(ctxtrace.flush()) == [("opentelemetry", "flushed")]
    assert len(exporter.get_finished_spans()) == 1


def test_the_provider_of_metrics_is_flushed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Kept(InMemoryMetricReader):
        def force_flush(self, timeout_millis: float = 10_000) -> bool:
            flushed.append(timeout_millis)
            return True

    flushed: list[float] = []
    provider = MeterProvider(metric_readers=[Kept()], shutdown_on_exit=False)
    monkeypatch.setattr(metrics, "_METER_PROVIDER", provider)
    assert states(ctxtrace.flush(5)) == [("opentelemetry metrics", "flushed")]
    assert 0 < flushed[0] <= 5000
    provider.shutdown()


def test_a_reader_of_metrics_that_nobody_set_is_flushed() -> None:
    from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult

    class Kept(MetricExporter):
        def export(self, metrics_data: Any, timeout_millis: float = 0, **_: Any) -> Any:
            exported.append(metrics_data)
            return MetricExportResult.SUCCESS

        def force_flush(self, timeout_millis: float = 0) -> bool:
            return True

        def shutdown(self, timeout_millis: float = 0, **_: Any) -> None:
            pass

    exported: list[Any] = []
    reader = PeriodicExportingMetricReader(Kept(), export_interval_millis=NEVER)
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    provider.get_meter("test").create_counter("count").add(1)
    assert states(ctxtrace.flush()) == [("opentelemetry", "flushed")]
    assert len(exported) == 1
    provider.shutdown()


def test_the_provider_of_logs_is_flushed(monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry._logs import _internal as logs
    from opentelemetry.sdk._logs import LoggerProvider

    class Provider(LoggerProvider):
        def force_flush(self, timeout_millis: int = 30000) -> bool:
            flushed.append(timeout_millis)
            return True

    flushed: list[float] = []
    provider = Provider(shutdown_on_exit=False)
    monkeypatch.setattr(logs, "_LOGGER_PROVIDER", provider)
    assert states(ctxtrace.flush(5)) == [("opentelemetry logs", "flushed")]
    assert 0 < flushed[0] <= 5000


def test_an_exporter_that_hangs_is_not_waited_for_though_opentelemetry_would(
    provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    stuck = Stuck()
    hanging = provider_to(stuck)
    for each in (hanging, provider):
        a_span(each)
    report = ctxtrace.flush(ENOUGH)
    assert states(report) == [("opentelemetry", "flushed"), ("opentelemetry", "timed out")]
    assert len(exporter.get_finished_spans()) == 1
    stuck.may_end.set()
    hanging.shutdown()


def test_a_provider_that_ends_sends_what_it_has_and_takes_no_more(
    provider: TracerProvider, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    a_span(provider)
    assert ctxtrace.shutdown().ok
    assert len(exporter.get_finished_spans()) == 1
    a_span(provider)
    assert ctxtrace.shutdown().ok
    assert len(exporter.get_finished_spans()) == 1


# All at once.


def test_all_libraries_are_flushed_at_once_and_reported(
    server: Server, provider: TracerProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    with all_threads_ended():
        client = Client(api_url=server.url, api_key="none")
        with tracing_context(enabled=True, client=client):
            work()
        a_span(provider)
        report = ctxtrace.flush()
        assert states(report) == [("langsmith", "flushed"), ("opentelemetry traces", "flushed")]
        assert {line.partition(",")[0] for line in str(report).splitlines()} == {
            "langsmith: flushed",
            "opentelemetry traces: flushed",
        }
        with closing(client):
            pass
        del client
