"""OpenTelemetry: the current span, in a context of OpenTelemetry's own.

Nothing to pin: the API keeps its immutable context, and in it the span, as the value of one
context variable. `clear` takes the span out and leaves the rest (baggage) in place.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from . import Carrier

if TYPE_CHECKING:
    from collections.abc import Iterable


class _OpenTelemetry(Carrier):
    name = "opentelemetry"

    def clear(self) -> None:
        trace: Any = sys.modules["opentelemetry.trace"]
        context: Any = sys.modules["opentelemetry.context"]
        # Attached in a private copy that is thrown away; there is nothing to detach.
        context.attach(trace.set_span_in_context(trace.INVALID_SPAN))

    def variables(self) -> Iterable[ContextVar[Any]]:
        # Looked up anew each time: OTEL_PYTHON_CONTEXT may name an implementation without
        # context variables, and tests exchange the object.
        context: Any = sys.modules["opentelemetry.context"]
        variable = getattr(context._RUNTIME_CONTEXT, "_current_context", None)
        return (variable,) if isinstance(variable, ContextVar) else ()


def make() -> Carrier:
    """Return the carrier for OpenTelemetry."""
    return _OpenTelemetry()
