"""How the loops that serve a queue of asyncio are told to end."""

from __future__ import annotations

import asyncio
import types
from typing import TYPE_CHECKING, Any

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
        """Await the queue's `get`; where that still waits when all are told to end, take it back.

        To cancel the task could not be told from a cancellation by somebody else, before Python
        3.11. So the task waits for a future of ours beside that of the queue.

        Raises:
            Stopped: They were told, and nothing was taken.
        """
        got = self._queue.get()
        steps: Any = got.__await__() if hasattr(got, "__await__") else _await(got).__await__()
        # A step that finds the queue empty takes no item. One that does not may have taken it,
        # and what the queue's get awaits after that is to be left in peace.
        waits = True
        error: BaseException | None = None
        try:
            while True:
                waits = waits and self._queue.empty()
                try:
                    if error is None:
                        future = steps.send(None)
                    else:
                        future = steps.throw(error)
                        error = None
                except StopIteration as done:
                    return done.value
                try:
                    if waits and getattr(future, "_asyncio_future_blocking", False):
                        yield from self._either(future)
                        if self.called and not future.done():
                            error = Stopped()
                            waits = False  # once, as a cancellation comes once
                    else:
                        yield future
                except BaseException as thrown:  # noqa: BLE001 - forwarded, not swallowed
                    error = thrown
        finally:
            del error  # which has this frame

    def _either(self, future: asyncio.Future[Any]) -> Generator[Any, Any, None]:
        """Wait until `future` is done, or all are told to end."""
        future._asyncio_future_blocking = False  # as a task does with what it will wait for
        either = future.get_loop().create_future()

        def wake(_: object) -> None:
            _wake(either)

        future.add_done_callback(wake)
        self._waiting.add(either)
        try:
            if not self.called:
                yield from either
        finally:
            self._waiting.discard(either)
            future.remove_done_callback(wake)


async def _await(awaitable: Any) -> Any:
    return await awaitable


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
