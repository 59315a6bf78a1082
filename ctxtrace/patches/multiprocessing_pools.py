"""multiprocessing.pool: a `ThreadPool` runs each call in the context of whoever asked for it.

Process pools are another class, and left alone: a context cannot leave its process.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

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
        if crossing is not None:
            crossing(value)


def _one_call(original: Any, patch: Patch, settings: Settings) -> Any:
    return _carrying(original, patch, settings, many=False)


def _many_calls(original: Any, patch: Patch, settings: Settings) -> Any:
    return _carrying(original, patch, settings, many=True)


def _carrying(original: Any, patch: Patch, settings: Settings, *, many: bool) -> Any:
    signature = inspect.signature(original)
    if "func" not in signature.parameters:
        raise Unexpected("it takes no 'func'")
    cross = settings.cross_each if many else settings.cross

    @functools.wraps(original)
    def method(*args: Any, **kwargs: Any) -> Any:
        if not patch.active:
            return original(*args, **kwargs)
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return original(*args, **kwargs)  # which says it in its own words
        given = bound.arguments
        given["func"] = cross(given["func"])
        callback, failed = given.get("callback"), given.get("error_callback")
        if callback is not None or failed is not None:
            callbacks = _Callbacks(settings, callback, failed)
            given["callback"] = functools.partial(callbacks.call, 0)
            given["error_callback"] = functools.partial(callbacks.call, 1)
        return original(*bound.args, **bound.kwargs)

    return method


def _place(method: str, replace: Any) -> Place:
    return Place(
        "multiprocessing_pools", "multiprocessing.pool", f"ThreadPool.{method}", replace
    )


PLACES = (
    _place("apply_async", _one_call),  # apply() calls it
    *(
        _place(method, _many_calls)
        for method in ("map", "map_async", "starmap", "starmap_async", "imap", "imap_unordered")
    ),
)
