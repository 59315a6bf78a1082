"""The four things whose nesting is tested, behind one face."""

from __future__ import annotations

import contextlib
import itertools
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import langsmith
from langchain_core.runnables import RunnableLambda
from langsmith._internal import _context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ctxtrace.testing import Forest, record
from ctxtrace.testing._forest import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LANGSMITH_IS_WEAK = hasattr(_context, "_PARENT_RUN_TREE_REF")


class LangSmith:
    """Runs of LangSmith's `@traceable`."""

    # Whether work that a copied context reaches still finds a parent that has returned.
    keeps_ended_parents = not LANGSMITH_IS_WEAK

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        with record("langsmith") as recording:
            self._recording = recording
            yield

    def call(self, name: str, work: Callable[[], Any]) -> Any:
        return langsmith.traceable(name=name)(work)()

    def open(self, name: str) -> Any:
        return langsmith.trace(name)

    def shape(self) -> list[Any]:
        return self._recording.forest().shape


class LangChain(LangSmith):
    """Runs of LangChain's runnables, which arrive in LangSmith."""

    keeps_ended_parents = True

    def call(self, name: str, work: Callable[[], Any]) -> Any:
        return RunnableLambda(lambda _: work()).invoke(None, {"run_name": name})


class OpenTelemetry:
    """Spans."""

    keeps_ended_parents = True

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._tracer = provider.get_tracer("tests")
        yield
        provider.shutdown()

    def call(self, name: str, work: Callable[[], Any]) -> Any:
        with self.open(name):
            return work()

    def open(self, name: str) -> Any:
        return self._tracer.start_as_current_span(name)

    def shape(self) -> list[Any]:
        return Forest.from_records(
            Record(
                id=str(span.context.span_id),
                parent_id=None if span.parent is None else str(span.parent.span_id),
                name=span.name,
                start=float(span.start_time),
            )
            for span in self._exporter.get_finished_spans()
        ).shape


class OwnVariable:
    """A tracer as a user might write one on a single context variable."""

    keeps_ended_parents = True
    _current: ContextVar[str | None] = ContextVar("current", default=None)

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        self._records: list[Record] = []
        self._ids = itertools.count()
        yield

    def call(self, name: str, work: Callable[[], Any]) -> Any:
        with self.open(name):
            return work()

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[None]:
        number = next(self._ids)
        self._records.append(Record(str(number), self._current.get(), name, float(number)))
        token = self._current.set(str(number))
        try:
            yield
        finally:
            self._current.reset(token)

    def shape(self) -> list[Any]:
        return Forest.from_records(self._records).shape


TRACERS = [LangSmith, LangChain, OpenTelemetry, OwnVariable]
