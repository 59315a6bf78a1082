"""anyio's task groups: their tasks keep the run they were started in.

anyio copies the context into each task by itself, on asyncio and on trio. What it lacks is
the pin, without which a task that outlives its parent loses it. Neither its task groups nor
trio's nurseries tell anybody that a task is done, so the pin is held by what the task runs.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from .._compat import without_our_frames
from .._drive import drive_awaitable
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
            held = [take_pins()]
            above: Any = super()
            try:
                return await above.start(_pinned(func, held), *args, **kwargs)
            except BaseException as error:
                without_our_frames(error)
                raise
            finally:
                # A kept error has the frames it came through, anyio's with `func` among them.
                held.clear()
                del func, args, kwargs

        if hasattr(kind, "create_task"):  # from anyio 4.14 on; start_soon() calls it

            def create_task(
                self,
                coro: Coroutine[Any, Any, Any],
                *,
                name: object = None,
                context: Context | None = None,
                **kwargs: Any,
            ) -> Any:
                if context is not None:
                    kwargs["context"] = context
                # In a copy, because the context itself may be the one that is running now.
                pins = take_pins() if context is None else context.copy().run(take_pins)
                above: Any = super()
                try:
                    if pins is not None and isinstance(coro, Coroutine):
                        name = _name_of(coro) if name is None else name
                        coro = _keeping(pins, coro)
                    return above.create_task(coro, name=name, **kwargs)
                except BaseException as error:
                    without_our_frames(error)
                    raise
                finally:
                    del coro, pins, context, kwargs

        else:

            def start_soon(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
                held = [take_pins()]
                above: Any = super()
                try:
                    return above.start_soon(_pinned(func, held), *args, **kwargs)
                except BaseException as error:
                    held.clear()  # it was not started
                    without_our_frames(error)
                    raise
                finally:
                    del func, args, kwargs

    Carrying.__name__ = Carrying.__qualname__ = kind.__name__
    Carrying.__module__ = kind.__module__
    return Carrying


def _keeping(pins: object, coro: Any) -> Coroutine[Any, Any, Any]:
    return drive_awaitable(None, coro, pins)


def _name_of(coro: Coroutine[Any, Any, Any]) -> str | None:
    """Return what anyio calls a task of `coro`, if it does by more than what ours has too."""
    name_of = getattr(sys.modules.get("anyio.abc._tasks"), "get_coro_name", None)
    return None if name_of is None else name_of(coro)


def _pinned(func: Callable[..., Any], held: list[Any]) -> Callable[..., Any]:
    """Have the coroutine that `func` returns keep the pins, and see it as `func` itself."""
    if held == [None] or not callable(func):
        return func

    def call(wrapped: Any, _: object, args: Any, kwargs: Any) -> Any:
        try:
            pins = held.pop() if held else None
            coro = wrapped(*args, **kwargs)
            # Anything else anyio refuses.
            return _keeping(pins, coro) if isinstance(coro, Coroutine) else coro
        except BaseException as error:
            without_our_frames(error)
            raise
        finally:
            pins = None

    return seen_as(func, call)


create_task_group.__module__ = "ctxtrace"
