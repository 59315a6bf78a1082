"""Queues between tasks of one asyncio loop: an item is handled in its sender's context."""

from __future__ import annotations

import asyncio
import queue as standard
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from .._compat import without_our_frames
from ._sent import AsyncReceiving, item_of, opened, sent
from ._serving import check_handlers, handle_async, task_done_after
from ._stopping_async import Stop, Stopped
from ._wrapping import Wrapping, called_as, check_queue, has_method_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from .._snapshot import Snapshot

_T = TypeVar("_T")

# With which a queue says, from Python 3.13 on, that it is over.
if sys.version_info >= (3, 13):
    _OVER: tuple[type[Exception], ...] = (asyncio.QueueShutDown,)
else:
    _OVER = ()


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

    def __init__(self, queue: asyncio.Queue[_T]) -> None:
        instead = "an asyncio.Queue(), LifoQueue() or PriorityQueue()"
        check_queue("AsyncContextQueue", queue, instead)
        if isinstance(queue, (standard.Queue, standard.SimpleQueue)):
            raise TypeError(
                f"AsyncContextQueue() cannot wrap a {type(queue).__qualname__}, which is a queue "
                "between threads: use ctxtrace.ContextQueue()."
            )
        refusals: tuple[type[BaseException], ...] = (asyncio.QueueFull, *_OVER)
        if has_method_of(queue, asyncio.Queue, "put"):  # which awaits nothing after it took one
            refusals += (asyncio.CancelledError,)
        super().__init__(queue, refusals)
        self._stop = Stop(queue)

    if TYPE_CHECKING:

        async def put(self, item: _T) -> None: ...
        def put_nowait(self, item: _T) -> None: ...
        async def get(self) -> _T: ...
        def get_nowait(self) -> _T: ...

    else:  # as the wrapped queue has them, whatever more it knows

        @called_as(asyncio.Queue.put)
        async def put(self, item: Any, *args: Any, **kwargs: Any) -> None:
            """Put an item, with a snapshot of the context that is current now; wait for room.

            Args:
                item: The item.

            Raises:
                asyncio.QueueShutDown: The queue was shut down (Python 3.13).
            """
            thing = sent(item)
            try:
                await self._queue.put(thing, *args, **kwargs)
            except BaseException as error:
                self._was_not_put(thing, error)
                raise

        @called_as(asyncio.Queue.put_nowait)
        def put_nowait(self, item: Any, *args: Any, **kwargs: Any) -> None:
            """Put an item, as `put` does, if there is room.

            Args:
                item: The item.

            Raises:
                asyncio.QueueFull: There is none.
                asyncio.QueueShutDown: The queue was shut down (Python 3.13).
            """
            thing = sent(item)
            try:
                self._queue.put_nowait(thing, *args, **kwargs)
            except BaseException as error:
                self._was_not_put(thing, error)
                raise

        @called_as(asyncio.Queue.get)
        async def get(self, *args: Any, **kwargs: Any) -> Any:
            """Take an item, without its context; wait for one.

            Returns:
                The item as it was put.

            Raises:
                asyncio.QueueShutDown: The queue was shut down (Python 3.13).
            """
            return item_of(await self._queue.get(*args, **kwargs))

        @called_as(asyncio.Queue.get_nowait)
        def get_nowait(self, *args: Any, **kwargs: Any) -> Any:
            """Take an item, as `get` does, if there is one.

            Raises:
                asyncio.QueueEmpty: There is none.
                asyncio.QueueShutDown: The queue was shut down (Python 3.13).
            """
            return item_of(self._queue.get_nowait(*args, **kwargs))

    async def get_with_context(self) -> tuple[_T, Snapshot]:
        """Take an item and the snapshot of its sender; wait for one.

        The snapshot keeps the sender's run alive for as long as you keep it.

        Returns:
            The item, and a `Snapshot`; an empty one for an item that was put into the
            wrapped queue directly.

        Raises:
            asyncio.QueueShutDown: As for `get`.
        """
        return opened(await self._queue.get())

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
                try:
                    thing = await stop.take()
                except Stopped:
                    # Somebody who waited for room may have been given it.
                    await asyncio.sleep(0)
                    if self._queue.empty():
                        return
                    continue
                except _OVER:
                    return
                try:
                    await handle_async(thing, handler, on_error)
                finally:
                    del thing  # nothing is kept while the loop waits
                    task_done_after(self._task_done)
        except BaseException as error:
            without_our_frames(error)
            raise

    def stop(self) -> None:
        """End every `serve` of this object, once what is in the queue is handled.

        For good: a `serve` that is called afterwards handles what is there and returns. Items
        can still be put, and taken by other means. It is to be called in the loop of the
        queue, and does not wait for the loops to end.
        """
        self._stop.call()

    if TYPE_CHECKING:

        async def join(self) -> None: ...


AsyncContextQueue.__module__ = "ctxtrace"
