"""asyncio: tasks, and the ways from the loop into a thread.

asyncio copies the context into each task by itself. What it lacks is the pin, without which
a task that outlives its parent loses it, and ``context=`` before Python 3.11.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from asyncio import Task
from contextvars import Context
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeVar

from .._compat import TASKS_TAKE_CONTEXT
from .._drive import Steps
from .._snapshot import cross, crossing
from ..carriers import take_pins
from .executors import refuse_other_processes

if sys.version_info >= (3, 11):
    from asyncio import TaskGroup as _TaskGroup
else:
    from ._taskgroup import TaskGroup as _TaskGroup

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from concurrent.futures import Executor

    from typing_extensions import ParamSpec

    _P = ParamSpec("_P")

_T = TypeVar("_T")


class _Pins(tuple[object, ...]):
    """A done-callback that does nothing: a task lets go of its callbacks when it is done."""

    __slots__ = ()

    def __call__(self, task: object) -> None:
        pass

    def __repr__(self) -> str:  # shown in the task's repr
        return "<ctxtrace: keeps the parent run alive>"


def _spawn(
    who: str,
    create: Callable[..., Task[_T]],
    coro: Coroutine[Any, Any, _T],
    name: str | None,
    context: Context | None,
    kwargs: dict[str, Any],
) -> Task[_T]:
    # Written for speed, as are most crossings. asyncio.iscoroutine() takes as long as all the rest.
    if type(coro) is not CoroutineType and not asyncio.iscoroutine(coro) and callable(coro):
        raise TypeError(
            f"{who}() takes a coroutine, and {coro!r} is a function that was not called. "
            f"Write {who}({getattr(coro, '__name__', 'function')}(...))."
        )
    # Pinned before the task is made: an eager one runs its first step while it is.
    if context is None:
        pins = take_pins()
    else:
        _check_context(context)
        # The child's parent is what is current in that context. In a copy, because the
        # context itself may be the one that is running now.
        pins = context.copy().run(take_pins)
        if TASKS_TAKE_CONTEXT:
            kwargs["context"] = context
        else:
            coro = Steps.of(context, coro)
    try:
        task = create(coro, name=name, **kwargs) if kwargs else create(coro, name=name)
        if pins is not None and not task.done():
            task.add_done_callback(_Pins(pins))
        return task
    finally:
        del pins  # a kept error keeps this frame


def create_task(
    coro: Coroutine[Any, Any, _T],
    *,
    name: str | None = None,
    context: Context | None = None,
    **kwargs: Any,
) -> Task[_T]:
    """Start a task whose runs belong to the trace it was started in, even if it outlives it.

    Mirrors `asyncio.create_task`. The run that is current now is kept alive until the task
    is done; a task that lives as long as the process should be started inside
    `ctxtrace.detached()`.

    Args:
        coro: A coroutine.
        name: The task's name.
        context: The very context to run in, as on Python 3.11 and later, on 3.9 and 3.10
            too: what the task sets is seen there. Without it, a copy of the current one.
        **kwargs: For `asyncio.create_task`, as far as this Python's knows them.

    Returns:
        The task. Keep a reference to it, for the loop keeps only a weak one.

    Raises:
        TypeError: `coro` is not a coroutine, or `context` is not a context.
        RuntimeError: No loop is running in this thread.
    """
    return _spawn("create_task", asyncio.create_task, coro, name, context, kwargs)


class TaskGroup(_TaskGroup):
    """An `asyncio.TaskGroup` whose tasks keep their parent run; on 3.9 and 3.10 too.

    A drop-in: see `asyncio.TaskGroup` for what it does and `ctxtrace.create_task` for what
    its tasks keep. Before Python 3.11 it raises the `ExceptionGroup` of the PyPI package
    ``exceptiongroup``.

    Mirrors `asyncio.TaskGroup`.
    """

    def create_task(
        self,
        coro: Coroutine[Any, Any, _T],
        *,
        name: str | None = None,
        context: Context | None = None,
        **kwargs: Any,
    ) -> Task[_T]:
        """Start a task in the group; see `ctxtrace.create_task`.

        Raises:
            TypeError: `coro` is not a coroutine, or `context` is not a context.
            RuntimeError: The group was not entered, is shutting down, or is finished.
        """
        return _spawn("create_task", super().create_task, coro, name, context, kwargs)


def _check_context(context: object) -> None:
    if not isinstance(context, Context):
        raise TypeError(
            f"context= takes a contextvars.Context, and {context!r} is not one: pass "
            "contextvars.copy_context(), or leave it out."
        )


if TYPE_CHECKING:
    from asyncio import gather  # its many overloads are ours
else:

    def gather(
        *coros_or_futures: Awaitable[Any], return_exceptions: bool = False, **kwargs: Any
    ) -> asyncio.Future[list[Any]]:
        """Await several things at once, each coroutine in a task that keeps its parent run.

        Mirrors `asyncio.gather`; what it does when one fails or it is cancelled is the same.

        Args:
            *coros_or_futures: Coroutines, futures and other awaitables.
            return_exceptions: Whether to return exceptions as results.
            **kwargs: For `asyncio.gather`, as far as this Python's knows them.

        Returns:
            A future for the list of results.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            # asyncio.gather() finds a loop for the tasks, or says what is wrong.
            children = list(coros_or_futures)
        else:
            # The same coroutine given twice is one task, as it is for asyncio.
            tasks = {id(each): _as_task(each) for each in coros_or_futures}
            children = [tasks[id(each)] for each in coros_or_futures]
        return asyncio.gather(*children, return_exceptions=return_exceptions, **kwargs)


def _as_task(awaitable: Awaitable[_T]) -> Awaitable[_T]:
    if asyncio.isfuture(awaitable) or not inspect.isawaitable(awaitable):
        return awaitable
    task = create_task(awaitable if asyncio.iscoroutine(awaitable) else _await(awaitable))
    # As asyncio.gather() does with the tasks it makes: who abandons the gathering knows.
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    return task


async def _await(awaitable: Awaitable[_T]) -> _T:
    return await awaitable


async def to_thread(func: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Call a function in a thread of the loop's pool, in a copy of the current context.

    Mirrors `asyncio.to_thread`, and keeps the parent run until the function has returned,
    also where the await is cancelled before.

    Args:
        func: The function.
        *args: Its positional arguments.
        **kwargs: Its keyword arguments.

    Returns:
        What the function returns.
    """
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, partial(crossing(), func, *args, **kwargs))


def run_in_executor(
    executor: Executor | None, func: Callable[..., _T], *args: Any
) -> asyncio.Future[_T]:
    """Call a function in an executor, in a copy of the current context.

    Mirrors ``loop.run_in_executor`` of the running loop.

    Args:
        executor: A thread-based executor, or None for the loop's own.
        func: The function.
        *args: Its arguments.

    Returns:
        A future for the result, to be awaited in this loop.

    Raises:
        TypeError: `executor` runs its calls in other processes or interpreters.
        RuntimeError: No loop is running in this thread.
    """
    loop = asyncio.get_running_loop()
    refuse_other_processes("run_in_executor", executor)
    if loop.get_debug() and inspect.iscoroutinefunction(func):
        # The loop's own check cannot see through what it is given.
        raise TypeError(
            f"coroutines cannot be used with run_in_executor(), and {func!r} is a coroutine "
            "function: await it, or start it with create_task()"
        )
    return loop.run_in_executor(executor, cross(func), *args)


for _name in (TaskGroup, create_task, gather, run_in_executor, to_thread):
    _name.__module__ = "ctxtrace"
