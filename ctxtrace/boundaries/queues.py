"""Queues between threads: an item is handled in the context of whoever put it."""

from __future__ import annotations

import inspect
import queue as standard
import time
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from ._sent import Receiving, Sent, item_of, opened
from ._serving import WAKE, Stop, check_handlers, handle

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from .._snapshot import Snapshot

_T = TypeVar("_T")


class Wrapping(Generic[_T]):
    """What the queues for threads and those for asyncio have in common."""

    # With which a queue says that it has nothing, takes nothing, or (from Python 3.13) is over.
    _errors: ClassVar[tuple[type[Exception], ...]]

    def __init__(self, queue: Any, *, is_async: bool, instead: str) -> None:
        _check(type(self).__name__, queue, is_async=is_async, instead=instead)
        self._queue: Any = queue
        self._task_done: Callable[[], None] | None = getattr(queue, "task_done", None)
        self._stop = Stop(queue, self._errors)

    def stop(self) -> None:
        """End every `serve` of this object, once what is in the queue is handled.

        For good: a `serve` that is called afterwards handles what is there and returns. Items
        can still be put, and taken by other means. Does not wait for the loops to end.

        It may be called wherever an item may be put; from a signal handler, therefore, only
        around a `queue.SimpleQueue`: the locks of other queues may be held by the very code
        that the signal interrupted.
        """
        self._stop.call()

    def __getattr__(self, name: str) -> Any:
        if name == "_queue":  # of one whose __init__ was not called
            raise AttributeError(name)
        return getattr(self._queue, name)

    def __repr__(self) -> str:
        # Not that queue's repr, which may show what is in it.
        return f"<ctxtrace.{type(self).__name__} of a {_kind(self._queue)} at {id(self):#x}>"

    if TYPE_CHECKING:

        @property
        def maxsize(self) -> int: ...
        def qsize(self) -> int: ...
        def empty(self) -> bool: ...
        def full(self) -> bool: ...
        def task_done(self) -> None: ...
        def shutdown(self, immediate: bool = False) -> None: ...


def _kind(queue: object) -> str:
    return type(queue).__qualname__


def _check(who: str, queue: object, *, is_async: bool, instead: str) -> None:
    if issubclass(type(queue), Wrapping):
        raise TypeError(
            f"{who}() takes the queue to wrap, and got a {_kind(queue)}, which carries already: "
            "use that one."
        )
    if any(base.__module__.startswith("multiprocessing.") for base in type(queue).__mro__):
        raise TypeError(
            f"{who}() cannot carry a context through a {_kind(queue)} of multiprocessing: a "
            "context cannot leave its process. Use the queue as it is; the runs at its other "
            "end will be traces of their own. Queues that carry a trace to another process are "
            "planned."
        )
    put, get = getattr(queue, "put", None), getattr(queue, "get", None)
    if isinstance(queue, type) or not (callable(put) and callable(get)):
        got = f"the class {queue.__qualname__}" if isinstance(queue, type) else _kind(queue)
        raise TypeError(f"{who}() takes a queue, and got {got}: pass {instead}.")
    if inspect.iscoroutinefunction(get) != is_async:
        kind, other = (
            ("between threads", "ContextQueue")
            if is_async
            else ("for asyncio", "AsyncContextQueue")
        )
        raise TypeError(
            f"{who}() cannot wrap a {_kind(queue)}, which is a queue {kind}: use "
            f"ctxtrace.{other}()."
        )


class ContextQueue(Wrapping[_T]):
    """A queue whose items bring the context of whoever put them.

    Around a `queue.Queue`, `SimpleQueue`, `LifoQueue` or `PriorityQueue`, or anything with
    their `put` and `get`. It has whatever else that queue has: `qsize`, `maxsize`,
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

    _errors = tuple(
        getattr(standard, name) for name in ("Empty", "Full", "ShutDown") if hasattr(standard, name)
    )

    def __init__(self, queue: standard.Queue[_T] | standard.SimpleQueue[_T]) -> None:
        instead = "a queue.Queue(), SimpleQueue(), LifoQueue() or PriorityQueue()"
        super().__init__(queue, is_async=False, instead=instead)

    def put(self, item: _T, block: bool = True, timeout: float | None = None) -> None:
        """Put an item, with a snapshot of the context that is current now.

        Args:
            item: The item.
            block: Whether to wait for room.
            timeout: Seconds to wait at most, or None.

        Raises:
            queue.Full: There was no room.
            queue.ShutDown: The queue was shut down (Python 3.13).
        """
        sent = Sent(item)
        try:
            self._queue.put(sent, block, timeout)
        except self._errors:
            sent.forget()
            raise

    def put_nowait(self, item: _T) -> None:
        """Do the same as ``put(item, block=False)``."""
        self.put(item, False)

    def get(self, block: bool = True, timeout: float | None = None) -> _T:
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
        item: _T = item_of(self._take(block, timeout))
        return item

    def get_nowait(self) -> _T:
        """Do the same as ``get(block=False)``."""
        return self.get(False)

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
        return opened(self._take(block, timeout))

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
                thing: Any = None  # nothing is kept while the loop waits
                if stop.waits():
                    try:
                        thing = self._queue.get()
                    finally:
                        stop.waited()
                else:
                    thing = self._queue.get_nowait()
                if thing is WAKE:
                    if stop.pass_on():
                        return  # to one who then finds whatever is left
                    continue
                try:
                    handle(thing, handler, on_error)
                finally:
                    del thing
                    if self._task_done is not None:
                        self._task_done()
        except self._errors:
            return  # it is empty, or was shut down
        finally:
            if stop.called:
                stop.pass_on()

    def _take(self, block: bool, timeout: float | None) -> Any:
        while True:
            thing = self._queue.get(block, timeout)
            if thing is not WAKE:
                self._stop.saw_item()
                return thing
            # It is for another thread, which serves, and is about to find it.
            if self._stop.pass_on():
                if not block:
                    raise standard.Empty
                time.sleep(0)

    if TYPE_CHECKING:

        def join(self) -> None: ...


ContextQueue.__module__ = "ctxtrace"
