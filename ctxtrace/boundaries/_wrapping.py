"""What the queues for threads and those for asyncio have in common."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .._compat import without_our_frames
from ._sent import forget_sender

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._sent import Sent

_T = TypeVar("_T")


class Wrapping(Generic[_T]):
    """A queue around another, which is asked for whatever this one does not have."""

    def __init__(self, queue: Any, refusals: tuple[type[BaseException], ...]) -> None:
        self._queue: Any = queue
        self._refusals = refusals
        """With which the queue says that it has not taken an item."""
        self._task_done: Callable[[], None] | None = getattr(queue, "task_done", None)

    def __getattr__(self, name: str) -> Any:
        if name == "_queue":  # of one whose __init__ was not called
            raise AttributeError(name)
        return getattr(self._queue, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if "_queue" in vars(self) and not name.startswith("_") and hasattr(self._queue, name):
            setattr(self._queue, name, value)
        else:
            super().__setattr__(name, value)

    def __repr__(self) -> str:
        # Not that queue's repr, which may show what is in it.
        kind = type(self._queue).__qualname__
        return f"<ctxtrace.{type(self).__name__} of a {kind} at {id(self):#x}>"

    def _was_not_put(self, thing: Sent, error: BaseException) -> None:
        if isinstance(error, self._refusals):
            forget_sender(thing)
        without_our_frames(error)

    if TYPE_CHECKING:

        @property
        def maxsize(self) -> int: ...
        def qsize(self) -> int: ...
        def empty(self) -> bool: ...
        def full(self) -> bool: ...
        def task_done(self) -> None: ...
        def shutdown(self, immediate: bool = False) -> None: ...


def check_queue(who: str, queue: object, instead: str) -> None:
    """Raise TypeError unless `queue` looks like a queue within this process."""
    if issubclass(type(queue), Wrapping):
        raise TypeError(
            f"{who}() takes the queue to wrap, and got {queue!r}, which carries already: use that."
        )
    kind = type(queue).__qualname__
    if any(base.__module__.startswith("multiprocessing.") for base in type(queue).__mro__):
        raise TypeError(
            f"{who}() cannot carry a context through a {kind} of multiprocessing: a context "
            "cannot leave its process. Use the queue as it is; the runs at its other end will be "
            "traces of their own. Queues that carry a trace to another process are planned."
        )
    methods = ("put", "get", "put_nowait", "get_nowait", "empty", "qsize")
    missing = [name for name in methods if not callable(getattr(queue, name, None))]
    if missing or isinstance(queue, type):
        got = f"the class {queue.__qualname__}" if isinstance(queue, type) else f"a {kind}"
        lacks = f", which has no {'(), '.join(missing)}()" if missing else ""
        raise TypeError(f"{who}() takes a queue, and got {got}{lacks}: pass {instead}.")


def called_as(method: Callable[..., Any]) -> Callable[[_T], _T]:
    """Show another's signature for a method that hands on whatever it is given."""

    def sign(ours: Any) -> Any:
        ours.__signature__ = inspect.signature(method)
        return ours

    return sign


def has_method_of(queue: object, kind: type, name: str) -> bool:
    """Return whether a queue is of a kind, and has a method of that kind as it is there."""
    return isinstance(queue, kind) and getattr(type(queue), name) is getattr(kind, name)
