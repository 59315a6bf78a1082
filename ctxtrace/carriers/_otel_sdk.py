"""OpenTelemetry's SDK: its providers and processors, how they send and how they end.

The providers that were set for the whole program are asked as a whole. Others are found by the
threads that their processors and readers run.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
import weakref
from functools import wraps
from typing import TYPE_CHECKING, Any

from ._in_child import renew_connections, replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The signal, and where the API keeps the provider that the program set.
_PROVIDERS = (
    ("traces", "opentelemetry.trace", "_TRACER_PROVIDER"),
    ("metrics", "opentelemetry.metrics._internal", "_METER_PROVIDER"),
    ("logs", "opentelemetry._logs._internal", "_LOGGER_PROVIDER"),
)
# What a provider or processor hands on to, by the attributes of its versions.
_PARTS = (
    "_active_span_processor",
    "_multi_log_record_processor",
    "_sdk_config",
    "metric_readers",
    "_span_processors",
    "_log_record_processors",
    "_batch_processor",
)
# What keeps things to be sent, and runs a thread for it: the name of the function that it runs.
_WORKERS = ("worker", "_ticker")
_LOCKS = (type(threading.Lock()), type(threading.RLock()))


class _Exporter:
    def __init__(self, name: str, target: Any) -> None:
        self.name = name
        self.target = target

    def flush(self, timeout: float) -> object:
        return self.target.force_flush(int(timeout * 1000))

    def shutdown(self, timeout: float) -> object:
        self.flush(timeout)
        return self.target.shutdown()

    def take_over_exit(self) -> bool:
        """Have the provider not shut itself down at exit; return whether it would have."""
        for name in ("_atexit_handler", "_at_exit_handler"):
            handler = getattr(self.target, name, None)
            if handler is not None:
                atexit.unregister(handler)
                return True
        return False

    def renew(self) -> None:
        """Give it, in the child of a fork, what it cannot share with the parent.

        The SDK itself starts new threads there, and forgets what it had.
        """
        for part in [self.target, *_parts_of(self.target)]:
            for session in _sessions_of(getattr(part, "_exporter", None)):
                renew_connections(session)
            if hasattr(part, "worker"):
                # The SDK renews its locks, and a new thread may hold them already. It also forgets
                # the parent's spans; but maybe after this, and after what a signal has flushed.
                part._queue.clear()
                continue
            for lock in vars(part).values():
                if type(lock) in _LOCKS:
                    lock._at_fork_reinit()


def exporters() -> Iterator[_Exporter]:
    """Yield the program's providers, and what works for other ones."""
    known: set[int] = set()
    for signal, module, attribute in _PROVIDERS:
        provider = getattr(sys.modules.get(module), attribute, None)
        if hasattr(provider, "force_flush"):
            known.update(map(id, _parts_of(provider)))
            yield _Exporter(f"opentelemetry {signal}", provider)
    for worker in _workers():
        if id(worker) not in known:
            yield _Exporter("opentelemetry", worker)


def end(bounded: Callable[[Callable[[], Any]], Callable[[], Any]]) -> None:
    """Have what the providers do at exit end in time."""
    for exporter in exporters():
        # A provider's own shutdown is what Python holds for the exit; it calls these.
        for part in list(_handed_to(exporter.target)) or [exporter.target]:
            part.shutdown = _ignoring_arguments(bounded(part.shutdown))


def _ignoring_arguments(call: Callable[[], Any]) -> Callable[..., Any]:
    return lambda *_, **__: call()


def leave_ends_to_the_parent() -> Callable[[], None] | None:
    """Have spans that were open at a fork not be exported by the child, too.

    The parent ends them; so does the child, as it unwinds. Returns what takes that back.
    """
    sdk: Any = sys.modules.get("opentelemetry.sdk.trace")
    if sdk is None:
        return None
    forked_at = time.time_ns()
    begun_here: weakref.WeakSet[Any] = weakref.WeakSet()
    kind: Any = sdk.Span
    start, end = kind.start, kind.end

    @wraps(start)
    def started(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = start(self, *args, **kwargs)
        # One of the child's may say that it began earlier.
        if self.start_time is not None and self.start_time < forked_at:
            begun_here.add(self)
        return result

    @wraps(end)
    def ended(self: Any, *args: Any, **kwargs: Any) -> Any:
        began = self.start_time
        if began is not None and began < forked_at and self not in begun_here:
            self._span_processor = sdk.SpanProcessor()  # one that does nothing
        return end(self, *args, **kwargs)

    return replaced(kind, start=started, end=ended)


def _workers() -> Iterator[Any]:
    """Yield what runs a thread of the SDK's."""
    for thread in threading.enumerate():
        target = getattr(thread, "_target", None)
        owner = getattr(target, "__self__", None)
        if owner is not None and _is_worker(owner):
            yield owner


def _is_worker(part: Any) -> bool:
    return any(hasattr(part, name) for name in _WORKERS) and any(
        base.__module__.startswith("opentelemetry.sdk.") for base in type(part).__mro__
    )


def _parts_of(thing: Any) -> Iterator[Any]:
    """Yield all that a provider hands on to."""
    for part in _handed_to(thing):
        yield part
        yield from _parts_of(part)


def _handed_to(thing: Any) -> Iterator[Any]:
    for attribute in _PARTS:
        found = getattr(thing, attribute, None)
        for part in found if isinstance(found, (tuple, list)) else (found,):
            if hasattr(part, "shutdown"):
                yield part
            elif part is not None:
                yield from _handed_to(part)


def _sessions_of(exporter: Any) -> Iterator[Any]:
    """Yield the HTTP sessions of an exporter, which later versions keep further inside."""
    for attribute in ("_session", "_client", "_transport"):
        part = getattr(exporter, attribute, None)
        if hasattr(part, "adapters"):
            yield part
        elif part is not None:
            yield from _sessions_of(part)
