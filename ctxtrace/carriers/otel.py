"""OpenTelemetry: the current span, in a context of OpenTelemetry's own.

Nothing to pin: the API keeps its immutable context, and in it the span, as the value of one
context variable. `clear` takes the span out and leaves the rest (baggage) in place.
"""

from __future__ import annotations

import json
import os
import sys
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from . import Carrier, _otel_sdk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from . import StreamEnd


class _Key(NamedTuple):
    # Span identifiers alone need not differ between traces.
    trace_id: int
    span_id: int

    def __str__(self) -> str:
        return f"{self.trace_id:032x}-{self.span_id:016x}"


class _OpenTelemetry(Carrier):
    name = "opentelemetry"

    def current(self) -> tuple[object, str] | None:
        context: Any = sys.modules["opentelemetry.context"]
        variable = getattr(context._RUNTIME_CONTEXT, "_current_context", None)
        inside = context.get_current() if variable is None else variable.get()
        if not inside:
            return None  # as it is in most contexts, and found out in a fifth of the time
        span = sys.modules["opentelemetry.trace"].get_current_span(inside)
        named = span.get_span_context()
        if not named.is_valid:
            return None
        # A span that does not record, as one from another process, has no name.
        return _Key(named.trace_id, named.span_id), getattr(span, "name", "a span")

    def clear(self) -> None:
        trace: Any = sys.modules["opentelemetry.trace"]
        context: Any = sys.modules["opentelemetry.context"]
        # Attached in a private copy that is thrown away; there is nothing to detach.
        context.attach(trace.set_span_in_context(trace.INVALID_SPAN))

    def open_run(
        self, name: str, run_type: str, inputs: object
    ) -> Callable[[StreamEnd], None] | None:
        """Start a span, if the program has set a provider. Inputs are never recorded."""
        trace: Any = sys.modules["opentelemetry.trace"]
        context: Any = sys.modules["opentelemetry.context"]
        provider = trace.get_tracer_provider()
        if isinstance(provider, trace.ProxyTracerProvider):
            return None  # what stands there until somebody sets one
        tracer = provider.get_tracer("ctxtrace")
        span = tracer.start_span(name, attributes={"ctxtrace.stream.run_type": run_type})
        context.attach(trace.set_span_in_context(span))  # for the stream's life: not detached
        ended = partial(_end, span)
        if not _content_is_wanted():
            vars(ended)["without_outputs"] = True
        return ended

    def variables(self) -> Iterable[ContextVar[Any]]:
        # Looked up anew each time: OTEL_PYTHON_CONTEXT may name an implementation without
        # context variables, and tests exchange the object.
        context: Any = sys.modules["opentelemetry.context"]
        variable = getattr(context._RUNTIME_CONTEXT, "_current_context", None)
        return (variable,) if isinstance(variable, ContextVar) else ()

    def exporters(self) -> Iterator[Any]:
        """Yield the SDK's providers and processors."""
        return _otel_sdk.exporters()

    def ending(self, bounded: Callable[[Callable[[], Any]], Callable[[], Any]]) -> None:
        """Have what the SDK does at exit end in time."""
        _otel_sdk.end(bounded)

    def after_fork(self) -> Callable[[], None] | None:
        """Leave spans that are open at a fork to the parent."""
        return _otel_sdk.leave_ends_to_the_parent()


def _end(span: Any, end: StreamEnd) -> None:
    try:
        _describe(span, end)
    finally:
        span.end()  # whatever cannot be described


def _describe(span: Any, end: StreamEnd) -> None:
    trace: Any = sys.modules["opentelemetry.trace"]
    attributes: dict[str, Any] = {
        "ctxtrace.stream.chunks": end.chunks,
        "ctxtrace.stream.closed_early": end.closed_early,
    }
    if end.first_chunk_after is not None:
        attributes["gen_ai.response.time_to_first_chunk"] = end.first_chunk_after
    if end.reduce_error is not None:
        # Its type: the message may quote what was reduced.
        attributes["ctxtrace.stream.reduce_error"] = type(end.reduce_error).__qualname__
    span.set_attributes(attributes)
    if end.error is not None:
        kind = type(end.error).__qualname__
        span.set_status(trace.Status(trace.StatusCode.ERROR, kind))  # if it fails to say more
        span.record_exception(end.error)
        span.set_status(trace.Status(trace.StatusCode.ERROR, f"{kind}: {end.error}"))
    if end.outputs is not None and _content_is_wanted():
        span.set_attribute("gen_ai.output.messages", _message(end))


def _content_is_wanted() -> bool:
    # "true" in the first form of the convention, a place to put it in the present one.
    wanted = os.environ.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "")
    return wanted.strip().upper() in ("TRUE", "SPAN_ONLY", "SPAN_AND_EVENT")


def _message(end: StreamEnd) -> str:
    # The shape that the GenAI conventions give to output messages.
    content = getattr(end.outputs, "content", end.outputs)
    text = content if isinstance(content, str) else _json(content)
    reason = "error" if end.error is not None else "stop"
    part = {"type": "text", "content": text}
    return json.dumps([{"role": "assistant", "parts": [part], "finish_reason": reason}])


def _json(content: Any) -> str:
    try:
        return json.dumps(content, default=str)
    except (TypeError, ValueError):  # of a dict with other keys than strings, of a cycle
        return str(content)


def make() -> Carrier:
    """Return the carrier for OpenTelemetry."""
    return _OpenTelemetry()
