"""How the loops that serve a queue of asyncio are told to end."""

from __future__ import annotations

import asyncio
import sys
import types
from typing import TYPE_CHECKING, Any

from ._stopping import LOOK_AGAIN

if TYPE_CHECKING:
    from collections.abc import Generator


class Stopped(asyncio.CancelledError):
    """Thrown into a queue's `get`, which takes it for the end of its waiting, and not out of it."""


class Stop:
    """How the loops that serve a queue are told to end: once, and for good."""

    def __init__(self, queue: Any) -> None:
        self.called = False
        self._queue = queue
        self._waiting: set[asyncio.Future[None]] = set()

    def call(self) -> None:
        """Tell them."""
        self.called = True
        for future in self._waiting:
            _wake(future)

    @types.coroutine
    def take(self) -> Generator[Any, Any, Any]:
        """Await the queue's `get`; where it still waits when all are to end, take it back.

        To cancel the task could not be told from a cancellation by somebody else, before Python
        3.11. So the task waits for a future of ours beside the one that `get` waits for.

        Raises:
            Stopped: They are to end, and nothing was taken.
        """
        got = self._queue.get()
        steps: Any = got.__await__() if hasattr(got, "__await__") else _await(got).__await__()
        # What `get` awaits after it took the item is left in peace, and so is what it awaits
        # after it was told, or cancelled: that comes once.
        to_be_told = True
        cancellations = _cancellations()
        # One that begins when all are to end takes what is there in its own time; whether another
        # took it, nothing says, so it looks. One that waited before is told whatever is there.
        waits_until_empty = self.called
        error: BaseException | None = None
        try:
            while True:
                size = self._queue.qsize()
                try:
                    if error is None:
                        future = steps.send(None)
                    else:
                        future = steps.throw(error)
                        error = None
                except StopIteration as done:
                    return done.value
                to_be_told = to_be_told and self._queue.qsize() >= size
                waits = getattr(future, "_asyncio_future_blocking", False)
                try:
                    if to_be_told and waits and _cancellations() == cancellations:
                        error = yield from self._wait(future, waits_until_empty)
                    else:
                        yield future
                except BaseException as thrown:  # noqa: BLE001 - forwarded, not swallowed
                    error = thrown
                if isinstance(error, _LAST):
                    to_be_told = False
        finally:
            del error  # which has this frame

    def _wait(
        self, future: asyncio.Future[Any], until_empty: bool
    ) -> Generator[Any, Any, BaseException | None]:
        """Wait for a future, as a task does, until all are to end.

        Returns:
            What is to be thrown into the one that awaits it, if not what comes out of it.
        """
        future._asyncio_future_blocking = False
        is_taken_back = False
        while not future.done():
            is_over = self.called and (not until_empty or self._queue.empty())
            if is_over and not is_taken_back:
                is_taken_back = future.cancel()
                continue  # unless it is a task, that is all
            try:
                yield from self._beside(future, LOOK_AGAIN if until_empty else None)
            except asyncio.CancelledError as cancelled:
                # A task that is cancelled does so with what it waits for.
                if not future.cancel(*cancelled.args) or future.done():
                    return cancelled
                future._asyncio_future_blocking = True
                yield future
        return Stopped() if is_taken_back and future.cancelled() else None

    def _beside(
        self, future: asyncio.Future[Any], timeout: float | None
    ) -> Generator[Any, Any, None]:
        """Wait until a future is done, or all are told, or for that many seconds."""
        loop = future.get_loop()
        either = loop.create_future()

        def wake(_: object) -> None:
            _wake(either)

        future.add_done_callback(wake)
        self._waiting.add(either)
        timer = None if timeout is None else loop.call_later(timeout, wake, None)
        try:
            yield from either
        finally:
            self._waiting.discard(either)
            future.remove_done_callback(wake)
            if timer is not None:
                timer.cancel()


# What comes once. From Python 3.11 on a task can take back a cancellation, as asyncio.timeout()
# does, and `_cancellations` tells; before it nobody can.
_LAST = Stopped if sys.version_info >= (3, 11) else asyncio.CancelledError


def _cancellations() -> int:
    """Return how many cancellations the current task has to end by, as far as it is known."""
    if sys.version_info >= (3, 11):
        task = asyncio.current_task()
        return 0 if task is None else task.cancelling()
    return 0


async def _await(awaitable: Any) -> Any:
    return await awaitable


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
