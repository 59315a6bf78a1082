"""Threads and timers: each runs in the context of whoever started it."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

from .._compat import THREADS_TAKE_CONTEXT, without_our_frames
from .._snapshot import cross

if TYPE_CHECKING:
    from collections.abc import Callable

_MISSING: Any = object()


class CarriesItsStarter(threading.Thread):
    # Python 3.14 has Thread(context=...), and what the caller says goes.
    _has_own_context = False

    def start(self) -> None:
        """Start the thread, in a copy of the context that is current now.

        Raises:
            RuntimeError: It was started before.
        """
        if self._has_own_context or not can_carry(self):
            return super().start()
        return start_carrying(self, super().start, cross)


def can_carry(thread: threading.Thread) -> bool:
    """Whether a thread can be started, and was given no context of its own."""
    if THREADS_TAKE_CONTEXT and getattr(thread, "_context", None) is not None:
        return False
    try:
        return thread.ident is None
    except AssertionError:
        return False  # a subclass's __init__ did not call Thread's; start() says it best


def start_carrying(
    thread: threading.Thread, start: Callable[[], None], cross: Callable[..., Any]
) -> None:
    """Start a thread whose ``run`` is to be called in the context that is current now.

    Args:
        thread: One that was not started.
        start: Its ``start``, or the one beneath.
        cross: Captures the context, for one call.
    """
    # As an attribute of the object, because run() may be overridden in any subclass, and
    # the bootstrap looks it up here first. Gone as soon as the thread has it.
    before = vars(thread).get("run", _MISSING)
    vars(thread)["run"] = functools.partial(_run, thread, before, [cross(thread.run)])
    try:
        start()
    except BaseException:
        _put_back(thread, before)
        raise


def _run(thread: threading.Thread, before: Any, crossings: list[Callable[[], None]]) -> None:
    # In a list, for debuggers and coverage keep the arguments that a frame began with.
    crossing = crossings.pop()
    _put_back(thread, before)
    try:
        crossing()
    except BaseException as error:
        without_our_frames(error)
        raise
    finally:
        del crossing


def _put_back(thread: threading.Thread, before: Any) -> None:
    if before is _MISSING:
        vars(thread).pop("run", None)
    else:
        vars(thread)["run"] = before


class Thread(CarriesItsStarter, threading.Thread):
    """A `threading.Thread` that runs in the context of whoever starts it.

    A drop-in, also as a base class: the context is taken at `start()`, not when the object
    is made, and a `run()` overridden in a subclass runs in it. The thread gets a private
    copy, and keeps the run that was current at its start alive until it is done.

    A thread that serves many requests should be started inside `ctxtrace.detached()`, or
    with the standard class: else all it ever does belongs to the request that started it.

    Args:
        group: As in the standard library; and so are the others.
        target: Called by `run()`.
        name: The thread's name.
        args: Positional arguments for the target.
        kwargs: Keyword arguments for the target.
        daemon: Whether the process may end without it.

    On Python 3.14 and later a `context=` given by the caller is used as it is there.

    Mirrors `threading.Thread`.
    """

    if not TYPE_CHECKING:  # for whom it has the arguments it inherits

        @functools.wraps(threading.Thread.__init__)
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._has_own_context = kwargs.get("context") is not None


class Timer(CarriesItsStarter, threading.Timer):
    """A `threading.Timer` that calls its function in the context of whoever starts it.

    A drop-in; see `ctxtrace.Thread`. A timer that is cancelled lets go of all it carries.

    Args:
        interval: Seconds from `start()` to the call.
        function: What to call.
        args: Its positional arguments, or None.
        kwargs: Its keyword arguments, or None.

    Mirrors `threading.Timer`.
    """


for _name in (Thread, Timer):
    _name.__module__ = "ctxtrace"
