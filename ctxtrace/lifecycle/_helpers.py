"""Threads that do something for us while somebody waits, up to a deadline.

They are daemons, for what they do may hang, and an exit is not to wait for it. They start empty,
and end when there is nothing to do; but where the interpreter refuses to start threads once it
begins to end (`THREADS_START_AT_EXIT`), `keep` has some wait for that moment.
"""

from __future__ import annotations

import threading
from contextvars import Context
from queue import SimpleQueue
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
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._idle = 0
        self._alive = 0
        self._kept = 0

    def run(self, job: Callable[[], object]) -> None:
        """Have one of them call `job`; where none can be had, call it here."""
        with self._lock:
            if self._idle > self._jobs.qsize():
                self._jobs.put(job)
                return
            self._alive += 1
        if self._start(job):
            return
        with self._lock:
            self._alive -= 1
            # None can start any more. One that is busy comes to it.
            if self._alive:
                self._jobs.put(job)
                return
        job()

    def keep(self) -> None:
        """Have some of them there for when none can start any more."""
        if THREADS_START_AT_EXIT:
            return
        with self._lock:
            missing, self._kept = _KEPT - self._kept, _KEPT
            self._alive += missing
        for _ in range(missing):
            if not self._start(_nothing):
                return

    def let_go(self) -> None:
        """End those that were kept, once they have nothing to do."""
        with self._lock:
            self._kept = 0
            for _ in range(self._idle):
                self._jobs.put(_nothing)

    def _start(self, job: Callable[[], object]) -> bool:
        # Not in the context of whoever flushes: it would be held for as long as this lives.
        thread = threading.Thread(
            target=Context().run, args=(self._work, job), name="ctxtrace", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the interpreter ends, or the system has no more threads
            return False
        return True

    def _work(self, job: Callable[[], object]) -> None:
        while True:
            guard("flush()", job)
            del job  # or it would stay until the next one
            with self._lock:
                if self._jobs.empty() and self._idle >= self._kept:
                    self._alive -= 1
                    return
                self._idle += 1
            job = self._jobs.get()
            with self._lock:
                self._idle -= 1


def _nothing() -> None:
    pass


helpers = Helpers()


def renew() -> None:
    """Forget those of the parent: the child of a fork has none of its threads."""
    kept = helpers._kept  # pyright: ignore[reportPrivateUsage]
    helpers.__init__()
    if kept:
        helpers.keep()
