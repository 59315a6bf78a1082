"""Threads that do something for us while somebody waits, up to a deadline.

They are daemons, for what they do may hang, and an exit is not to wait for it. They start empty,
and end when there is nothing to do; but where the interpreter refuses to start threads once it
begins to end (`THREADS_START_AT_EXIT`), `keep` has some wait for that moment.
"""

from __future__ import annotations

import threading
from collections import deque
from contextvars import Context
from typing import TYPE_CHECKING

from .._compat import THREADS_START_AT_EXIT
from .._errors import guard

if TYPE_CHECKING:
    from collections.abc import Callable

# As many exporters may hang at exit before the next one waits for them.
_KEPT = 4


class Helpers:
    """Any number of threads, each of which does one thing after the other."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._jobs: deque[Callable[[], object]] = deque()
        self._idle = 0
        self._alive = 0
        self._kept = 0

    def run(self, job: Callable[[], object]) -> None:
        """Have one of them call `job`; where none can be had, call it here."""
        with self._changed:
            if self._idle > len(self._jobs):
                self._add(job)
                return
        if self._begin(job):
            return
        with self._changed:
            # None can start any more. One that is busy comes to it.
            if self._alive:
                self._add(job)
                return
        job()

    def keep(self) -> None:
        """Have some of them there for when none can start any more."""
        if THREADS_START_AT_EXIT:
            return
        with self._changed:
            missing, self._kept = _KEPT - self._kept, _KEPT
        for _ in range(missing):
            self._begin(_nothing)

    def let_go(self) -> None:
        """End those that were kept, once they have nothing to do."""
        with self._changed:
            self._kept = 0
            self._changed.notify_all()

    def _add(self, job: Callable[[], object]) -> None:
        self._jobs.append(job)
        self._changed.notify()

    def _begin(self, job: Callable[[], object]) -> bool:
        with self._changed:
            self._alive += 1
        # Not in the context of whoever flushes: it would be held for as long as this lives.
        thread = threading.Thread(
            target=Context().run, args=(self._work, job), name="ctxtrace", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the interpreter ends, or the system has no more threads
            with self._changed:
                self._alive -= 1
            return False
        return True

    def _work(self, first: Callable[[], object]) -> None:
        job: Callable[[], object] | None = first
        del first
        try:
            while job is not None:
                guard("flush()", job)
                del job  # or it would stay until the next one
                job = self._next()
        finally:
            with self._changed:
                self._alive -= 1

    def _next(self) -> Callable[[], object] | None:
        with self._changed:
            self._idle += 1
            while not self._jobs and self._idle <= self._kept:
                self._changed.wait()
            self._idle -= 1
            return self._jobs.popleft() if self._jobs else None


def _nothing() -> None:
    pass


helpers = Helpers()


def renew() -> None:
    """Forget those of the parent: the child of a fork has none of its threads."""
    kept = helpers._kept  # pyright: ignore[reportPrivateUsage]
    helpers.__init__()
    if kept:
        helpers.keep()
