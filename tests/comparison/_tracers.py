"""Who traces: LangSmith, OpenTelemetry, and a tracer of one's own on one context variable.

Each opens runs in the way that its documentation shows, keeps them in memory, and says what became
of a child. Nothing here imports ctxtrace: it is one of those that are compared.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    Work = Callable[[], Any]
    AsyncWork = Callable[[], Awaitable[Any]]


class Run(NamedTuple):
    """What was recorded of a run."""

    id: str
    parent: str | None
    name: str


class Tracer:
    """What the programs need of a tracer."""

    name: str

    def open(self, name: str) -> Any:
        """Return a context manager that opens a run."""
        raise NotImplementedError

    def call(self, name: str, work: Work) -> Any:
        with self.open(name):
            return work()

    async def acall(self, name: str, work: AsyncWork) -> Any:
        with self.open(name):
            return await work()

    def child(self) -> None:
        self.call("child", lambda: None)

    async def achild(self) -> None:
        async def nothing() -> None:
            pass

        await self.acall("child", nothing)

    def handle(self) -> Any:
        """Return the current run, as a program would hand it to other code."""
        raise NotImplementedError

    def below(self, handle: Any) -> Any:
        """Return a context manager in which runs have that parent."""
        raise NotImplementedError

    def headers(self) -> dict[str, str]:
        """Return what names the current run in another process."""
        raise NotImplementedError

    def below_headers(self, headers: dict[str, str]) -> Any:
        raise NotImplementedError

    def runs(self) -> list[Run]:
        raise NotImplementedError

    def paths(self, elsewhere: list[Run] = ()) -> list[tuple[str, ...]]:  # type: ignore[assignment]
        """Return the names from the root to each run called child."""
        runs = {run.id: run for run in [*self.runs(), *elsewhere]}
        paths = []
        for run in runs.values():
            if run.name != "child":
                continue
            path = [run.name]
            while run.parent is not None:
                above = runs.get(run.parent)
                path.append("?" if above is None else above.name)
                if above is None:
                    break
                run = above
            paths.append(tuple(reversed(path)))
        return paths


class LangSmith(Tracer):
    """`@traceable`, as it is used most."""

    name = "LangSmith"

    def __init__(self) -> None:
        # Before anything asks for it: LangSmith remembers the answer.
        os.environ["LANGSMITH_TRACING"] = "true"
        from langsmith import Client, run_trees

        recorded = self._recorded = {}

        class Keeping(Client):
            """Keeps what it is to send."""

            def create_run(self, name: str, *args: Any, **kwargs: Any) -> None:
                parent = kwargs.get("parent_run_id")
                id = str(kwargs["id"])
                recorded[id] = Run(id, None if parent is None else str(parent), name)

            def update_run(self, *args: Any, **kwargs: Any) -> None:
                pass

        self.client = Keeping(
            api_url="http://localhost", api_key="none", auto_batch_tracing=False, info={}
        )
        # What every run takes that is not given another. No context variable, which would be
        # lost together with what is looked at.
        run_trees._CLIENT = self.client

    def open(self, name: str) -> Any:
        from langsmith import trace

        return trace(name)

    def call(self, name: str, work: Work) -> Any:
        from langsmith import traceable

        return traceable(name=name)(work)()

    async def acall(self, name: str, work: AsyncWork) -> Any:
        from langsmith import traceable

        return await traceable(name=name)(work)()

    def handle(self) -> Any:
        from langsmith import get_current_run_tree

        return get_current_run_tree()

    def below(self, handle: Any) -> Any:
        from langsmith import tracing_context

        return tracing_context(parent=handle)

    def headers(self) -> dict[str, str]:
        return dict(self.handle().to_headers())

    def below_headers(self, headers: dict[str, str]) -> Any:
        return self.below(headers)

    def runs(self) -> list[Run]:
        return list(self._recorded.values())


class OpenTelemetry(Tracer):
    """Spans of the SDK."""

    name = "OpenTelemetry"

    def __init__(self) -> None:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._tracer = self.provider.get_tracer("comparison")

    def open(self, name: str) -> Any:
        return self._tracer.start_as_current_span(name)

    def handle(self) -> Any:
        from opentelemetry import context

        return context.get_current()

    @contextlib.contextmanager
    def below(self, handle: Any) -> Iterator[None]:
        from opentelemetry import context

        token = context.attach(handle)
        try:
            yield
        finally:
            context.detach(token)

    def headers(self) -> dict[str, str]:
        from opentelemetry import propagate

        headers: dict[str, str] = {}
        propagate.inject(headers)
        return headers

    def below_headers(self, headers: dict[str, str]) -> Any:
        from opentelemetry import propagate

        return self.below(propagate.extract(headers))

    def runs(self) -> list[Run]:
        return [
            Run(
                str(span.context.span_id),
                None if span.parent is None else str(span.parent.span_id),
                span.name,
            )
            for span in self._exporter.get_finished_spans()
        ]


class OwnVariable(Tracer):
    """A tracer as one writes it oneself, with the current run in a context variable."""

    name = "a context variable"
    _current: ContextVar[str | None] = ContextVar("current", default=None)

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._numbers = itertools.count()

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[None]:
        run = Run(f"{os.getpid()}-{next(self._numbers)}", self._current.get(), name)
        self._runs.append(run)
        with self.below(run.id):
            yield

    def handle(self) -> Any:
        return self._current.get()

    @contextlib.contextmanager
    def below(self, handle: Any) -> Iterator[None]:
        before = self._current.get()
        self._current.set(handle)
        try:
            yield
        finally:
            # No token: a generator that holds it over a yield may be closed in another context.
            self._current.set(before)

    def headers(self) -> dict[str, str]:
        return {"parent": self.handle()}

    def below_headers(self, headers: dict[str, str]) -> Any:
        return self.below(headers["parent"])

    def runs(self) -> list[Run]:
        return list(self._runs)


TRACERS = {tracer.name: tracer for tracer in (LangSmith, OpenTelemetry, OwnVariable)}
