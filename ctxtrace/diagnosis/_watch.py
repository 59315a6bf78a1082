"""Put the eyes in place while somebody diagnoses, and take them out.

The same kind of patches as `install`'s, of its list of places and of more. What several
diagnoses share is there once.
"""

# What it sets in other modules is theirs, and nobody else's business.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any

from .. import _snapshot
from .._errors import guard, logger
from ..carriers import active, register_carrier
from ..lifecycle import _fork
from ..patches._callers import INFRASTRUCTURE
from ..patches._patch import Patch, Settings, Unexpected
from ..testing import _place, _tape
from ..testing._imports import when_imported
from . import _boundaries, _cause, _crossings, _handed, _queues, _scene, _untraced, _wraps
from ._crossings import AT, START, WHO, Provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Protocol

    from ..patches._patch import Place as Patched
    from ._found import Found

    class Told(Protocol):
        """Who diagnoses."""

        def lost(self, run_id: str | None, found: Found) -> object: ...
        def crossed(self, crossing: _crossings.Crossing, /) -> object: ...


PLACES: tuple[Patched, ...] = (
    *_boundaries.PLACES,
    *_queues.PLACES,
    *_handed.PLACES,
    *_untraced.PLACES,
)
_PLACES_IN = {
    module: tuple(place for place in PLACES if place.module == module)
    for module in dict.fromkeys(place.module for place in PLACES)
}

_lock = threading.RLock()
_fork.renew_lock(_lock)
_told: list[Told] = []
_put: list[Patch] = []
# Those of earlier diagnoses: a test suite puts them in place a thousand times.
_made: dict[int, Patch] = {}
_undo_carrier: Callable[[], None] | None = None


def start(told: Told) -> None:
    """Tell of each run that is lost from now on, from any thread, and of each crossing."""
    global _undo_carrier
    active()
    with _lock:
        _told.append(told)
        _note_for_all()
        if len(_told) > 1:
            return
        _undo_carrier = register_carrier(Provenance())
        _place.look = _scene.look
        _tape.notice = _started
        _tape.notice_outputs = _handed.returned
        _untraced.told = _not_recorded
        _snapshot.on_copy, _snapshot.on_wrapped = _crossings.copied, _called
    for module in _PLACES_IN:
        when_imported(module, _imported)
        _patch(module)


def stop(told: Told) -> None:
    """Take back what `start` did."""
    global _undo_carrier
    with _lock:
        _told.remove(told)
        if _told:
            _note_for_all()
            return
        _snapshot.on_copy = _snapshot.on_wrapped = _crossings.noted = None
        _place.look = _tape.notice = _tape.notice_outputs = _untraced.told = None
        covered: list[str] = []
        while _put:
            patch = _put.pop()
            covered += patch.undo()
            if patch.was_covered:
                del _made[id(patch.place)]  # what lies beneath is to do nothing for ever
        if _undo_carrier is not None:
            _undo_carrier()
        _undo_carrier = None
        _cause.forget_all()
        _handed.forget_all()
    if covered:
        logger.warning(
            "diagnose(): %s was changed again while it was observed, and is left as it is. What "
            "ctxtrace put there does nothing from now on.",
            ", ".join(covered),
        )


@contextlib.contextmanager
def beginning_here() -> Generator[None, None, None]:
    """Know the current context, and what is copied from it, until the block ends."""
    if AT.get() is not None:
        yield
        return
    token = AT.set(START)
    try:
        yield
    finally:
        # It may end in another context, which was not changed.
        with contextlib.suppress(ValueError):
            AT.reset(token)


def _imported(module: Any) -> None:
    guard(WHO, _patch, module.__name__)


def _patch(name: str) -> None:
    module = sys.modules.get(name)
    if module is None:
        return
    for place in _PLACES_IN[name]:
        guard(place.target, _patch_one, place, module)


def _patch_one(place: Patched, module: Any) -> None:
    with _lock:
        patch = _made.setdefault(id(place), Patch(place))
        if not _told or patch in _put:
            return
        try:
            patch.put(module, _NOTHING)
        except Unexpected as unexpected:
            why = str(unexpected)
        else:
            _put.append(patch)
            return
    logger.warning(
        "diagnose() leaves %s alone, for it is not as this version of ctxtrace knows it: %s. What "
        "crosses there is not seen.",
        place.target,
        why,
    )


# What the places of install() take, and those here do not need.
def _as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


_NOTHING = Settings(_as_it_is, _as_it_is, INFRASTRUCTURE)


def _started(run: _tape.Run) -> None:
    active()  # its library may be new
    _tell(run.id, guard(WHO, _cause.cause, run))


def _not_recorded(name: str, place: _place.Place) -> None:
    _tell(None, guard(WHO, _cause.missing, name, place))


def _called(snapshot: Any, function: Any) -> Any:
    return guard(WHO, _wraps.called, snapshot, function) or snapshot


def _tell(run_id: str | None, found: Found | None) -> None:
    if found is not None:
        for told in _told.copy():
            told.lost(run_id, found)


def _note_for_all() -> None:
    # One is the rule, and this is called at every crossing.
    _crossings.noted = _told[0].crossed if len(_told) == 1 else _noted


def _noted(crossing: _crossings.Crossing) -> None:
    for told in _told:
        told.crossed(crossing)
