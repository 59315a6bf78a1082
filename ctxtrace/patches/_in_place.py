"""What starts a task only to await it, done in the task that awaits.

Libraries do that to have a coroutine run in a context of their choice. A task a step is slow,
and takes from `asyncio.timeout`, cancel scopes and trio what they need: that a generator's
steps are all taken in one task.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from .._drive import Steps, drive_awaitable

if TYPE_CHECKING:
    from contextvars import Context

    from ._patch import Patch


def within(context: Context, awaitable: Any) -> Any:
    """Return what awaits `awaitable` inside `context`, in the task that awaits it."""
    if hasattr(awaitable, "send"):
        return Steps.of(context, awaitable)
    return drive_awaitable(context, awaitable, None)


def too_deep() -> bool:
    """Whether half of the stack is used up.

    A task begins a new stack, and what is driven in place stands on that of its caller. Where
    there would be no end to it, as with an agent that calls itself, a task is the better one.
    """
    try:
        sys._getframe(sys.getrecursionlimit() // 2)  # pyright: ignore[reportPrivateUsage]
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
            if self._patch.active and not too_deep():
                return within(context, coro)
            kwargs["context"] = context
        return asyncio.create_task(coro, **kwargs)

    def shield(self, awaitable: Any) -> Any:
        if self._patch.active and asyncio._get_running_loop() is None:
            return awaitable  # under trio, where what is shielded does not wait for anything
        return asyncio.shield(awaitable)
