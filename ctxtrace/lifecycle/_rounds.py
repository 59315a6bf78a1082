"""One flush for all who ask at once.

A flush that is under way may have looked into the queue before the run was there that somebody
wants to be sent now. So who asks while one is under way waits for the one after it, and that one is
for all who do: a thousand requests that flush at their end are not a thousand flushes.
"""

from __future__ import annotations

import inspect
import threading
import time
import weakref
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from .._errors import guard
from ._helpers import helpers

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..carriers._exporting import Exporter

State = Literal["flushed", "failed", "timed out"]


class Flushed(NamedTuple):
    """What became of one exporter: a client, a provider."""

    name: str
    """The library, and what of it."""

    state: State
    """``"flushed"``: it says that it has nothing left; ``"failed"``: it raised or says no."""

    seconds: float
    """How long it took, or was waited for."""

    detail: str
    """The type of the exception that it raised, if it did; never its text."""


class _Inside(threading.local):
    """Whether this thread is flushing: what the garbage collector calls meanwhile must not wait.

    It may hold any of our locks, or be the very thread that would be waited for. What is asked for
    then is begun when it is through.
    """

    depth = 0
    later: Callable[[], object] | None = None

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1
        if not self.depth:
            later, self.later = self.later, None
            if later is not None:
                guard("flush()", later)


inside = _Inside()


class Round:
    """One flush of one exporter, and all who wait for it."""

    def __init__(self) -> None:
        self.done: Future[Flushed] = Future()
        self.done.set_running_or_notify_cancel()  # whoever waits may stop to, and nothing else
        self.done.add_done_callback(self._tell)
        self.deadline = 0.0
        self.shuts_down = False
        self.listeners: set[Callable[[], object]] = set()
        """Called when it is done. Whoever stops waiting takes its own out."""

    def _tell(self, _: object) -> None:
        for listener in [*self.listeners]:
            guard("flush()", listener)


class Rounds:
    """The flushes of one exporter, one after the other."""

    def __init__(self, target: object) -> None:
        key = id(target)
        self.has_ended: Callable[[], object] | None = None
        try:
            self.target: Callable[[], object] = weakref.ref(target, partial(_forget, key))
        except TypeError:
            # Held until there is nothing to do.
            self.target = lambda: target
            self.has_ended = partial(_of.pop, key, None)
        self._lock = threading.Lock()
        self._next: Round | None = None
        self._is_busy = False
        self._was_shut_down = False

    def ask(self, exporter: Exporter, deadline: float, shut_down: bool) -> Round:
        """Return a round that has not begun."""
        new = Round()
        with self._lock:
            asked = self._next = self._next or new
            asked.deadline = max(asked.deadline, deadline)
            asked.shuts_down |= shut_down
            if self._is_busy:
                return asked
            self._is_busy = True
        helpers.run(partial(self._work, exporter))
        return asked

    def _work(self, exporter: Exporter) -> None:
        with inside:
            self._do_all(exporter)
        if self.has_ended is not None:
            self.has_ended()

    def _do_all(self, exporter: Exporter) -> None:
        while True:
            with self._lock:
                asked, self._next = self._next, None
                if asked is None:
                    self._is_busy = False
                    return
            self._do(exporter, asked)

    def _do(self, exporter: Exporter, asked: Round) -> None:
        result = Flushed(exporter.name, "failed", 0.0, "")
        is_done = False
        try:
            if self._was_shut_down:
                # After its end a library answers with warnings, or not at all.
                result = Flushed(exporter.name, "flushed", 0.0, "")
            else:
                result = _flush(exporter, asked)
                self._was_shut_down = asked.shuts_down and result.state == "flushed"
            is_done = True
        finally:
            # Also where it raised what is no Exception, and this thread ends by it.
            asked.done.set_result(result)
            if not is_done:
                helpers.run(partial(self._work, exporter))


def _flush(exporter: Exporter, asked: Round) -> Flushed:
    began = time.monotonic()
    errors: list[Exception] = []
    what = exporter.shutdown if asked.shuts_down else exporter.flush
    timeout = max(0.0, asked.deadline - began)
    sent: Any = guard(exporter.name, what, timeout, told=errors.append)
    if inspect.iscoroutine(sent):
        sent.close()
        guard(exporter.name, _refuse_coroutine, told=errors.append)
    seconds = time.monotonic() - began
    if errors:
        return Flushed(exporter.name, "failed", seconds, type(errors[0]).__qualname__)
    if sent is False:
        late = time.monotonic() >= asked.deadline
        return Flushed(exporter.name, "timed out" if late else "failed", seconds, "")
    return Flushed(exporter.name, "flushed", seconds, "")


def _refuse_coroutine() -> None:
    raise TypeError(
        "flush() and shutdown() of a carrier are called in a thread, where no loop could await "
        "a coroutine: make them plain functions"
    )


_lock = threading.Lock()
_of: dict[int, Rounds] = {}


def ask(exporter: Exporter, deadline: float, *, shut_down: bool) -> Round:
    """Have an exporter flushed, from now on at the earliest.

    Args:
        exporter: What to flush.
        deadline: By `time.monotonic`: for how long it is worth trying.
        shut_down: Whether it is to take nothing after that.
    """
    target = exporter.target
    new = Rounds(target)
    with _lock:
        rounds = _of.get(id(target))
        if rounds is None or rounds.target() is not target:
            rounds = _of[id(target)] = new
    return rounds.ask(exporter, deadline, shut_down)


def _forget(key: int, _: object) -> None:
    # Without the lock: the garbage collector calls this, maybe while this thread holds it.
    rounds = _of.get(key)
    if rounds is not None and rounds.target() is None:
        _of.pop(key, None)


def renew() -> None:
    """Forget the parent's, in the child of a fork: none of what was under way goes on there."""
    global _lock
    _lock = threading.Lock()
    _of.clear()
