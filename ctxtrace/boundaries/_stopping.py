"""How the loops that serve a queue between threads are told to end."""

from __future__ import annotations

import threading
from contextlib import suppress
from queue import Empty
from typing import TYPE_CHECKING, Any

from ._sent import NOT_SENT, Sent

if TYPE_CHECKING:
    from collections.abc import Callable


class Wake(Sent):
    """Put into a queue to wake one that waits. It comes last, whatever it is compared with.

    What a queue looks for in an item, it finds: another that comes last.
    """

    __slots__ = ("stop",)

    def __init__(self, stop: StopByWake) -> None:
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
    """Tells the loops that serve a `queue.Queue` to end: once, and for good.

    They wait on the queue's own condition, which `put` notifies, and `call` too.
    """

    hidden = 0
    """How many things are in the queue that are no items."""

    def __init__(self, queue: Any) -> None:
        self.called = False
        self._queue = queue

    def call(self) -> None:
        """Tell them."""
        self.called = True
        with self._queue.mutex:
            self._queue.not_empty.notify_all()

    def take(self) -> Any:
        """Return the next item, for a loop that serves; wait for one until all are to end.

        Raises:
            queue.Empty: They are to end, and there is none.
        """
        queue = self._queue
        while True:
            try:
                return queue.get_nowait()
            except Empty:
                if self.called:
                    raise
            with queue.not_empty:
                # As in the queue's own get().
                over = getattr(queue, "is_shutdown", False)
                if not (self.called or over or queue._qsize()):
                    queue.not_empty.wait()

    def wake(self) -> None:
        """Wake one that waits, if all are to end."""


class StopByWake(Stop):
    """Does so for other queues.

    One that waits in such a queue's ``get`` sees nothing but what comes out of that, so a
    `Wake` is put in. Whoever takes that, or an item, passes it on if another one waits.
    """

    def __init__(self, queue: Any, full: tuple[type[Exception], ...]) -> None:
        super().__init__(queue)
        self._full = full  # with which a queue says that it takes nothing more
        self._task_done: Callable[[], object] | None = getattr(queue, "task_done", None)
        self._waiting = 0
        # A signal handler may tell them, in the middle of anything here.
        self._lock = threading.RLock()

    def call(self) -> None:
        with self._lock:
            self.called = True
        self.wake()

    def take(self) -> Any:
        with self._lock:
            self._waiting += 1
        try:
            # One that is counted from here on finds a Wake, if it was not told before.
            return self._queue.get_nowait() if self.called else self._queue.get()
        finally:
            with self._lock:
                self._waiting -= 1

    def wake(self) -> None:
        if not self.called:
            return
        with self._lock:
            if not self._waiting:
                return
            try:
                self._queue.put_nowait(Wake(self))
            except self._full:
                return  # there are items, and whoever takes one comes here again
            self.hidden += 1

    def took(self) -> None:
        """Note that a `Wake` of this one was taken out of the queue."""
        with self._lock:
            self.hidden -= 1
        if self._task_done is not None:
            with suppress(ValueError):  # who handles items has called it too often
                self._task_done()
