"""Queues: who takes an item works for who put it there, until the next item is taken.

Which item is which is told by its identity; the queue keeps it alive for as long as it is of
interest.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from .._compat import without_our_frames
from .._errors import guard
from ..patches._callers import INFRASTRUCTURE
from ..patches._patch import Place
from ._crossings import AT, START, WHO, Crossing, Mark, Taken, leave
from ._handed import hand_over
from ._source import owner

if TYPE_CHECKING:
    from types import FrameType

    from ..patches._patch import Patch, Settings

# By queue: by identity of the item, those who put it, the first one first.
_put: weakref.WeakKeyDictionary[Any, dict[int, deque[Crossing]]] = weakref.WeakKeyDictionary()
_ANYIO = "anyio.streams.memory"
# Of a queue that is emptied by other means, or never.
_MOST_ITEMS = 10_000


def _note(queue: Any, item: object, crossing: Crossing) -> None:
    items = _put.get(queue)
    if items is None or len(items) > _MOST_ITEMS:
        items = _put[queue] = {}
    items.setdefault(id(item), deque()).append(crossing)
    if not crossing.is_light:
        hand_over(item, crossing)


def _forget(queue: Any, item: object) -> Crossing | None:
    items = _put.get(queue)
    crossings = None if items is None else items.get(id(item))
    if not crossings:
        return None
    assert items is not None
    crossing = crossings.popleft()
    if not crossings:
        items.pop(id(item), None)
    return crossing


def _refuse(queue: Any, item: object, crossing: Crossing) -> None:
    # Not just any of that item: None may be in it several times.
    items: dict[int, deque[Crossing]] = _put.get(queue, {})
    others = deque(each for each in items.pop(id(item), ()) if each is not crossing)
    if others:
        items[id(item)] = others


def _take(queue: Any, item: object) -> None:
    crossing, at = _forget(queue, item), AT.get()
    if crossing is not None:
        crossing.arrive()
    if crossing is not None or at is not None:
        # Also if nobody was in a run who put it: what is done now is not for who put the last.
        AT.set(Taken(crossing, START if isinstance(at, Mark) else at))


def _puts(kind: str, but_for: str = "") -> Any:
    """Replace what puts an item.

    Args:
        kind: What the user calls.
        but_for: A method of the same library that calls it, and keeps what is refused.
    """

    def replace(original: Any, patch: Patch, _: Settings) -> Any:
        @functools.wraps(original)
        def put(self: Any, item: Any, *args: Any, **kwargs: Any) -> Any:
            if not patch.active or _is_of_a_tracer(_caller()):
                return original(self, item, *args, **kwargs)
            crossing = leave(kind, always=True)
            if crossing is None:
                return original(self, item, *args, **kwargs)
            queue = getattr(self, "_state", self)  # two ends of anyio's have one
            # Before, for who waits for it may be in another thread.
            guard(WHO, _note, queue, item, crossing)
            try:
                return original(self, item, *args, **kwargs)
            except BaseException as error:
                if not _is_called_by(but_for, _caller()):
                    guard(WHO, _refuse, queue, item, crossing)
                without_our_frames(error)  # items may be compared, by code of the user's
                raise

        return put

    return replace


def _gets(but_for: str = "", *, waits: bool = False) -> Any:
    """Replace what takes an item.

    Args:
        but_for: A method that calls it, and is replaced itself.
        waits: Whether it waits for an item, unless it is told not to.
    """

    def replace(original: Any, patch: Patch, _: Settings) -> Any:
        @functools.wraps(original)
        def get(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                item = original(self, *args, **kwargs)
            except BaseException as error:
                if patch.active and waits and _has_waited(args, kwargs):
                    leave_item()
                without_our_frames(error)
                raise
            frame = _caller()
            if patch.active and not (_is_called_by(but_for, frame) or _is_of_a_tracer(frame)):
                guard(WHO, _take, getattr(self, "_state", self), item)
            return item

        return get

    return replace


def _awaits(original: Any, patch: Patch, _: Settings) -> Any:
    @functools.wraps(original)
    async def receive(self: Any) -> Any:
        try:
            item = await original(self)
        except BaseException as error:
            if patch.active:
                leave_item()
            without_our_frames(error)
            raise
        if patch.active:
            guard(WHO, _take, self._state, item)
        return item

    return receive


def _has_waited(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    # Who looks whether there is more may be about to work on what there was.
    return bool(args[0] if args else kwargs.get("block", True))


def leave_item() -> None:
    """Have what is done now be for nobody who has put an item."""
    at = AT.get()
    if isinstance(at, Taken):
        AT.set(Taken(None, at))


def _caller() -> FrameType | None:
    # None where C calls: atexit.register(queue.put, None)
    return sys._getframe(1).f_back  # pyright: ignore[reportPrivateUsage]


def _is_of_a_tracer(frame: FrameType | None) -> bool:
    # What is recorded goes through a queue, too.
    return frame is not None and owner(frame) in INFRASTRUCTURE


def _is_called_by(method: str, frame: FrameType | None) -> bool:
    # An end of anyio's has two ways, of which one begins with the other.
    return (
        frame is not None
        and frame.f_code.co_name == method
        and frame.f_globals.get("__name__") == _ANYIO
    )


PLACES = (
    Place("queues", "queue", "Queue.put", _puts("Queue.put")),
    Place("queues", "queue", "Queue.get", _gets(waits=True)),
    Place("queues", "asyncio.queues", "Queue.put_nowait", _puts("asyncio.Queue.put")),
    Place("queues", "asyncio.queues", "Queue.get_nowait", _gets()),
    Place(
        "queues",
        _ANYIO,
        "MemoryObjectSendStream.send_nowait",
        _puts("MemoryObjectSendStream.send", but_for="send"),
    ),
    Place("queues", _ANYIO, "MemoryObjectReceiveStream.receive_nowait", _gets(but_for="receive")),
    Place("queues", _ANYIO, "MemoryObjectReceiveStream.receive", _awaits),
)
