"""LangSmith: @traceable functions are stepped in the caller's own task, and streams closed.

LangSmith gives the function that it traces a context of its own, in which the run is current.
To step a coroutine or an async generator there, it starts a task a step. In its module the name
``asyncio`` stands for one whose ``create_task(..., context=...)`` drives in place, which is enough
for coroutines. Streams get their chunks from `_langsmith_streams`; those of functions that were
decorated after install() are driven like any other stream, wrapper and all.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from .._compat import without_our_frames
from .._drive import (
    drive_async_generator,
    drive_generator,
    driver_of,
    is_async_generator,
    is_generator,
)
from .._snapshot import seen_as, settle
from ..carriers import take_pins
from ._in_place import in_place_of_asyncio, too_deep
from ._langsmith_streams import (
    TracedAsyncGenerator,
    TracedStream,
    chunks_of,
    drive_traced,
    is_stream,
    steps_aside,
)
from ._patch import Place, Unexpected

if TYPE_CHECKING:
    from ._patch import Patch, Settings

_SITE = "langsmith_steps"
_HELPERS = "langsmith.run_helpers"

# What TracedStream makes of the arguments that the wrapper gives; the rest is about tasks.
_KNOWN = frozenset(inspect.signature(TracedStream).parameters)
_OF_TASKS = frozenset({"accepts_context"})


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


def _async_iterator(original: Any, patch: Patch, __: Settings) -> Any:
    @functools.wraps(_checked(original))
    def iterator(*args: Any, **kwargs: Any) -> Any:
        of_the_stream = {k: value for k, value in kwargs.items() if k not in _OF_TASKS}
        stream = TracedStream(*args, **of_the_stream)
        wrapper = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
        if is_async_generator(stream.generator) and steps_aside(wrapper, stream):
            return stream
        if patch.active and hasattr(type(stream.generator), "__anext__"):
            return chunks_of(stream)
        return original(*args, **kwargs)

    vars(iterator)["steps_aside"] = True
    return iterator


def _container_end(original: Any, patch: Patch, _: Settings) -> Any:
    parameters = list(inspect.signature(original).parameters)
    if parameters != ["container", "outputs", "error"]:
        raise Unexpected(f"its arguments are {', '.join(parameters)}")

    @functools.wraps(original)
    def container_end(container: Any, outputs: Any = None, error: Any = None) -> Any:
        if patch.active and isinstance(error, GeneratorExit) and is_stream(container):
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
    _latest[:] = [patch]

    def traceable(wrapped: Any, _: object, args: Any, kwargs: Any) -> Any:
        made = wrapped(*args, **kwargs)
        if not _is_on():
            return made
        if getattr(made, "__langsmith_traceable__", False):
            return _driven(made)

        @functools.wraps(made)
        def decorator(function: Any) -> Any:
            return _driven(made(function))

        return decorator

    return seen_as(original, traceable)


# Functions that were decorated under an earlier install() look at the latest, too.
_latest: list[Patch] = []


def _is_on() -> bool:
    return bool(_latest) and _latest[0].active


def _driven(traced: Any) -> Any:
    """Return a traced function whose streams are driven; another kind of function as it is."""
    driver: Any = driver_of(traced)
    if driver is drive_async_generator:
        driver = functools.partial(drive_async_generator, see=TracedAsyncGenerator)
    elif driver is not drive_generator:
        return traced

    def call(wrapped: Any, _: object, args: Any, kwargs: Any) -> Any:
        if not _is_on() or too_deep():
            return wrapped(*args, **kwargs)
        try:
            make = functools.partial(wrapped, *args, **kwargs)
            return driver(_WhereItBelongs(), make, take_pins())
        except BaseException as error:
            without_our_frames(error)
            raise

    return seen_as(traced, call)


class _WhereItBelongs:
    """A private copy of the context of the first step, or of that of the call.

    LangSmith opens the run at the first step, and takes its parent, its project, its tags and
    whether it is to be traced from there. So it does here; only what was called in a run, and is
    consumed outside of any, has all that from where it was called.
    """

    def __init__(self) -> None:
        self._of_the_call = copy_context()

    @functools.cached_property
    def run(self) -> Any:
        helpers = vars(sys.modules[_HELPERS])
        current_run = helpers["get_current_run_tree"]
        is_told_not_to = helpers["get_tracing_context"]()["enabled"] is False
        call = self._of_the_call
        if is_told_not_to or current_run() is not None or call.run(current_run) is None:
            return copy_context().run
        return settle(call).run  # it may be stepped in any thread


PLACES = (
    Place(_SITE, _HELPERS, "asyncio", in_place_of_asyncio),
    Place(_SITE, _HELPERS, "_process_iterator", _iterator),
    Place(_SITE, _HELPERS, "_process_async_iterator", _async_iterator),
    Place(_SITE, _HELPERS, "_container_end", _container_end),
    Place(_SITE, _HELPERS, "traceable", _traceable),
    Place(_SITE, "langsmith._internal._aiter", "aio_to_thread", _to_thread),
)
