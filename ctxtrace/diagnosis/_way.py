"""By which crossings code has come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..testing import _tape
from ._crossings import Crossing, Taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..testing._place import Place
    from ._crossings import At
    from ._scene import Scene


def came(at: At, place: Place, carrier: str) -> Iterator[Crossing]:
    """Walk back over the crossings by which code at a place has come, the last one first."""
    return _walk(at, lambda crossing, before: _comes_home(crossing, before, place, carrier))


def back(at: At) -> Iterator[Crossing]:
    """Walk back the way of who runs, whatever was taken from queues on it."""
    return _walk(at, lambda _crossing, _before: True)


def _way(at: At) -> Iterator[Crossing]:
    """Walk back the way that items have come."""
    return _walk(at, lambda _crossing, _before: False)


def _walk(at: At, goes_on: Callable[[Crossing, At], bool]) -> Iterator[Crossing]:
    """Walk back over crossings.

    Args:
        at: From where.
        goes_on: Whether to go on with who took an item from a queue, and not with the item.
            Called with the item's crossing, and what stood there before it was taken.
    """
    while isinstance(at, (Crossing, Taken)):
        if isinstance(at, Crossing):
            yield at
            at = at.before
        elif at.crossing is None or goes_on(at.crossing, at.before):
            at = at.before
        else:
            at = at.crossing


def _comes_home(crossing: Crossing, before: At, place: Place, carrier: str) -> bool:
    """Whether what was taken from a queue is an answer to who takes it.

    To who began the trace, or is in it, or has sent what it is the answer to.
    """
    for each in _way(crossing.before):
        if (each.thread, each.task) == (place.thread, place.task):
            return True
    sender = run_of(crossing.sent.get(carrier))
    if sender is None:
        return False
    root = root_of(sender)
    there: Scene | None = root.place.scene
    if there is not None and there.flow == place.scene.flow:
        return True
    for each in back(before):
        if carrier in each.sent:
            own = run_of(each.sent[carrier])
            return own is not None and root_of(own) is root
    return False


def run_of(token: tuple[object, str] | None) -> _tape.Run | None:
    """Return the run that a carrier named where something crossed, if it is known."""
    return None if token is None else _tape.find(str(token[0]))


def root_of(run: _tape.Run) -> _tape.Run:
    """Return the root of the trace that a run is in."""
    while run.parent is not None:
        run = run.parent
    return run
