"""LangSmith: @traceable functions are stepped in the caller's own task, and streams closed.

LangSmith gives the function that it traces a context of its own, in which the run is current.
To step a coroutine or an async generator there, it starts a task a step. In its module the name
``asyncio`` stands for one whose ``create_task(..., context=...)`` drives in place: that is enough
for coroutines, and for whatever was decorated before install(). A generator function that is
decorated after it is driven like any other stream, see `_langsmith_streams`.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from .._compat import without_our_frames
from .._drive import drive_async_generator, drive_generator, driver_of, is_generator
from .._snapshot import call_here, seen_as
from ..boundaries.streams import callers_context
from ._in_place import Asyncio
from ._langsmith_streams import TracedAsyncGenerator, TracedStream, drive_traced, step_aside
from ._patch import Place, Unexpected

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._patch import Patch, Settings

_SITE = "langsmith_steps"
_HELPERS = "langsmith.run_helpers"

# What TracedStream makes of the arguments that the wrapper gives; the rest is about tasks.
_KNOWN = frozenset(inspect.signature(TracedStream).parameters)
_OF_TASKS = frozenset({"accepts_context"})


def _asyncio(original: Any, patch: Patch, _: Settings) -> Any:
    if original is not asyncio:
        raise Unexpected("it is not the module asyncio")
    return Asyncio(patch)


def _checked(original: Any) -> Any:
    found = frozenset(inspect.signature(original).parameters) - _OF_TASKS
    if found != _KNOWN:
        raise Unexpected(f"its arguments are {', '.join(sorted(found))}")
    return original


def _iterator(original: Any, patch: Patch, _: Settings) -> Any:
    @functools.wraps(_checked(original))
    def iterator(*args: Any, **kwargs: Any) -> Any:
        if patch.active:
            stream = TracedStream(*args, **kwargs)
            if is_generator(stream.generator):
                return drive_traced(stream)
        return original(*args, **kwargs)

    return iterator


def _async_iterator(original: Any, _: Patch, __: Settings) -> Any:
    @functools.wraps(_checked(original))
    def iterator(*args: Any, **kwargs: Any) -> Any:
        wrapper = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
        of_the_stream = {k: value for k, value in kwargs.items() if k not in _OF_TASKS}
        stream = step_aside(wrapper, lambda: TracedStream(*args, **of_the_stream))
        return original(*args, **kwargs) if stream is None else stream

    vars(iterator)["steps_aside"] = True
    return iterator


def _container_end(original: Any, patch: Patch, _: Settings) -> Any:
    parameters = list(inspect.signature(original).parameters)
    if parameters != ["container", "outputs", "error"]:
        raise Unexpected(f"its arguments are {', '.join(parameters)}")

    @functools.wraps(original)
    def container_end(container: Any, outputs: Any = None, error: Any = None) -> Any:
        if patch.active and isinstance(error, GeneratorExit):
            error = None  # who ends a stream early has had enough of it: no failure
        return original(container, outputs=outputs, error=error)

    return container_end


def _to_thread(original: Any, patch: Patch, _: Settings) -> Any:
    @functools.wraps(original)
    async def to_thread(*args: Any, **kwargs: Any) -> Any:
        if not patch.active or asyncio._get_running_loop() is not None:
            return await original(*args, **kwargs)
        # Under trio: here, as LangSmith does it for functions that are not asynchronous.
        context = kwargs.pop("__ctx", None)
        if isinstance(args[0], Context):  # newer releases take it as the first argument
            context, args = args[0], args[1:]
        elif context is None:
            context = copy_context()
        return context.run(*args, **kwargs)

    return to_thread


def _traceable(original: Any, patch: Patch, _: Settings) -> Any:
    if not hasattr(vars(sys.modules[_HELPERS])["_process_async_iterator"], "steps_aside"):
        raise Unexpected("it needs _process_async_iterator, which was left alone")
    _latest[0] = patch

    def traceable(wrapped: Any, _: object, args: Any, kwargs: Any) -> Any:
        made = wrapped(*args, **kwargs)
        if not patch.active:
            return made
        if getattr(made, "__langsmith_traceable__", False):
            return _driven(made)

        @functools.wraps(made)
        def decorator(function: Any) -> Any:
            return _driven(made(function))

        return decorator

    return seen_as(original, traceable)


# The one that is asked by functions that were decorated under an earlier one too.
_latest: list[Patch | None] = [None]


def _driven(traced: Any) -> Any:
    """Return a traced function whose streams are driven; another kind of function as it is."""
    driver: Any = driver_of(traced)
    here = driver is drive_async_generator
    if here:
        driver = functools.partial(drive_async_generator, see=TracedAsyncGenerator)
    elif driver is not drive_generator:
        return traced
    current_run: Callable[[], object] = vars(sys.modules[_HELPERS])["get_current_run_tree"]

    def call(wrapped: Any, _: object, args: Any, kwargs: Any) -> Any:
        patch = _latest[0]
        if patch is None or not patch.active:
            return wrapped(*args, **kwargs)
        context = callers_context() if here else None
        try:
            if context is None and current_run() is None:
                # Called outside of any run: then the run that is current at the first step
                # is the parent, as without install().
                make = functools.partial(wrapped, *args, **kwargs)
                return driver(_OfTheFirstStep(), make, None)
            return call_here(wrapped, driver, args, kwargs, here=here, context=context)
        except BaseException as error:
            without_our_frames(error)
            raise
        finally:
            del context  # a kept error has this frame

    return seen_as(traced, call)


class _OfTheFirstStep:
    """A private copy of the context that is current when something is first run in it."""

    @functools.cached_property
    def run(self) -> Any:
        return copy_context().run


PLACES = (
    Place(_SITE, _HELPERS, "asyncio", _asyncio),
    Place(_SITE, _HELPERS, "_process_iterator", _iterator),
    Place(_SITE, _HELPERS, "_process_async_iterator", _async_iterator),
    Place(_SITE, _HELPERS, "_container_end", _container_end),
    Place(_SITE, _HELPERS, "traceable", _traceable),
    Place(_SITE, "langsmith._internal._aiter", "aio_to_thread", _to_thread),
)
