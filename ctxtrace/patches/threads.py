"""threading: a thread, and a timer, runs in the context of whoever started it."""

from __future__ import annotations

import functools
import sys
import threading
from typing import TYPE_CHECKING, Any

from ..boundaries.threads import CarriesItsStarter, can_carry, start_carrying
from ._callers import serves_many
from ._patch import Place

if TYPE_CHECKING:
    from ._patch import Patch, Settings


def _thread_start(original: Any, patch: Patch, settings: Settings) -> Any:
    timer = threading.Timer  # as it is now: gevent puts a class of its own in its place

    @functools.wraps(original)
    def start(self: threading.Thread) -> None:
        # A timer is another site's, which may be switched off.
        if not patch.active or isinstance(self, timer):
            return original(self)
        return _start(self, original, settings)

    return start


def _timer_start(original: Any, patch: Patch, settings: Settings) -> Any:
    # Inherited, unless somebody else has changed it too. What is inherited is looked up anew
    # each time, for that may be changed by others, now or later.
    timer = threading.Timer

    def inherited(self: threading.Timer) -> None:
        super(timer, self).start()

    beneath = original if "start" in vars(timer) else inherited

    @functools.wraps(original)
    def start(self: threading.Timer) -> None:
        if not patch.active:
            return beneath(self)
        return _start(self, beneath, settings)

    return start


def _start(thread: threading.Thread, start: Any, settings: Settings) -> None:
    # None where C calls start(), as in a thread that Python did not make.
    caller = sys._getframe(1).f_back  # pyright: ignore[reportPrivateUsage]
    # One of ours has done it before it comes here.
    if isinstance(thread, CarriesItsStarter) or not can_carry(thread):
        return start(thread)
    cross = settings.cross
    if serves_many(caller, settings.infrastructure):
        if settings.cross_many is None:
            return start(thread)
        cross = settings.cross_many
    return start_carrying(thread, functools.partial(start, thread), cross)


PLACES = (
    Place("threads", "threading", "Thread.start", _thread_start),
    Place("timers", "threading", "Timer.start", _timer_start),
)
