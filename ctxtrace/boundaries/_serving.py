"""The loop of a worker that serves a queue: how an item is handled, and how the loop ends."""

from __future__ import annotations

import inspect
import threading
from typing import TYPE_CHECKING, Any

from .._drive import drive_async_generator, drive_generator, driver_of
from .._errors import Caught, logger
from .._snapshot import await_within, call_within
from ._sent import NOT_SENT, Sent, opened

if TYPE_CHECKING:
    from collections.abc import Callable


class _Wake(Sent):
    """Comes last, whatever it is compared with."""

    __slots__ = ()

    def __init__(self) -> None:
        self.item = None
        self.snapshot = NOT_SENT

    def __lt__(self, other: object) -> bool:
        return False

    # As that of a subclass it is asked before the other side's __lt__.
    def __gt__(self, other: object) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__


WAKE: Any = _Wake()


class Stop:
    """How the loops that serve a queue are told to end: once, and for good.

    A loop at work sees `called`. One that waits in the queue's own ``get`` sees nothing but
    what comes out of that, so a `WAKE` is put in. Whoever takes that passes it on, if there
    is another one that waits; only while there is, is it ever in the queue.
    """

    def __init__(self, queue: Any, errors: tuple[type[Exception], ...]) -> None:
        self.called = False
        self._queue = queue
        self._errors = errors  # of a queue that takes nothing more
        self._task_done: Callable[[], object] | None = getattr(queue, "task_done", None)
        self._waiting = 0
        # A signal handler may tell them, in the middle of anything here.
        self._lock = threading.RLock()

    def call(self) -> None:
        """Tell them."""
        with self._lock:
            self.called = True
        self.pass_on()

    def waits(self) -> bool:
        """Return whether the caller may wait for an item; if so, `waited` is to follow."""
        with self._lock:
            self._waiting += 1
            if self.called:
                self._waiting -= 1
                return False
            return True

    def waited(self) -> None:
        """Note that the caller no longer waits."""
        with self._lock:
            self._waiting -= 1

    def saw_item(self) -> None:
        """Note that somebody who does not serve took an item: there may be room for a `WAKE`."""
        if self.called:
            self.pass_on()

    def pass_on(self) -> bool:
        """Wake one that waits; return whether there is one."""
        with self._lock:
            if not self._waiting:
                return False
            try:
                self._queue.put_nowait(WAKE)
            except self._errors:
                # There are items. Whoever takes one passes it on.
                return True
            if self._task_done is not None:
                self._task_done()  # join() is not to wait for it
            return True


def check_handlers(who: str, handler: object, on_error: object, *, may_be_async: bool) -> None:
    """Raise TypeError unless both can be called by a loop that serves."""
    for name, function in (("handler", handler), ("on_error", on_error)):
        if function is None and name == "on_error":
            continue
        if not callable(function):
            raise TypeError(
                f"{who} calls its {name} with each item or error, and {function!r} cannot be "
                "called: pass a function of one argument."
            )
        driver = driver_of(function)
        if driver is None:
            continue
        if driver in (drive_generator, drive_async_generator):
            raise TypeError(
                f"{who} calls its {name}, and to call the generator function {function!r} runs "
                "nothing of it: pass a function that does the work."
            )
        if not may_be_async:
            raise TypeError(
                f"{who} calls its {name} in this thread, where no loop awaits what the "
                f"coroutine function {function!r} returns: pass a plain function, or serve an "
                "AsyncContextQueue."
            )


def handle(thing: Any, handler: Any, on_error: Any) -> None:
    """Call `handler` with an item in a private copy of its sender's context."""
    item, snapshot = opened(thing)
    caught = Caught()
    try:
        with caught:
            call_within(snapshot, handler, item)
        if caught.error is None:
            return
        if on_error is None:
            _log("handler", handler, caught.error)
            return
        failed = Caught()
        with failed:
            call_within(snapshot, on_error, caught.error)
        if failed.error is not None:
            _log("on_error", on_error, failed.error)
    finally:
        failed = None
        del thing, item, snapshot, caught  # a kept error keeps the frames it came through


async def handle_async(thing: Any, handler: Any, on_error: Any) -> None:
    """Do the same with a handler that may return something to be awaited."""
    item, snapshot = opened(thing)
    caught = Caught()
    try:
        with caught:
            await await_within(snapshot, _call, handler, item)
        if caught.error is None:
            return
        if on_error is None:
            _log("handler", handler, caught.error)
            return
        failed = Caught()
        with failed:
            await await_within(snapshot, _call, on_error, caught.error)
        if failed.error is not None:
            _log("on_error", on_error, failed.error)
    finally:
        failed = None
        del thing, item, snapshot, caught


async def _call(function: Callable[[Any], Any], argument: Any) -> None:
    # In a coroutine function, so that the call and what it returns run in one private copy,
    # also where `function` is a lambda that returns a coroutine.
    try:
        result = function(argument)
        if inspect.isawaitable(result):
            await result
    finally:
        del function, argument
        result = None


def _log(what: str, function: Any, error: Exception) -> None:
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    logger.error(
        "The %s %s of a queue failed; the loop goes on to the next item.",
        what,
        name,
        exc_info=error,
    )
