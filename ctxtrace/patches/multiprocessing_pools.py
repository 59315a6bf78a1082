"""multiprocessing.pool: a `ThreadPool` runs each call in the context of whoever asked for it.

Process pools are another class, and left alone: a context cannot leave its process.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from itertools import repeat, starmap
from typing import TYPE_CHECKING, Any

from .._compat import without_our_frames
from .._snapshot import release
from ._patch import Place, Unexpected

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._patch import Patch, Settings


class _Callbacks:
    """The two callbacks of one result, of which one is called, once.

    The result keeps both for as long as it is kept itself; what they carry goes with the call.
    """

    def __init__(self, settings: Settings, *callbacks: Callable[[Any], object] | None) -> None:
        self._crossings = [
            None if callback is None else settings.cross(callback) for callback in callbacks
        ]

    def call(self, which: int, value: Any) -> None:
        crossings, self._crossings = self._crossings, []
        crossing = crossings[which] if crossings else None
        del crossings
        if crossing is None:
            return
        try:
            crossing(value)
        except BaseException as error:
            without_our_frames(error)
            raise
        finally:
            del crossing  # a kept error keeps the frames it came through

    def release(self) -> None:
        self._crossings = []


def _one_call(original: Any, patch: Patch, settings: Settings) -> Any:
    return _carrying(original, patch, settings, settings.cross)


def _many_calls(original: Any, patch: Patch, settings: Settings) -> Any:
    return _carrying(original, patch, settings, settings.cross_each)


def _calls_on_demand(original: Any, patch: Patch, settings: Settings) -> Any:
    return _carrying(original, patch, settings, settings.cross_each, settings.cross)


def _carrying(
    original: Any,
    patch: Patch,
    settings: Settings,
    cross: Callable[..., Any],
    cross_iterator: Callable[..., Any] | None = None,
) -> Any:
    signature = inspect.signature(original)
    if "func" not in signature.parameters:
        raise Unexpected("it takes no 'func'")

    @functools.wraps(original)
    def method(*args: Any, **kwargs: Any) -> Any:
        bound = _bound(signature, args, kwargs) if patch.active else None
        if bound is None:
            return original(*args, **kwargs)  # which says in its own words what is wrong
        given = bound.arguments
        crossings = [cross(given["func"])]
        given["func"] = crossings[0]
        iterable = given.get("iterable")
        if cross_iterator is not None and isinstance(iterable, Iterator):
            # A thread of the pool takes the items. In one context for all of them, as what is
            # set in one step is to be reset in another.
            crossings.append(cross_iterator(iterable.__next__))
            given["iterable"] = starmap(crossings[1], repeat(()))
        callback, failed = given.get("callback"), given.get("error_callback")
        callbacks = _Callbacks(settings, callback, failed)
        if callback is not None or failed is not None:
            given["callback"] = functools.partial(callbacks.call, 0)
            given["error_callback"] = functools.partial(callbacks.call, 1)
        try:
            return original(*bound.args, **bound.kwargs)
        except BaseException as error:
            # A kept error keeps frames of the pool that have them. What interrupts the caller
            # alone leaves the work going on.
            if isinstance(error, Exception):
                callbacks.release()
                for crossing in crossings:
                    release(crossing)
            without_our_frames(error)
            raise

    return method


def _bound(signature: inspect.Signature, args: Any, kwargs: Any) -> inspect.BoundArguments | None:
    try:
        return signature.bind(*args, **kwargs)
    except TypeError:
        return None


def _place(method: str, replace: Any) -> Place:
    return Place("multiprocessing_pools", "multiprocessing.pool", f"ThreadPool.{method}", replace)


PLACES = (
    _place("apply_async", _one_call),  # apply() calls it
    *(_place(each, _many_calls) for each in ("map", "map_async", "starmap", "starmap_async")),
    *(_place(each, _calls_on_demand) for each in ("imap", "imap_unordered")),
)
