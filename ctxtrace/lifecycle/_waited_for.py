"""Threads that Python waits for when it ends, without limit: with one.

A tracing library's thread tries to send what it has left, and tries again, while Python waits for
it. It is the library's, not the program's work; so Python waits for as long as it was told. After
that such a thread is what a daemon is.
"""

# The standard library's own ways of waiting, which have no public door.
# pyright: reportPrivateUsage=false, reportAttributeAccessIssue=false

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class TimeLeft:
    """How much of a time there is left. It passes in ``with`` blocks, which may be nested."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._since = 0.0
        self._depth = 0

    def __call__(self) -> float:
        """Return the seconds that are left."""
        gone = time.monotonic() - self._since if self._depth else 0.0
        return max(0.0, self._left - gone)

    def __enter__(self) -> None:
        if not self._depth:
            self._since = time.monotonic()
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        left = self()
        self._depth -= 1
        if not self._depth:
            self._left = left


def wait_no_longer_than(left: TimeLeft, threads: list[threading.Thread]) -> None:
    """Have Python, when it ends, wait for some threads with a limit.

    To be called before it begins to wait.

    Args:
        left: For how long, for all of them together.
        threads: The threads; all others it waits for as it does.
    """
    module: Any = threading
    if hasattr(module, "_thread_shutdown"):  # from Python 3.13 on
        if threads:
            module._thread_shutdown = _Shutdown(left, threads, module._thread_shutdown)
    elif hasattr(module, "_shutdown_locks"):
        locks = {getattr(thread, "_tstate_lock", None) for thread in threads}
        with module._shutdown_locks_lock:
            for lock in locks & module._shutdown_locks:
                module._shutdown_locks.remove(lock)
                module._shutdown_locks.add(_Lock(left, lock))


class _Lock:
    """The lock that a thread holds while it runs, as Python's end is to see it."""

    def __init__(self, left: TimeLeft, lock: Any) -> None:
        self._left = left
        self._lock = lock

    def acquire(self) -> None:
        with self._left:
            if self._lock.acquire(timeout=self._left()):
                self._lock.release()

    def release(self) -> None:
        """Nothing to do: it is not kept."""

    def locked(self) -> bool:
        return bool(self._lock.locked())


class _Shutdown:
    """What waits for the threads at the end, where that is not Python code."""

    def __init__(
        self, left: TimeLeft, threads: list[threading.Thread], python: Callable[[], None]
    ) -> None:
        self._left = left
        self._threads = threads
        self._python = python

    def __call__(self) -> None:
        # As there: until there are none, for more may be started meanwhile; and by their handles,
        # for a program's thread may have a join() of its own.
        while others := self._others():
            for thread in others:
                _join(thread)
        with self._left:
            for thread in self._threads:
                _join(thread, self._left())
        if not any(thread.is_alive() for thread in self._threads):
            self._python()  # for which there is nothing left, unless we have overlooked one

    def _others(self) -> list[threading.Thread]:
        here = (threading.current_thread(), threading.main_thread(), *self._threads)
        return [
            each
            for each in threading.enumerate()
            # One without an identifier is only about to start.
            if not each.daemon and each.ident is not None and each not in here
        ]


def _join(thread: Any, *timeout: float) -> None:
    handle = getattr(thread, "_handle", None)
    if handle is None:
        threading.Thread.join(thread, *timeout)
    else:
        handle.join(*timeout)
