"""How the loops that serve a queue between threads are told to end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from ._sent import NOT_SENT, Sent

if TYPE_CHECKING:
    from collections.abc import Callable


class Wake(Sent):
    """Put into a queue to wake one that waits. It comes last, whatever it is compared with.

    What a queue looks for in an item, it finds: another that comes last.
    """

    __slots__ = ("stop",)

    def __init__(self, stop: Stop) -> None:
        super().__init__(None, NOT_SENT)
        self.stop = stop

    def __lt__(self, other: object) -> bool:
        return False

    # As that of a subclass it is asked before the other side's __lt__.
    def __gt__(self, other: object) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def __getitem__(self, _: object) -> Wake:
        return self

    def __getattr__(self, name: str) -> Wake:
        if name.startswith("__"):
            raise AttributeError(name)
        return self


class Stop:
    """Tells the loops to end: once, and for good.

    A loop at work sees `called`. One that waits in the queue's own ``get`` sees nothing but
    what comes out of that, so a `Wake` is put in. Whoever takes that passes it on, if there
    is another one that waits: only while there is, is it in the queue.
    """

    def __init__(self, queue: Any, full: tuple[type[Exception], ...]) -> None:
        self.called = False
        self._queue = queue
        self._full = full  # with which a queue says that it takes nothing more
        self._task_done: Callable[[], object] | None = getattr(queue, "task_done", None)
        self._waiting = 0
        self._in_queue = 0
        # A signal handler may tell them, in the middle of anything here.
        self._lock = threading.RLock()

    def call(self) -> None:
        """Tell them."""
        with self._lock:
            self.called = True
        self.wake()

    def waits(self) -> bool:
        """Return whether the caller may wait for an item; if so, `waited` is to follow."""
        with self._lock:
            self._waiting += 1
            if self.called:
                self._waiting -= 1
                return False
            return True

    def waited(self) -> None:
        """Note that the caller no longer waits."""
        with self._lock:
            self._waiting -= 1

    def wake(self) -> None:
        """Wake one that waits, if there is one and all are to end."""
        if not self.called:
            return
        with self._lock:
            if not self._waiting:
                return
            try:
                self._queue.put_nowait(Wake(self))
            except self._full:
                return  # there are items, and whoever takes one comes here again
            self._in_queue += 1

    def took(self) -> None:
        """Note that a `Wake` of this one was taken out of the queue."""
        with self._lock:
            self._in_queue -= 1
        if self._task_done is not None:
            self._task_done()

    def size(self) -> int:
        """Return how many items are in the queue."""
        return max(0, self._queue.qsize() - self._in_queue)
