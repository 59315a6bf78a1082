"""Small programs of spans, and a process that has no provider yet, for tests of the recorder."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.util._once import Once

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


@contextlib.contextmanager
def no_provider_set(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the process be one in which no provider was set yet."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())
    yield
    if isinstance(trace._TRACER_PROVIDER, TracerProvider):
        trace._TRACER_PROVIDER.shutdown()


@functools.cache
def one_provider() -> TracerProvider:
    """Return the same each time: the tracers of programs that were imported go on with it."""
    return TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)


def tracer() -> trace.Tracer:
    # Asked for anew: one that was made for the provider of another test goes on with it.
    return trace.get_tracer("tests")


def nested() -> None:
    with tracer().start_as_current_span("outer"), tracer().start_as_current_span("inner"):
        pass


def processors(provider: object = None) -> int:
    """How many the provider has, or the one that is set."""
    provider = provider or trace.get_tracer_provider()
    return len(provider._active_span_processor._span_processors)  # type: ignore[attr-defined]
