"""What the tests on anyio's backends share."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc
import anyio.lowlevel

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

if TYPE_CHECKING:
    from collections.abc import Callable

# From anyio 4.14 on a group has create_task(), and what starts a task returns a handle.
HAS_HANDLES = hasattr(anyio.abc.TaskGroup, "create_task")

_ADDRESS = re.compile(r"0x[0-9a-f]+")


async def turns(count: int = 5) -> None:
    """Let what is ready run, and what is done be done."""
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


def described(error: BaseException | None) -> Any:
    """An error as what can be compared: type, text, and those of the errors in a group."""
    if error is None:
        return None
    if isinstance(error, BaseExceptionGroup):
        inner = sorted((described(each) for each in error.exceptions), key=repr)
        return type(error).__name__, error.message, inner
    if isinstance(error, anyio.get_cancelled_exc_class()):
        return "cancelled"
    return type(error).__name__, _ADDRESS.sub("0x", str(error))


async def outcome(program: Callable[..., Any], *args: Any) -> Any:
    """What a coroutine function returns or raises."""
    try:
        return "returned", await program(*args)
    except BaseException as error:
        if isinstance(error, anyio.get_cancelled_exc_class()):
            raise
        return "raised", described(error)


# Three ways to start a task, behind one face; each is given a coroutine function.


async def by_start_soon(group: Any, function: Any, *args: Any) -> Any:
    return group.start_soon(function, *args)


async def by_start(group: Any, function: Any, *args: Any) -> Any:
    async def child(*args: Any, task_status: Any) -> Any:
        task_status.started()
        return await function(*args)

    if HAS_HANDLES:
        return await group.start(child, *args, return_handle=True)
    return await group.start(child, *args)


async def by_create_task(group: Any, function: Any, *args: Any) -> Any:
    return group.create_task(function(*args))


WAYS = [by_start_soon, by_start, *([by_create_task] if HAS_HANDLES else [])]
