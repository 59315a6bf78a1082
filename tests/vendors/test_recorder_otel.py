"""Recording OpenTelemetry's spans, through the provider that the program has set."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import set_tracer_provider  # as a program imports it that is recorded
from vendors.programs import in_a_raw_thread
from vendors.spans import nested, no_provider_set, processors, tracer

from ctxtrace.testing import record

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = __file__


@pytest.fixture
def no_provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with no_provider_set(monkeypatch):
        yield


@pytest.fixture
def exporter(no_provider: None) -> InMemorySpanExporter:
    """The program's own exporter, of the provider that it has set."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    set_tracer_provider(provider)
    return exporter


pytestmark = pytest.mark.usefixtures("exporter")


def test_nested_spans_are_recorded_as_a_tree() -> None:
    with record("otel") as recording:
        nested()
    forest = recording.forest()
    assert forest.shape == [("outer", [("inner", [])])]
    assert forest.sources == ["otel"]
    assert forest.unfinished == []


def test_spans_are_recorded_where_no_source_is_named() -> None:
    with record() as recording:
        nested()
    assert recording.forest("otel").shape == [("outer", [("inner", [])])]
    assert recording.forest("langsmith").nodes == []


def test_spans_are_not_recorded_where_langsmith_alone_is_named() -> None:
    with record("langsmith") as recording:
        nested()
    assert recording.forest().nodes == []


def test_the_programs_own_exporter_gets_what_it_would_get(exporter: InMemorySpanExporter) -> None:
    def exported() -> list[tuple[str, bool]]:
        spans = exporter.get_finished_spans()
        exporter.clear()
        return [(span.name, span.parent is None) for span in spans]

    nested()
    without = exported()
    with record("otel"):
        nested()
    assert exported() == without == [("inner", False), ("outer", True)]


def test_a_provider_gets_one_processor_over_many_recordings() -> None:
    assert processors() == 1
    for _ in range(3):
        with record(), record("otel"):
            nested()
    assert processors() == 2


def test_outside_of_recordings_nothing_is_recorded() -> None:
    with record("otel") as recording:
        pass
    nested()
    assert recording.forest().nodes == []


def test_a_span_says_in_which_thread_and_task_it_started() -> None:
    async def main() -> None:
        asyncio.current_task().set_name("mine")  # type: ignore[union-attr]
        nested()

    with record("otel") as recording:
        asyncio.run(main())
        in_a_raw_thread(nested)
    first, _, second, _ = recording.forest().nodes
    assert (first.thread, first.task) == (threading.current_thread().name, "mine")
    assert (second.thread, second.task) == ("raw", None)


def test_a_span_says_at_which_line_its_block_begins() -> None:
    with record("otel") as recording:
        line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
        with tracer().start_as_current_span("block"):
            pass
    (root,) = recording.forest().roots
    assert root.position == (HERE, line)


def test_a_span_of_a_decorated_function_says_where_the_function_is_in_a_pool_too() -> None:
    @tracer().start_as_current_span("decorated")
    def decorated() -> None:
        pass

    with record("otel") as recording, ThreadPoolExecutor(1) as pool:
        pool.submit(decorated).result()
    (root,) = recording.forest().roots
    assert root.position == (HERE, decorated.__wrapped__.__code__.co_firstlineno)


def test_a_span_has_the_name_it_had_at_its_end() -> None:
    with record("otel") as recording:
        with tracer().start_as_current_span("GET") as span:
            span.update_name("GET /users")
            assert [root.ended for root in recording.forest().roots] == [False]
        (root,) = recording.forest().roots
    assert (root.name, root.ended, root.error) == ("GET /users", True, False)


def test_a_span_that_failed_is_recorded_as_ended_with_an_error() -> None:
    with (
        record("otel") as recording,
        pytest.raises(KeyError),
        tracer().start_as_current_span("failing"),
    ):
        raise KeyError("x")
    (root,) = recording.forest().roots
    assert (root.ended, root.error) == (True, True)


def test_a_span_that_ends_after_the_recording_is_still_followed() -> None:
    with record("otel") as recording:
        span = tracer().start_span("late")
    assert recording.forest().unfinished
    span.end()
    assert recording.forest().unfinished == []


def test_a_span_that_is_open_between_two_recordings_is_the_parent_in_the_second() -> None:
    with record("otel") as first:
        span = tracer().start_span("fixture")
    with trace.use_span(span, end_on_exit=True), record("otel") as second:
        nested()
    assert first.forest().shape == [("fixture", [])]
    assert second.forest().shape == [("fixture", [("outer", [("inner", [])])])]


def test_a_current_span_that_was_not_recorded_gets_no_children() -> None:
    with tracer().start_as_current_span("foreign") as foreign:
        with record("otel") as recording:
            assert not trace.get_current_span().get_span_context().is_valid
            nested()
        assert trace.get_current_span() is foreign
    assert recording.forest().shape == [("outer", [("inner", [])])]
    assert recording.forest().orphans == []


def test_a_span_that_the_block_has_left_open_is_the_parent_in_the_next_recording() -> None:
    def in_a_foreign_span() -> None:
        with tracer().start_as_current_span("foreign"):
            block = tracer().start_as_current_span("fixture")
            with record("otel"):
                block.__enter__()
            with record("otel") as recording:
                nested()
            block.__exit__(None, None, None)
        assert recording.forest().shape == [("fixture", [("outer", [("inner", [])])])]

    contextvars.Context().run(in_a_foreign_span)


def test_a_child_of_a_span_in_another_process_is_no_orphan() -> None:
    remote = trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags(1))
    with record("otel") as recording:
        parent = trace.set_span_in_context(trace.NonRecordingSpan(remote))
        with tracer().start_as_current_span("served", context=parent):
            pass
    assert recording.forest().orphans == []
    assert recording.forest().shape == [("served", [])]


def test_a_child_of_a_recorded_span_is_its_child_also_by_headers() -> None:
    headers: dict[str, str] = {}
    with record("otel") as recording:
        with tracer().start_as_current_span("client"):
            propagate.inject(headers)
        with tracer().start_as_current_span("server", context=propagate.extract(headers)):
            pass
    assert recording.forest().shape == [("client", [("server", [])])]


def test_a_child_of_a_span_that_was_not_recorded_is_an_orphan() -> None:
    foreign = tracer().start_span("foreign")
    with record("otel") as recording:
        tracer().start_span("lost", context=trace.set_span_in_context(foreign)).end()
    foreign.end()
    assert [node.name for node in recording.forest().orphans] == ["lost"]


def test_a_recording_may_end_in_another_context_than_it_began_in(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with tracer().start_as_current_span("foreign") as foreign:
        manager = record("otel")
        contextvars.copy_context().run(manager.start)
        manager.stop()
        assert trace.get_current_span() is foreign
    assert caplog.records == []


def test_what_else_is_in_opentelemetrys_context_stays() -> None:
    token = otel_context.attach(otel_context.set_value("key", "value"))
    with tracer().start_as_current_span("foreign"), record("otel"):
        assert otel_context.get_value("key") == "value"
    otel_context.detach(token)
