"""What starts a task only to await it, done in the task that awaits.

Libraries do that to have a coroutine run in a context of their choice. A task a step is slow,
and takes from `asyncio.timeout`, cancel scopes and trio what they need: that a generator's
steps are all taken in one task.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import types
from typing import TYPE_CHECKING, Any

from .._drive import Steps, drive_awaitable
from ._patch import Unexpected

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextvars import Context

    from ._patch import Patch, Settings

# A task gives the loop a turn; what is driven in place gives it one so often. A program may
# rely on it, and have its consumer look for something that another task sets.
_TURN_EVERY = 64
_count = itertools.count(1)


def within(context: Context, awaitable: Any) -> Any:
    """Return what awaits `awaitable` inside `context`, in the task that awaits it."""
    return way_from_here()(context, awaitable)


def way_from_here() -> Callable[[Context, Any], Any]:
    """Return what does the same, for all steps of a stream that is first stepped from here."""
    if too_deep() and asyncio._get_running_loop() is not None:
        return _in_a_task
    return _in_place


def _in_a_task(context: Context, awaitable: Any) -> Any:
    return asyncio.get_running_loop().create_task(_steps(context, awaitable))


def _in_place(context: Context, awaitable: Any) -> Any:
    steps = _steps(context, awaitable)
    # trio's turns are another matter.
    if next(_count) % _TURN_EVERY or asyncio._get_running_loop() is None:
        return steps
    return _after_a_turn(steps)


def _steps(context: Context, awaitable: Any) -> Any:
    if hasattr(awaitable, "send"):
        return Steps.of(context, awaitable)
    return drive_awaitable(context, awaitable, None)


@types.coroutine
def _after_a_turn(steps: Any) -> Generator[Any, Any, Any]:
    take, argument = steps.send, None
    try:
        yield  # as asyncio.sleep(0) does
    except BaseException as error:  # noqa: BLE001 - forwarded, not swallowed
        # A cancellation, and meant for what is to be stepped.
        take, argument = steps.throw, error
    while True:
        try:
            waited_for = take(argument)
        except StopIteration as stop:
            return stop.value
        finally:
            argument = None
        try:
            take, argument = steps.send, (yield waited_for)
        except BaseException as error:  # noqa: BLE001
            take, argument = steps.throw, error


def too_deep() -> bool:
    """Whether much of the stack is used up.

    A task begins a new stack, and what is driven in place stands on that of its caller. Where
    there would be no end to it, as with an agent that calls itself, a task is the better one.
    """
    try:
        # A limit that was raised says nothing of the interpreter's own stack.
        sys._getframe(min(sys.getrecursionlimit(), 1_000) // 3)  # pyright: ignore[reportPrivateUsage]
    except ValueError:
        return False
    return True


class Asyncio:
    """The asyncio of a module that awaits every task it starts in a context.

    To stand there under the name ``asyncio``.
    """

    def __init__(self, patch: Patch) -> None:
        self._patch = patch

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    def __dir__(self) -> list[str]:
        return dir(asyncio)

    def create_task(self, coro: Any, *, context: Context | None = None, **kwargs: Any) -> Any:
        if context is not None:
            if self._patch.active:
                return within(context, coro)
            kwargs["context"] = context
        return asyncio.create_task(coro, **kwargs)

    def shield(self, awaitable: Any) -> Any:
        if self._patch.active and asyncio._get_running_loop() is None:
            return awaitable  # under trio, where what is shielded does not wait for anything
        return asyncio.shield(awaitable)


def in_place_of_asyncio(original: Any, patch: Patch, _: Settings) -> Any:
    """Replace the name ``asyncio`` of a module."""
    if original is not asyncio:
        raise Unexpected("it is not the module asyncio")
    return Asyncio(patch)
