"""Queues between tasks of one asyncio loop: an item is handled in its sender's context."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from ._sent import AsyncReceiving, Sent, item_of, opened
from ._serving import WAKE, check_handlers, handle_async
from .queues import Wrapping

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from .._snapshot import Snapshot

_T = TypeVar("_T")


class AsyncContextQueue(Wrapping[_T]):
    """A queue for asyncio whose items bring the context of whoever put them.

    Around an `asyncio.Queue`, `LifoQueue` or `PriorityQueue`, or anything with their `put`
    and `get`. It has whatever else that queue has. See `ctxtrace.ContextQueue` for what the
    two have in common.

    Args:
        queue: The queue to put into and to take from.

    Raises:
        TypeError: It is no queue for asyncio.

    As the wrapped queue it belongs to one loop and is not thread-safe. Mirrors
    `asyncio.Queue`.
    """

    _errors = tuple(
        getattr(asyncio, name)
        for name in ("QueueEmpty", "QueueFull", "QueueShutDown")
        if hasattr(asyncio, name)
    )

    def __init__(self, queue: asyncio.Queue[_T]) -> None:
        instead = "an asyncio.Queue(), LifoQueue() or PriorityQueue()"
        super().__init__(queue, is_async=True, instead=instead)

    async def put(self, item: _T) -> None:
        """Put an item, with a snapshot of the context that is current now; wait for room.

        Args:
            item: The item.

        Raises:
            asyncio.QueueShutDown: The queue was shut down (Python 3.13).
        """
        sent = Sent(item)
        try:
            await self._queue.put(sent)
        except (asyncio.CancelledError, *self._errors):
            sent.forget()
            raise

    def put_nowait(self, item: _T) -> None:
        """Put an item, as `put` does, if there is room.

        Raises:
            asyncio.QueueFull: There is none.
            asyncio.QueueShutDown: The queue was shut down (Python 3.13).
        """
        sent = Sent(item)
        try:
            self._queue.put_nowait(sent)
        except self._errors:
            sent.forget()
            raise

    async def get(self) -> _T:
        """Take an item, without its context; wait for one.

        Returns:
            The item as it was put.

        Raises:
            asyncio.QueueShutDown: The queue was shut down (Python 3.13).
        """
        item: _T = item_of(await self._take())
        return item

    def get_nowait(self) -> _T:
        """Take an item, as `get` does, if there is one.

        Raises:
            asyncio.QueueEmpty: There is none.
            asyncio.QueueShutDown: The queue was shut down (Python 3.13).
        """
        while True:
            thing = self._queue.get_nowait()
            if thing is not WAKE:
                self._stop.saw_item()
                item: _T = item_of(thing)
                return item
            if self._stop.pass_on():
                raise asyncio.QueueEmpty

    async def get_with_context(self) -> tuple[_T, Snapshot]:
        """Take an item and the snapshot of its sender; wait for one.

        The snapshot keeps the sender's run alive for as long as you keep it.

        Returns:
            The item, and a `Snapshot`; an empty one for an item that was put into the
            wrapped queue directly.

        Raises:
            asyncio.QueueShutDown: As for `get`.
        """
        return opened(await self._take())

    def receive(self) -> AbstractAsyncContextManager[_T]:
        """Take an item for a block, with its sender's context overlaid on the block's.

        It is what `Snapshot.attach` does, and has its limit: a variable that the block sets
        itself, and that the sender did not have, stays set when the next item comes. `serve`
        has not. After the block `task_done` is called.

        Returns:
            A context manager for ``async with``, to be entered once, that gives the item.
            The item is taken when it is entered.

        Raises:
            asyncio.QueueShutDown: As for `get`; on entering.
        """
        return AsyncReceiving(self.get_with_context, self._task_done)

    async def serve(
        self,
        handler: Callable[[_T], object],
        *,
        on_error: Callable[[Exception], object] | None = None,
    ) -> None:
        """Handle items, in this task, until `stop` was called and none are left.

        Each item is handled in a private copy of its sender's context: what the handler sets,
        nobody else sees. After each, `task_done` is called. Any number of tasks may serve one
        queue. A shutdown of the queue (Python 3.13) ends the loop too.

        Args:
            handler: Called with each item. What it returns is awaited, if it can be.
            on_error: Called with each `Exception` of `handler`, in the sender's context, and
                awaited likewise; the loop goes on. Without it, such errors are logged by the
                logger ``ctxtrace``. Its own are logged too. What is no `Exception`, such as
                a cancellation, ends the loop and is raised.

        Raises:
            TypeError: One of them is not a function, or a generator function.
        """
        check_handlers("AsyncContextQueue.serve()", handler, on_error, may_be_async=True)
        stop = self._stop
        try:
            while True:
                thing: Any = None  # nothing is kept while the loop waits
                if stop.waits():
                    try:
                        thing = await self._queue.get()
                    finally:
                        stop.waited()
                else:
                    thing = self._queue.get_nowait()
                if thing is WAKE:
                    if stop.pass_on():
                        return  # to one who then finds whatever is left
                    continue
                try:
                    await handle_async(thing, handler, on_error)
                finally:
                    del thing
                    if self._task_done is not None:
                        self._task_done()
        except self._errors:
            return  # it is empty, or was shut down
        finally:
            if stop.called:
                stop.pass_on()

    async def _take(self) -> Any:
        while True:
            thing = await self._queue.get()
            if thing is not WAKE:
                self._stop.saw_item()
                return thing
            # It is for another task, which serves, and finds it in this turn of the loop.
            if self._stop.pass_on():
                await asyncio.sleep(0)

    if TYPE_CHECKING:

        async def join(self) -> None: ...


AsyncContextQueue.__module__ = "ctxtrace"
