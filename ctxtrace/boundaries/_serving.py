"""What a loop that serves a queue does with each item."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from .._drive import drive_async_generator, drive_generator, driver_of
from .._errors import Caught, logger, where
from .._snapshot import await_within, call_within
from ._sent import opened

if TYPE_CHECKING:
    from collections.abc import Callable


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
    error = failed = None
    try:
        error = call_within(snapshot, _attempt, handler, item)
        if error is not None and on_error is not None:
            failed = call_within(snapshot, _attempt, on_error, error)
        _log(handler, error, on_error, failed)
    finally:
        del thing, item, snapshot, error, failed  # a kept error keeps the frames it came through


async def handle_async(thing: Any, handler: Any, on_error: Any) -> None:
    """Do the same with functions whose results are awaited, if they can be."""
    item, snapshot = opened(thing)
    error = failed = None
    try:
        error = await await_within(snapshot, _attempt_async, handler, item)
        if error is not None and on_error is not None:
            failed = await await_within(snapshot, _attempt_async, on_error, error)
        _log(handler, error, on_error, failed)
    finally:
        del thing, item, snapshot, error, failed


def _attempt(function: Callable[[Any], Any], argument: Any) -> Exception | None:
    caught = Caught()
    try:
        with caught:
            function(argument)
        return caught.error
    finally:
        del function, argument, caught


async def _attempt_async(function: Callable[[Any], Any], argument: Any) -> Exception | None:
    # One coroutine for the call and for what it returns, which so run in one private copy, also
    # where `function` is a lambda that returns a coroutine.
    caught = Caught()
    result: Any = None
    try:
        with caught:
            result = function(argument)
            if inspect.isawaitable(result):
                await result
        return caught.error
    finally:
        del function, argument, caught, result


def _log(handler: Any, error: Exception | None, on_error: Any, failed: Exception | None) -> None:
    if error is not None and on_error is None:
        _say("handler", handler, error)
    if failed is not None:
        _say("on_error", on_error, failed)


def _say(what: str, function: Any, error: Exception) -> None:
    # Not with the text of the error, which may quote the item.
    logger.error(
        "The %s %s of a queue failed on an item; the loop goes on to the next. Pass serve() an "
        "on_error that does not fail, to be given the whole error. It was a %s, raised here:\n%s",
        what,
        getattr(function, "__qualname__", None) or type(function).__qualname__,
        type(error).__qualname__,
        where(error),
    )


def task_done_after(task_done: Callable[[], object] | None) -> None:
    """Call a queue's `task_done` for a loop that is not to end if there is nothing to be done.

    It was called by the handler, then, which ported it from a loop of its own.
    """
    if task_done is None:
        return
    try:
        task_done()
    except ValueError:
        logger.error(
            "task_done() of a queue was called more often than there were items: serve() calls "
            "it after each, so a handler is not to."
        )
