"""What travels through a queue, and what takes it out at the other end.

Between `put` and the end of its handling an item is a `Sent`: with it goes the snapshot of
whoever put it, and so the pin of the run that it belongs to. Nothing else refers to the
snapshot, so that it is gone when the item is. What was put into the wrapped queue directly has
no snapshot; it is handled in an empty context, for nobody knows where it came from.
"""

# What is Sent's own is private because it stands in for the item.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .._snapshot import Snapshot, capture

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_T = TypeVar("_T")

NOT_SENT = Snapshot(Context(), None)


class Sent:
    """An item with the snapshot of its sender. It is ordered, and found equal, as the item is."""

    # Names that no item has: what others look for in this one is the item's.
    __slots__ = ("_ctxtrace_item", "_ctxtrace_snapshot")

    def __init__(self, item: Any, snapshot: Snapshot) -> None:
        self._ctxtrace_item = item
        self._ctxtrace_snapshot = snapshot

    # Of a priority queue, which compares by < alone and may hold bare items too.

    def __lt__(self, other: Any) -> Any:
        return self._ctxtrace_item < item_of(other)

    def __gt__(self, other: Any) -> Any:
        return item_of(other) < self._ctxtrace_item

    # Of queues that drop what they hold already.

    def __eq__(self, other: object) -> Any:
        return self._ctxtrace_item == item_of(other)

    def __hash__(self) -> int:
        return hash(self._ctxtrace_item)

    # Of queues that look at what they hold.

    def __getitem__(self, key: Any) -> Any:
        return self._ctxtrace_item[key]

    def __getattr__(self, name: str) -> Any:
        if name in Sent.__slots__:  # of one that was made by copying
            raise AttributeError(name)
        return getattr(self._ctxtrace_item, name)


def sent(item: Any) -> Sent:
    """Return an item as it is put, with a snapshot of the context that is current now."""
    return Sent(item, capture())


def forget_sender(thing: Sent) -> None:
    """Let go of the sender of an item that was not put: a kept error keeps the frames it was in."""
    thing._ctxtrace_snapshot = NOT_SENT


def item_of(thing: Any) -> Any:
    """Return the bare item of what came out of a queue."""
    return thing._ctxtrace_item if isinstance(thing, Sent) else thing


def opened(thing: Any) -> tuple[Any, Snapshot]:
    """Return the item, and its sender's snapshot, of what came out of a queue."""
    if isinstance(thing, Sent):
        return thing._ctxtrace_item, thing._ctxtrace_snapshot
    return thing, NOT_SENT


class _Block(Generic[_T]):
    """The block in which an item is handled, in an overlay of its sender's context."""

    __slots__ = ("_overlay", "_take", "_task_done")

    def __init__(self, take: Callable[[], Any], task_done: Callable[[], object] | None) -> None:
        self._take: Callable[[], Any] | None = take
        self._task_done = task_done
        self._overlay: Any = None

    def _taking(self) -> Any:
        take, self._take = self._take, None
        if take is None:
            raise RuntimeError(
                "this receive() was entered before: call it anew for each with block"
            )
        return take()

    def _enter(self, item: _T, snapshot: Snapshot) -> _T:
        self._overlay = snapshot.attach()
        self._overlay.__enter__()
        return item

    def _exit(self, *error: Any) -> None:
        overlay, self._overlay = self._overlay, None
        overlay.__exit__(*error)
        if self._task_done is None:
            return
        if error[1] is None:
            self._task_done()
        else:
            # Where the block has called it already, that is not to hide what the block raised.
            with suppress(ValueError):
                self._task_done()


class Receiving(_Block[_T]):
    """That of ``with``."""

    __slots__ = ()

    def __enter__(self) -> _T:
        return self._enter(*self._taking())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exit(kind, error, traceback)


class AsyncReceiving(_Block[_T]):
    """That of ``async with``."""

    __slots__ = ()

    async def __aenter__(self) -> _T:
        return self._enter(*await self._taking())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exit(kind, error, traceback)
