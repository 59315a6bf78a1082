"""How the loops that serve a queue between threads are told to end."""

from __future__ import annotations

import queue as standard
import sys
from typing import Any

from ._wrapping import has_method_of

# How long a loop waits, where nothing but an item can wake it, before it looks whether it is to
# end. In seconds.
LOOK_AGAIN = 0.1


class Stop:
    """Tells them: once, and for good. Of a queue it needs ``get(timeout=...)`` and ``empty()``."""

    def __init__(self, queue: Any) -> None:
        self.called = False
        self._queue = queue

    def call(self) -> None:
        """Tell them."""
        # Takes no lock: it may interrupt anything, as the handler of a signal.
        self.called = True

    def take(self) -> Any:
        """Return the next item; wait for one until all are to end.

        Raises:
            queue.Empty: They are to end, and there is none.
        """
        while not (self.called and self._queue.empty()):
            try:
                return self._queue.get(timeout=LOOK_AGAIN)
            except standard.Empty:
                pass
        raise standard.Empty


class StopAtOnce(Stop):
    """Does so where the queue's ``get`` is that of `queue.Queue`, without looking now and then.

    A loop waits for the queue's own condition, which `call` notifies as `put` does.
    """

    def call(self) -> None:
        super().call()
        with self._queue.mutex:
            self._queue.not_empty.notify_all()

    def take(self) -> Any:
        queue = self._queue
        while True:
            try:
                return queue.get(block=False)
            except standard.Empty:
                if self.called:
                    raise
            with queue.not_empty:
                # What ends the wait in the queue's own get().
                is_over = sys.version_info >= (3, 13) and queue.is_shutdown
                if not (self.called or is_over or queue._qsize()):
                    queue.not_empty.wait()


def stop_of(queue: Any) -> Stop:
    """Return what stops the loops that serve this queue."""
    return (StopAtOnce if has_method_of(queue, standard.Queue, "get") else Stop)(queue)
