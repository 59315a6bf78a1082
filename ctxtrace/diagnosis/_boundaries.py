"""Pools, threads and timers, and what asyncio starts: a crossing is noted, and made as it was.

The places are those of `install`, where that has some; what is put there carries nothing.
"""

from __future__ import annotations

import contextlib
import functools
from contextvars import Context
from sys import _getframe  # pyright: ignore[reportPrivateUsage]
from typing import TYPE_CHECKING, Any

from .._compat import without_our_frames
from .._errors import guard
from ..boundaries.executors import CarryingCallbacks
from ..carriers import current_runs
from ..patches import multiprocessing_pools, threads
from ..patches._callers import INFRASTRUCTURE
from ..patches._patch import Patch, Place, Settings
from ._crossings import AT, START, WHO, crossing_with, leave, leave_from, observed, starting
from ._source import is_the_users

if TYPE_CHECKING:
    from collections.abc import Callable


def _submit(original: Any, patch: Patch, _: Settings) -> Any:
    @functools.wraps(original)
    def submit(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if patch.active:
            fn = crossing_with("ThreadPoolExecutor.submit", fn)
        return original(self, fn, *args, **kwargs)

    return submit


def _add_done_callback(original: Any, patch: Patch, _: Settings) -> Any:
    @functools.wraps(original)
    def add_done_callback(self: Any, fn: Callable[..., Any]) -> Any:
        frame = _getframe().f_back
        # asyncio, and others, add one to each future that they wait for.
        # A future of our pools notes it itself.
        carries = type(getattr(self, "_done_callbacks", None)) is CarryingCallbacks
        if patch.active and not carries and frame is not None and is_the_users(frame):
            fn = crossing_with("Future.add_done_callback", fn)
        return original(self, fn)

    return add_done_callback


def _copies_context(kind: str) -> Callable[[Any, Patch, Settings], Any]:
    """Replace a method that copies the current context, unless it is given one."""

    def replace(original: Any, patch: Patch, _: Settings) -> Any:
        @functools.wraps(original)
        def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            context = kwargs.get("context")
            if type(context) is Context and patch.active:
                guard(WHO, _cross_into, context, kind)
            crossing = None
            if context is None and patch.active:
                crossing = guard(WHO, leave_from, kind, _getframe().f_back)
            if crossing is None:
                return original(self, *args, **kwargs)
            token = AT.set(crossing)
            try:
                return original(self, *args, **kwargs)
            except BaseException as error:
                without_our_frames(error)
                raise
            finally:
                AT.reset(token)

        return method

    return replace


def _cross_into(context: Context, kind: str) -> None:
    """Note a crossing into a context that was not copied from one that is known."""
    at, kind = context.get(AT), f"{kind}(context=...)"
    if at is not None and getattr(at, "kind", None) != kind:
        return
    crossing = leave(kind)
    if crossing is not None:
        crossing.arrive(context.copy().run(current_runs))
    if crossing is not at:
        with contextlib.suppress(RuntimeError):  # somebody runs in it
            context.run(AT.set, START if crossing is None else crossing)


def _as_installed(place: Place, kind: str) -> Place:
    """Return a place of install()'s at which nothing is carried, and crossings are noted."""
    settings = Settings(observed(kind), observed(kind), INFRASTRUCTURE, starting)

    def replace(original: Any, patch: Patch, _: Settings) -> Any:
        return place.replace(original, patch, settings)

    return place._replace(replace=replace)


def _copying(module: str, attribute: str, kind: str) -> Place:
    return Place("asyncio", module, attribute, _copies_context(kind))


PLACES = (
    Place("thread_pools", "concurrent.futures.thread", "ThreadPoolExecutor.submit", _submit),
    Place(
        "thread_pools", "concurrent.futures._base", "Future.add_done_callback", _add_done_callback
    ),
    *(_as_installed(place, place.attribute) for place in threads.PLACES),
    *(_as_installed(place, place.attribute) for place in multiprocessing_pools.PLACES),
    _copying("asyncio.base_events", "BaseEventLoop.create_task", "loop.create_task"),
    _copying("asyncio.base_events", "BaseEventLoop.call_at", "loop.call_at"),
    _copying("uvloop", "Loop.create_task", "loop.create_task"),
    _copying("uvloop", "Loop.call_later", "loop.call_later"),
    _copying("uvloop", "Loop.call_at", "loop.call_at"),
)
