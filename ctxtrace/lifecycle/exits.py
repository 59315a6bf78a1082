"""Flush when the program ends: `flush_on_exit`.

A program ends in stages. When its main thread is through, `_at_end` flushes, before Python waits
for other threads; then `_at_exit` does, among the exit handlers, what was recorded since. Both
together take no longer than they were told. A signal may end it earlier: `_signals`.
"""

from __future__ import annotations

import atexit
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from .._errors import guard
from ..carriers._exporting import get_ready, live_exporters, say_that_the_program_ends
from . import _fork, _signals
from ._helpers import helpers
from ._waited_for import TimeLeft, wait_no_longer_than
from .flushing import check_timeout, flush_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..carriers._exporting import Exporter

__all__ = ["ExitFlush", "flush_on_exit"]


class ExitFlush:
    """What one call of `flush_on_exit` asked for. Safe to use from any thread."""

    def __init__(self, timeout: float, signals: list[Any]) -> None:
        self.timeout = timeout
        """Seconds that exiting may take longer, at most."""
        self._is_on = True
        # Those that are there already end themselves after us, for they asked Python earlier.
        self._earlier = {id(exporter.target) for exporter in live_exporters()}
        self._signals = [each for each in signals if _signals.flush_before(each, self._flush)]
        if not _on:
            # Its own exit handler, by which some exporters would be gone, is to come after ours.
            weakref.finalize(self, int)
            atexit.register(_at_exit)
        _on.append(self)
        _fork.want()
        helpers.keep()

    def cancel(self) -> None:
        """Flush no more at exit. A second call does nothing.

        The default action of a signal can be put back in the main thread alone; called elsewhere,
        it is left to a handler that does the same.
        """
        if not self._is_on:
            return
        self._is_on = False
        _on.remove(self)
        for number in self._signals:
            _signals.leave(number, self._flush)
        _fork.unwant()
        if not _on:
            atexit.unregister(_at_exit)
            helpers.let_go()

    def __repr__(self) -> str:
        state = f"within {self.timeout:g} s" if self._is_on else "cancelled"
        return f"<ctxtrace.flush_on_exit: {state}>"

    def _flush(self) -> None:
        # Not for the flush alone: to find out what is to be flushed may take imports' locks.
        _call_within(self.timeout, partial(_flush_all, self.timeout))

    def ends_by_itself(self, exporter: Exporter) -> bool:
        """Whether an exporter's own exit handler comes after ours."""
        return id(exporter.target) in self._earlier


_on: list[ExitFlush] = []
_is_registered = False
# For flushing at exit, all stages together; None before it begins.
_left: TimeLeft | None = None
_taken_over: list[Exporter] = []


def flush_on_exit(timeout: float = 10.0, *, signals: Iterable[str] = ("SIGTERM",)) -> ExitFlush:
    """Have what was recorded sent before the program ends, however it ends.

    On a normal end, `sys.exit` and an uncaught exception; and on signals whose default action
    would kill the process, which then still ends with the signal's exit status. Where the program
    has a handler for one of them, that is called and nothing else is done: asyncio's graceful
    shutdown stays whole, and is followed by the normal end. uvicorn's is followed by the signal
    again, with the handler that was there when uvicorn began; an application that calls this when
    uvicorn imports it comes too late for that one, and needs `flush_lifespan`.

    From then on children of a fork trace as any process does: those of `os.fork`, gunicorn and
    `multiprocessing`, which also flush at their end. Children that are spawned know nothing of it:
    call this where their module is imported, or give it to a pool as its ``initializer``.

    Best called at the top of a program: exit handlers that were registered earlier run later, and
    what they record is not flushed. Nothing can be done about `os._exit` and SIGKILL.

    Args:
        timeout: Seconds that exiting may take longer for it, at most.
        signals: Names of signals to see to.

    Returns:
        An object whose ``cancel()`` takes it back. Calling it twice flushes once, for as long as
        the longer `timeout` says.

    Raises:
        ValueError: `timeout` is negative; there is no such signal here, or none that can be
            caught; or signals are to be seen to, and this is not the main thread.
        TypeError: `timeout` is no number, or `signals` no list of names.

    Safe to call from any thread if `signals` is empty, and while the program runs. Mirrors
    `atexit <https://docs.python.org/3/library/atexit.html>`_.
    """
    global _is_registered
    seconds = check_timeout("flush_on_exit", timeout)
    numbers = _signals.check_signals(signals)
    get_ready()
    if not _is_registered:
        # What concurrent.futures does: before other threads are waited for, the later the sooner.
        register: Any = getattr(threading, "_register_atexit", None)
        if register is not None:
            # Which refuses once the interpreter ends; what is flushed then is flushed at exit.
            guard("flush_on_exit()", register, _at_end)
        _is_registered = True
    return ExitFlush(seconds, numbers)


def _at_end() -> None:
    if _on:
        _signals.begin_to_end()
        guard("flush_on_exit()", _end)
        _signals.has_flushed_to_end()


def _end() -> None:
    global _left
    _left = TimeLeft(max(each.timeout for each in _on))
    with _left:
        exporters = live_exporters()
        flush_until(_left(), exporters, lambda _: False)
    for exporter in exporters:
        take_over = getattr(exporter, "take_over_exit", None)
        if take_over is None or any(each.ends_by_itself(exporter) for each in _on):
            continue
        # It would end before the exit handlers that the program registered before it was made, and
        # those may record.
        if guard(exporter.name, take_over):
            _taken_over.append(exporter)
    threads = say_that_the_program_ends(partial(_bounded, _left))
    guard("flush_on_exit()", wait_no_longer_than, _left, threads)


def _at_exit() -> None:
    if _on:
        guard("flush_on_exit()", _exit)


def _exit() -> None:
    if _left is None:  # threading did not tell
        _end()
        return
    ended = {id(exporter.target) for exporter in _taken_over}
    exporters = {id(each.target): each for each in [*_taken_over, *live_exporters()]}
    with _left:
        flush_until(_left(), exporters.values(), lambda each: id(each.target) in ended)


def _bounded(left: TimeLeft, call: Callable[[], Any]) -> Callable[[], Any]:
    def call_for_no_longer() -> None:
        with left:
            _call_within(left(), call)

    return call_for_no_longer


def _call_within(seconds: float, call: Callable[[], Any]) -> None:
    """Have a helper call it; return when it has, or when the time is over."""
    done = threading.Event()

    def call_and_tell() -> None:
        try:
            call()
        finally:
            done.set()

    helpers.run(call_and_tell)
    done.wait(seconds)


def _flush_all(seconds: float) -> None:
    flush_until(seconds, live_exporters(), lambda _: False)


flush_on_exit.__module__ = "ctxtrace"
