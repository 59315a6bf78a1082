"""One flush for all who ask at once.

A flush that is under way may have looked into the queue before the run was there that somebody
wants to be sent now. So who asks while one is under way waits for the one after it, and that one is
for all who do: a thousand requests that flush at their end are not a thousand flushes.
"""

from __future__ import annotations

import threading
import time
import weakref
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

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


class Round:
    """One flush of one exporter, and all who wait for it."""

    def __init__(self) -> None:
        self.done: Future[Flushed] = Future()
        self.done.set_running_or_notify_cancel()  # whoever waits may stop to, and nothing else
        self.deadline = 0.0
        self.shuts_down = False


class Rounds:
    """The flushes of one exporter, one after the other."""

    def __init__(self, target: object) -> None:
        try:
            self.target: Callable[[], object] = weakref.ref(target, partial(_forget, id(target)))
        except TypeError:
            self.target = lambda: target
        self._lock = threading.Lock()
        self._next: Round | None = None
        self._is_busy = False
        self._was_shut_down = False

    def ask(self, exporter: Exporter, deadline: float, shut_down: bool) -> Round:
        """Return a round that has not begun."""
        with self._lock:
            if self._next is None:
                self._next = Round()
            asked = self._next
            asked.deadline = max(asked.deadline, deadline)
            asked.shuts_down |= shut_down
            if self._is_busy:
                return asked
            self._is_busy = True
        helpers.run(partial(self._work, exporter))
        return asked

    def _work(self, exporter: Exporter) -> None:
        while True:
            with self._lock:
                asked, self._next = self._next, None
                if asked is None:
                    self._is_busy = False
                    return
                over, self._was_shut_down = (
                    self._was_shut_down,
                    self._was_shut_down or asked.shuts_down,
                )
            # After its end a library answers with warnings, or not at all.
            asked.done.set_result(
                Flushed(exporter.name, "flushed", 0.0, "") if over else _flush(exporter, asked)
            )


def _flush(exporter: Exporter, asked: Round) -> Flushed:
    began = time.monotonic()
    errors: list[Exception] = []
    what = exporter.shutdown if asked.shuts_down else exporter.flush
    sent = guard(exporter.name, what, max(0.0, asked.deadline - began), told=errors.append)
    seconds = time.monotonic() - began
    if errors:
        return Flushed(exporter.name, "failed", seconds, type(errors[0]).__qualname__)
    if sent is False:
        late = time.monotonic() >= asked.deadline
        return Flushed(exporter.name, "timed out" if late else "failed", seconds, "")
    return Flushed(exporter.name, "flushed", seconds, "")


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
    with _lock:
        rounds = _of.get(id(target))
        if rounds is None or rounds.target() is not target:
            rounds = _of[id(target)] = Rounds(target)
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
