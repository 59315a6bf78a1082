"""The libraries that are measured beside, and which of them can be."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Peer(NamedTuple):
    module: str
    distribution: str
    since: tuple[int, int] = (3, 9)


PEERS = {
    "langchain": Peer("langchain_core", "langchain-core"),
    "langfuse": Peer("langfuse", "langfuse", since=(3, 10)),
    "logfire": Peer("logfire", "logfire"),
    "opentelemetry": Peer(
        "opentelemetry.instrumentation.threading", "opentelemetry-instrumentation-threading"
    ),
}


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of a package that it lies in
        return False


def left_out(without: list[str]) -> dict[str, str]:
    """Return which peers are not measured, and why.

    Raises:
        SystemExit: One is not installed that could be, and nobody said to leave it out.
    """
    out = dict.fromkeys(without, "left out by --without")
    for name, peer in PEERS.items():
        if name in out:
            continue
        if sys.version_info < peer.since:
            out[name] = "its releases need Python {}.{}".format(*peer.since)
        elif not _is_installed(peer.module):
            raise SystemExit(
                f"{peer.distribution} is not installed. Install the dependency groups integration "
                f"and bench, or leave it out with --without {name}."
            )
    return out


SUBMIT, SUBMIT_TO_PROCESS = ThreadPoolExecutor.submit, ProcessPoolExecutor.submit


@contextlib.contextmanager
def patched(undo: Any) -> Iterator[None]:
    """Check that the pools are patched in the block, and not after it."""
    assert ThreadPoolExecutor.submit is not SUBMIT, "nothing was patched"
    try:
        yield
    finally:
        undo()
        assert ThreadPoolExecutor.submit is SUBMIT, "the patch was left behind"


@contextlib.contextmanager
def opentelemetry_instrumented() -> Iterator[None]:
    from opentelemetry.instrumentation.threading import ThreadingInstrumentor

    ThreadingInstrumentor().instrument()
    with patched(ThreadingInstrumentor().uninstrument):
        yield


def load_logfire() -> None:
    """Import it while nothing is patched, for it remembers what it finds."""
    assert ThreadPoolExecutor.submit is SUBMIT
    from logfire._internal.integrations import executors

    assert executors.submit_t_orig is SUBMIT


@contextlib.contextmanager
def logfire_instrumented() -> Iterator[None]:
    from logfire._internal.integrations.executors import instrument_executors

    def undo() -> None:
        ThreadPoolExecutor.submit = SUBMIT  # type: ignore[method-assign]
        ProcessPoolExecutor.submit = SUBMIT_TO_PROCESS  # type: ignore[method-assign]

    instrument_executors()
    with patched(undo):
        yield


@cache
def langfuse_spans() -> list[str]:
    """Make a Langfuse client that sends nothing; return the list of the spans that it starts."""
    from langfuse import Langfuse
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    started: list[str] = []

    class Counting(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            started.append(span.name)

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider(shutdown_on_exit=False)  # of its own: no other tracer sees it
    provider.add_span_processor(Counting())
    Langfuse(
        public_key="pk-lf-none",
        secret_key="sk-lf-none",
        base_url="http://localhost",
        tracer_provider=provider,
        span_exporter=Nowhere(),
    )
    return started
