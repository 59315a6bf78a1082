"""Queues between threads: an item is handled in the context of whoever put it."""

from __future__ import annotations

import inspect
import queue as standard
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from .._compat import without_our_frames
from ._sent import Receiving, item_of, opened, sent
from ._serving import check_handlers, handle, task_done_after
from ._stopping import stop_of
from ._wrapping import Wrapping, called_as, check_queue

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from .._snapshot import Snapshot

_T = TypeVar("_T")

# With which a queue says, from Python 3.13 on, that it is over.
if sys.version_info >= (3, 13):
    _OVER: tuple[type[Exception], ...] = (standard.ShutDown,)
else:
    _OVER = ()


class ContextQueue(Wrapping[_T]):
    """A queue whose items bring the context of whoever put them.

    Around a `queue.Queue`, `SimpleQueue`, `LifoQueue` or `PriorityQueue`, or anything with
    the methods of a `SimpleQueue`. It has whatever else that queue has: `qsize`, `maxsize`,
    `task_done`, `join`, `shutdown` on Python 3.13, and so on. Items are to be put and taken
    through it. One that was put into the wrapped queue directly comes out as it is, with an
    empty snapshot; what is taken from that directly is not the item alone.

    A worker that was started long before a request handles each item in the trace of that
    request, in one of three ways:

    * `serve` is a whole worker loop, and isolates exactly;
    * ``with q.receive() as item:`` overlays the sender's context on a block;
    * `get_with_context` gives the `Snapshot` to do with as you like.

    An item keeps its sender's run alive until it is handled, or dropped, or taken by `get`.

    Args:
        queue: The queue to put into and to take from.

    Raises:
        TypeError: It is no queue, one for asyncio, or one between processes.

    Safe to use from any thread, as far as the wrapped queue is. Mirrors `queue.Queue`.
    """

    def __init__(self, queue: standard.Queue[_T] | standard.SimpleQueue[_T]) -> None:
        instead = "a queue.Queue(), SimpleQueue(), LifoQueue() or PriorityQueue()"
        check_queue("ContextQueue", queue, instead)
        if any(map(inspect.iscoroutinefunction, (queue.put, queue.get))):
            raise TypeError(
                f"ContextQueue() cannot wrap a {type(queue).__qualname__}, which is a queue for "
                "asyncio: use ctxtrace.AsyncContextQueue()."
            )
        super().__init__(queue, refusals=(standard.Full, *_OVER))
        self._stop = stop_of(queue)

    if TYPE_CHECKING:

        def put(self, item: _T, block: bool = True, timeout: float | None = None) -> None: ...
        def get(self, block: bool = True, timeout: float | None = None) -> _T: ...

    else:  # as the wrapped queue has them, whatever more it knows

        @called_as(standard.Queue.put)
        def put(self, item: Any, *args: Any, **kwargs: Any) -> None:
            """Put an item, with a snapshot of the context that is current now.

            Args:
                item: The item.
                block: Whether to wait for room.
                timeout: Seconds to wait at most, or None.

            Raises:
                queue.Full: There was no room.
                queue.ShutDown: The queue was shut down (Python 3.13).
            """
            thing = sent(item)
            try:
                self._queue.put(thing, *args, **kwargs)
            except BaseException as error:
                self._was_not_put(thing, error)
                raise

        @called_as(standard.Queue.get)
        def get(self, *args: Any, **kwargs: Any) -> Any:
            """Take an item, without its context.

            Args:
                block: Whether to wait for one.
                timeout: Seconds to wait at most, or None.

            Returns:
                The item as it was put.

            Raises:
                queue.Empty: There was none.
                queue.ShutDown: The queue was shut down (Python 3.13).
            """
            return item_of(self._queue.get(*args, **kwargs))

    def put_nowait(self, item: _T) -> None:
        """Put an item, as `put` does, if there is room.

        Args:
            item: The item.

        Raises:
            queue.Full: There is none.
            queue.ShutDown: As for `put`.
        """
        thing = sent(item)
        try:
            self._queue.put_nowait(thing)
        except BaseException as error:
            self._was_not_put(thing, error)
            raise

    def get_nowait(self) -> _T:
        """Take an item, as `get` does, if there is one.

        Raises:
            queue.Empty: There is none.
            queue.ShutDown: As for `get`.
        """
        return item_of(self._queue.get_nowait())

    def get_with_context(
        self, block: bool = True, timeout: float | None = None
    ) -> tuple[_T, Snapshot]:
        """Take an item and the snapshot of its sender.

        The snapshot keeps the sender's run alive for as long as you keep it.

        Args:
            block: As for `get`.
            timeout: As for `get`.

        Returns:
            The item, and a `Snapshot`; an empty one for an item that was put into the
            wrapped queue directly.

        Raises:
            queue.Empty: As for `get`.
            queue.ShutDown: As for `get`.
        """
        return opened(self._queue.get(block, timeout))

    def receive(
        self, block: bool = True, timeout: float | None = None
    ) -> AbstractContextManager[_T]:
        """Take an item for a block, with its sender's context overlaid on the block's.

        It is what `Snapshot.attach` does, and has its limit: a variable that the block sets
        itself, and that the sender did not have, stays set when the next item comes. `serve`
        has not. After the block `task_done` is called, if the queue has it.

        Args:
            block: As for `get`.
            timeout: As for `get`.

        Returns:
            A context manager, to be entered once, that gives the item. The item is taken
            when it is entered.

        Raises:
            queue.Empty: As for `get`; on entering.
            queue.ShutDown: As for `get`; on entering.
        """
        return Receiving(lambda: self.get_with_context(block, timeout), self._task_done)

    def serve(
        self,
        handler: Callable[[_T], object],
        *,
        on_error: Callable[[Exception], object] | None = None,
    ) -> None:
        """Handle items, in this thread, until `stop` was called and none are left.

        Each call runs in a private copy of the sender's context: what it sets, nobody else
        sees. After each, `task_done` is called, if the queue has it. Any number of threads
        may serve one queue. A shutdown of the queue (Python 3.13) ends the loop too.

        Args:
            handler: Called with each item.
            on_error: Called with each `Exception` of `handler`, in the sender's context;
                the loop goes on. Without it, such errors are logged by the logger
                ``ctxtrace``. Its own are logged too. What is no `Exception`, such as
                `KeyboardInterrupt`, ends the loop and is raised.

        Raises:
            TypeError: One of them is not a function, or not a plain one.
        """
        check_handlers("ContextQueue.serve()", handler, on_error, may_be_async=False)
        stop = self._stop
        try:
            while True:
                try:
                    thing = stop.take()
                except (standard.Empty, *_OVER):
                    return
                try:
                    handle(thing, handler, on_error)
                finally:
                    del thing  # nothing is kept while the loop waits
                    task_done_after(self._task_done)
        except BaseException as error:
            without_our_frames(error)
            raise

    def stop(self) -> None:
        """End every `serve` of this object, once what is in the queue is handled.

        For good: a `serve` that is called afterwards handles what is there and returns. Items
        can still be put, and taken by other means; a `put` that waits for room is not waited
        for. Does not wait for the loops to end.

        Loops that wait are woken at once where the queue's ``get`` is that of `queue.Queue`.
        Around others, a `queue.SimpleQueue` among them, each looks every tenth of a second
        whether it is to end; that also makes this method safe to call from a signal handler.
        Around the former it is not: the queue's lock may be held by the very code that the
        signal interrupted.
        """
        self._stop.call()

    if TYPE_CHECKING:

        def join(self) -> None: ...


ContextQueue.__module__ = "ctxtrace"
