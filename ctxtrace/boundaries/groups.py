"""anyio's task groups: their tasks keep the run they were started in.

anyio copies the context into each task by itself, on asyncio and on trio. What it lacks is
the pin, without which a task that outlives its parent loses it. Neither its task groups nor
trio's nurseries tell anybody that a task is done, so the pin is held by what the task runs.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from .._compat import without_our_frames
from .._drive import Unstarted, drive_unstarted
from .._snapshot import seen_as
from ..carriers import take_pins

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from anyio.abc import TaskGroup


def create_task_group() -> TaskGroup:
    """Create an anyio task group whose tasks keep the run they were started in.

    On asyncio and on trio, with all that the installed anyio's own has: the same methods,
    arguments and results, cancel scopes, exception groups. The run that is current when a
    task is started is kept alive until the task is done, so that a task which outlives it
    still belongs to it. A task that lives as long as the process should be started inside
    `ctxtrace.detached()`.

    With ``create_task(coro, context=...)``, where anyio has it (4.14), the run that is current
    in that context is kept. While a run is kept, the ``coro`` of a task's handle is a coroutine
    of ours around the given one, of the same name.

    Returns:
        An `anyio.abc.TaskGroup`, for ``async with``.

    Raises:
        ModuleNotFoundError: anyio is not installed.
        RuntimeError: No event loop is running in this thread.

    Mirrors `anyio.create_task_group`.
    """
    import anyio

    # The group itself, as one of a subclass: it stays whatever the installed anyio makes of it.
    group: Any = anyio.create_task_group()
    group.__class__ = _carrying(group.__class__)
    return group


@functools.cache  # asyncio's and trio's
def _carrying(kind: Any) -> Any:
    class Carrying(kind):
        __slots__ = ()

        async def start(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            start = _Start(take_pins())
            try:
                return await kind.start(self, start.seen_as(func), *args, **kwargs)
            except BaseException as error:
                start.give_up()
                without_our_frames(error)
                raise
            finally:
                del start, func, args, kwargs  # a kept error keeps this frame

        if hasattr(kind, "create_task"):  # from anyio 4.14 on; start_soon() calls it

            def create_task(
                self,
                coro: Coroutine[Any, Any, Any],
                *,
                name: object = None,
                context: Context | None = None,
                **kwargs: Any,
            ) -> Any:
                if context is None:
                    pins = take_pins()
                else:
                    kwargs["context"] = context
                    # In a copy, because the context itself may be the one that is running now.
                    pins = context.copy().run(take_pins)
                start = None if pins is None else _Start(pins)
                try:
                    if start is None:
                        return kind.create_task(self, coro, name=name, **kwargs)
                    if name is None:
                        name = _name_of(coro)
                    return kind.create_task(self, start.around(coro), name=name, **kwargs)
                except BaseException as error:
                    if start is not None:
                        start.give_up()
                    without_our_frames(error)
                    raise
                finally:
                    del start, pins, coro, context, kwargs

        else:

            def start_soon(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
                start = _Start(take_pins())
                try:
                    return kind.start_soon(self, start.seen_as(func), *args, **kwargs)
                except BaseException as error:
                    start.give_up()
                    without_our_frames(error)
                    raise
                finally:
                    del start, func, args, kwargs

    Carrying.__name__ = Carrying.__qualname__ = kind.__name__
    Carrying.__module__ = kind.__module__
    return Carrying


class _Start:
    """The start of one task, and the pins until the task has them.

    anyio's frames and objects refer to what they were given for as long as they are kept
    themselves: in an error, if nothing was started. So the pins can be taken back.
    """

    def __init__(self, pins: object) -> None:
        self.pins = pins
        self._unstarted: Unstarted | None = None
        self._driver: Any = None

    def around(self, coro: Any) -> Any:
        """Return a coroutine that keeps the pins while it awaits `coro`."""
        # Anything else anyio refuses.
        if self.pins is None or not isinstance(coro, Coroutine):
            return coro
        self._unstarted = Unstarted(coro, self.pins)
        self._driver = drive_unstarted(None, self._unstarted)
        self.pins = None
        return self._driver

    def seen_as(self, func: Any) -> Any:
        """Return what is seen as `func`, and returns such a coroutine around what that returns."""
        if self.pins is None:
            return func
        if type(func) is functools.partial:  # of which trio makes another, and then a name
            return functools.partial(self.seen_as(func.func), *func.args, **func.keywords)
        if not callable(func):
            return func  # which anyio refuses

        def call(wrapped: Any, _: object, args: Any, kwargs: Any) -> Any:
            try:
                return self.around(wrapped(*args, **kwargs))
            except BaseException as error:
                without_our_frames(error)
                raise

        return seen_as(func, call)

    def give_up(self) -> None:
        """Let go of the pins, and do with the coroutine what anyio has done with ours."""
        self.pins = None
        if self._unstarted is None or self._unstarted.take_pins() is None:
            return
        coro = self._unstarted.take()
        if inspect.getcoroutinestate(self._driver) == inspect.CORO_CLOSED:
            coro.close()
        else:
            self._driver.close()  # the coroutine is its owner's again


def _name_of(coro: Any) -> str | None:
    """Return what anyio calls a task of `coro`, where that is not the name of ours too."""
    if not issubclass(type(coro), Coroutine):
        return None
    name_of = getattr(sys.modules.get("anyio.abc._tasks"), "get_coro_name", None)
    if name_of is not None:
        return name_of(coro)
    return None if hasattr(coro, "__qualname__") else str(coro)


create_task_group.__module__ = "ctxtrace"
