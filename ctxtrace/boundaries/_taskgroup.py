"""`asyncio.TaskGroup` for Python 3.9 and 3.10. Goes with Python 3.10.

The package taskgroup on PyPI has one too, which moves the body of the ``async with`` into
another task, to give tasks the `uncancel()` of Python 3.11. `asyncio.current_task()` and
anyio's cancel scopes then see a task that nobody else knows. This one leaves the task alone.
What is lost is the counting of cancellations, which nothing on these Pythons asks for.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from exceptiongroup import BaseExceptionGroup

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType

    from typing_extensions import Self

_T = TypeVar("_T")


class TaskGroup:
    """Mirrors `asyncio.TaskGroup` of Python 3.11, save for the count of cancellations."""

    def __init__(self) -> None:
        self._parent: asyncio.Task[Any] | None = None
        self._exiting = False
        self._aborting = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._errors: list[BaseException] = []
        self._exit_error: BaseException | None = None  # KeyboardInterrupt or SystemExit
        self._all_done: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        parts = ["TaskGroup"]
        if self._tasks:
            parts.append(f"tasks={len(self._tasks)}")
        if self._errors:
            parts.append(f"errors={len(self._errors)}")
        if self._aborting:
            parts.append("cancelling")
        elif self._parent is not None:
            parts.append("entered")
        return f"<{' '.join(parts)}>"

    async def __aenter__(self) -> Self:
        if self._parent is not None or self._exiting:
            raise RuntimeError(f"TaskGroup {self!r} has already been entered")
        self._parent = asyncio.current_task()
        if self._parent is None:
            raise RuntimeError(f"TaskGroup {self!r} cannot determine the parent task")
        return self

    def create_task(
        self, coro: Coroutine[Any, Any, _T], *, name: str | None = None
    ) -> asyncio.Task[_T]:
        if self._exiting and not self._tasks:
            raise RuntimeError(f"TaskGroup {self!r} is finished")
        if self._parent is None:
            raise RuntimeError(f"TaskGroup {self!r} has not been entered")
        if self._aborting:
            raise RuntimeError(f"TaskGroup {self!r} is shutting down")
        task = asyncio.create_task(coro, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exiting = True
        try:
            await self._exit(error)
        finally:
            # Errors hold frames, and frames hold this group.
            self._parent = None
            self._errors = []
            self._exit_error = None
            error = None

    async def _exit(self, error: BaseException | None) -> None:
        if self._exit_error is None and _ends_the_program(error):
            self._exit_error = error
        cancelled = error if isinstance(error, asyncio.CancelledError) else None
        if error is not None and not self._aborting:
            self._abort()
        while self._tasks:
            self._all_done = asyncio.get_running_loop().create_future()
            try:
                await self._all_done
            except asyncio.CancelledError as own:
                if not self._aborting:
                    # From outside: a child that fails sets _aborting before it cancels us.
                    cancelled = own
                    self._abort()
        try:
            if self._exit_error is not None:
                raise self._exit_error
            if error is not None and not isinstance(error, asyncio.CancelledError):
                self._errors.append(error)
            if self._errors:
                raise BaseExceptionGroup("unhandled errors in a TaskGroup", self._errors) from None
            # Without errors it was not us who cancelled the body.
            if cancelled is not None:
                raise cancelled
        finally:
            error = cancelled = None

    def _on_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not self._tasks and self._all_done is not None and not self._all_done.done():
            self._all_done.set_result(None)
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        self._errors.append(error)
        if self._exit_error is None and _ends_the_program(error):
            self._exit_error = error
        if not self._aborting:
            self._abort()
            # Wakes the body, wherever it waits; _exit() does not pass this one on.
            if self._parent is not None:
                self._parent.cancel()

    def _abort(self) -> None:
        self._aborting = True
        for task in self._tasks:
            task.cancel()


def _ends_the_program(error: BaseException | None) -> bool:
    return isinstance(error, (KeyboardInterrupt, SystemExit))
