"""Record OpenTelemetry's spans, through whatever provider the program sets.

The SDK takes a span processor and never gives one back. So each provider gets one, when it is
first met, and the processor does nothing while nobody records.
"""

# The SDK is not installed where the types are checked.
# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUntypedBaseClass=false
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import contextlib
import functools
import sys
import threading
import weakref
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .._errors import guard
from . import _tape
from ._imports import when_imported
from ._langsmith_switches import Replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

SOURCE = "otel"

_API = "opentelemetry.trace"

_lock = threading.RLock()
_listeners = 0
_setters = Replaced()
# By identity: a provider need not be hashable.
_met: dict[int, Callable[[], Any]] = {}


@contextlib.contextmanager
def listening(
    runs: _tape.Runs, *, provide: bool = False, watch: bool = False
) -> Generator[None, None, None]:
    """Have every span that starts in the block appended.

    Args:
        runs: Where to.
        provide: Set a provider if there is none. It stays: OpenTelemetry takes one a process.
        watch: Leave the current span as it is.

    Raises:
        ImportError: A provider is to be set, and the SDK is not installed.
    """
    global _listeners
    if provide:
        _provide()
    with _lock:
        _listeners += 1
    _tape.open_for(SOURCE, runs, _nothing, watch=watch)
    try:
        if sys.modules.get(_API):
            guard("the recording of OpenTelemetry", _watch)
        when_imported(_API, _imported)
        with contextlib.nullcontext() if watch else _without_foreign_parent():
            yield
    finally:
        _stop_watching()
        _tape.close_for(SOURCE, runs)


def has_provider() -> bool:
    """Whether the program has set a provider whose spans can be recorded."""
    return bool(sys.modules.get(_API)) and _is_met(_inner(_provider()))


def _nothing() -> None:
    """What is to be done after the last span: the processors stay."""


def _provide() -> None:
    try:
        from opentelemetry import trace

        # It sets the one that the environment names, which goes before one of ours.
        trace.get_tracer_provider()
        if _provider() is None:
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.sampling import ALWAYS_ON

            # Whatever the environment says of sampling.
            provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
            trace.set_tracer_provider(provider)
    except ImportError as error:
        raise ImportError(
            'recording source="otel" needs a tracer provider, none is set, and opentelemetry-sdk '
            "is not installed: install it, or leave the source out"
        ) from error


def _provider() -> Any:
    # Not get_tracer_provider(): with OTEL_PYTHON_TRACER_PROVIDER in the environment it sets one.
    return getattr(sys.modules[_API], "_TRACER_PROVIDER", None)


def _imported(_: object) -> None:
    guard("the recording of OpenTelemetry", _watch)


def _watch() -> None:
    """Meet the provider that is set, and the one that will be."""
    # Another thread may be about to import it; not while the lock is held, then.
    api: Any = import_module(_API)
    with _lock:
        if not _listeners:
            return
        _meet(_provider())
        if not _setters:
            # What set_tracer_provider() calls, also where it was imported by name.
            name = "_set_tracer_provider"
            set_provider = getattr(api, name)

            def set_and_meet(*args: Any, **kwargs: Any) -> Any:
                result = set_provider(*args, **kwargs)
                if _listeners:
                    guard("the recording of OpenTelemetry", _meet, _provider())
                return result

            _setters.replace(api, name, set_and_meet)


def _stop_watching() -> None:
    global _listeners
    with _lock:
        _listeners -= 1
        if not _listeners:
            _setters.put_back()


def _meet(provider: Any) -> None:
    if not hasattr(provider, "add_span_processor"):
        return  # none, or another implementation of the API, which has its own ways
    with _lock:
        inner = _inner(provider)
        if not _is_met(inner):
            try:
                _met[id(inner)] = weakref.ref(inner)
            except TypeError:  # its class has no room for it; there are not many
                _met[id(inner)] = lambda: inner
            provider.add_span_processor(_processor_class()())


def _inner(provider: Any) -> Any:
    # Logfire sets a proxy, once, and exchanges the provider in it.
    return getattr(provider, "provider", None) or provider


def _is_met(inner: object) -> bool:
    known = _met.get(id(inner))
    return known is not None and known() is inner


@contextlib.contextmanager
def _without_foreign_parent() -> Generator[None, None, None]:
    """Hide the current span, if it is not recorded, until the block ends."""
    trace: Any = sys.modules.get(_API)
    if trace is None:
        yield
        return
    current = trace.get_current_span().get_span_context()
    if not current.is_valid or _tape.knows(_key(current)):
        yield
        return
    context: Any = sys.modules["opentelemetry.context"]
    runtime = context._RUNTIME_CONTEXT
    token = context.attach(trace.set_span_in_context(trace.INVALID_SPAN))
    try:
        yield
    finally:
        # A span that the block has left open is there for what comes next, as the one of a
        # fixture that outlives a test.
        if trace.get_current_span() is trace.INVALID_SPAN:
            # Past detach(), which logs an error where the block ends in another context.
            with contextlib.suppress(ValueError):
                runtime.detach(token)


def _key(context: Any) -> str:
    # Span identifiers alone need not differ between traces.
    return f"{context.trace_id:032x}-{context.span_id:016x}"


@functools.cache
def _processor_class() -> Any:
    """Make the class late: its base is the SDK's."""
    from opentelemetry.sdk.trace import SpanProcessor

    class RecordingProcessor(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            if _tape.hears(SOURCE):
                guard("the recording of OpenTelemetry", _started, span)

        def on_end(self, span: Any) -> None:
            guard("the recording of OpenTelemetry", _ended, span)

    return RecordingProcessor


def _started(span: Any) -> None:
    parent = span.parent
    _tape.started(
        SOURCE,
        _key(span.context),
        None if parent is None else _key(parent),
        str(span.name),
        span.start_time / 1e9,
        parent_is_remote=parent is not None and parent.is_remote,
        links=[_key(link.context) for link in span.links or ()],
    )


def _ended(span: Any) -> None:
    key = _key(span.context)
    if _tape.find(key) is not None:
        failed = span.status.status_code.name == "ERROR"
        _tape.updated(key, ended=True, error=failed, name=str(span.name))
