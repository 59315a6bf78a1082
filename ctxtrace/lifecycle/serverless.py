"""Flush when a handler has answered: `flush_after`.

A serverless platform freezes a process between two requests, or takes it away, without a word. What
was recorded has to be gone before the handler's answer is.
"""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .._compat import without_our_frames
from .._drive import (
    Unstarted,
    drive_async_generator,
    drive_coroutine,
    drive_generator,
    driver_of,
    is_async_generator,
    is_generator,
    named_after,
)
from .._errors import guard
from .._snapshot import call_here, seen_as
from .flushing import aflush, check_timeout, flush, is_awaited

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

__all__ = ["flush_after"]

_F = TypeVar("_F", bound="Callable[..., Any]")

# What the platform is left of its time, to take the answer: seconds.
_MARGIN = 0.25


@overload
def flush_after(handler: _F, /, *, timeout: float = ...) -> _F: ...
@overload
def flush_after(*, timeout: float = ...) -> Callable[[_F], _F]: ...
def flush_after(handler: Any = None, /, *, timeout: float = 10.0) -> Any:
    """Have a handler's answer wait until what was recorded has been sent.

    For platforms that freeze or end a process as soon as it has answered. It is flushed when the
    handler has returned or raised; and if it streams, when the stream is used up, closed or
    dropped. Above all other decorators, so that their runs have ended by then.

    If an argument of the call knows how much time there is left, as AWS Lambda's context does
    (``get_remaining_time_in_millis()``), it takes no more than that, less a quarter of a second.

    Args:
        handler: A function, coroutine function, generator function or async generator function.
        timeout: Seconds to wait at most.

    Returns:
        A function of the same kind, with the same name and signature. What the handler returns,
        yields or raises is unchanged. Steps of a stream run in a copy of the context of the
        call, as with `streaming`.

    Raises:
        ValueError: `timeout` is negative.
        TypeError: `timeout` is no number, or `handler` cannot be called.

    Safe to call from any thread. Many at once share their flushes, see `flush`.
    """
    seconds = check_timeout("flush_after", timeout)
    if handler is None:
        return partial(flush_after, timeout=seconds)
    function = handler
    if type(handler) in (classmethod, staticmethod):
        function = handler.__func__
    if not callable(function):
        raise TypeError(
            f"flush_after() takes a function, and got an object of type "
            f"{type(handler).__qualname__!r}: put it above the handler, as @flush_after or "
            "@flush_after(timeout=...)."
        )
    kind = driver_of(function)

    def flushed(wrapped: Any, _: object, args: Any, kwargs: Any) -> Any:
        limit = partial(_limit, seconds, (*args, *kwargs.values()))
        try:
            if kind in _SEEN:
                return _streamed(kind, wrapped, args, kwargs, limit)
            if kind is drive_coroutine:
                return _awaited(wrapped(*args, **kwargs), limit)
            return _called(wrapped, args, kwargs, limit)
        except BaseException as error:
            without_our_frames(error)
            raise
        finally:
            del limit, args, kwargs  # a kept error has this frame

    return seen_as(handler, flushed)


def _called(wrapped: Any, args: Any, kwargs: Any, limit: Callable[[], float]) -> Any:
    try:
        result: Any = wrapped(*args, **kwargs)
    except BaseException:
        flush(limit())
        raise
    # A function may return what another one of another kind made.
    if is_generator(result):
        return _streamed(drive_generator, lambda: result, (), {}, limit)
    if is_async_generator(result):
        return _streamed(drive_async_generator, lambda: result, (), {}, limit)
    if inspect.iscoroutine(result):
        return _awaited(result, limit)
    flush(limit())
    return result


def _awaited(coroutine: Any, limit: Callable[[], float]) -> Any:
    return named_after(coroutine, _await(Unstarted(coroutine), limit))


async def _await(unstarted: Unstarted, limit: Callable[[], float]) -> Any:
    try:
        result = await unstarted.take()
    except GeneratorExit:
        flush(0)  # closed, and nobody is there to await anything
        raise
    except BaseException as error:
        without_our_frames(error)
        await aflush(limit())
        raise
    await aflush(limit())
    return result


def _streamed(kind: Any, function: Any, args: Any, kwargs: Any, limit: Callable[[], float]) -> Any:
    driver = partial(kind, see=partial(_SEEN[kind], limit))
    return call_here(function, driver, args, kwargs, here=kind is not drive_generator)


class _Generator:
    """A generator that is flushed after."""

    __slots__ = ("_generator", "_limit")

    def __init__(self, limit: Callable[[], float], generator: Any) -> None:
        self._limit = limit
        self._generator = generator

    def send(self, value: Any) -> Any:
        return self._step(self._generator.send, value)

    def throw(self, error: BaseException) -> Any:
        return self._step(self._generator.throw, error)

    def _step(self, take: Callable[[Any], Any], value: Any) -> Any:
        try:
            return take(value)
        except BaseException as error:  # which is its end, however it came about
            without_our_frames(error)
            flush(self._limit())
            raise
        finally:
            del value

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)


class _AsyncGenerator:
    """An async generator that is flushed after."""

    __slots__ = ("_generator", "_limit")

    def __init__(self, limit: Callable[[], float], generator: Any) -> None:
        self._limit = limit
        self._generator = generator

    def asend(self, value: Any) -> Generator[Any, None, Any]:
        # Its steps are taken with next(), and a coroutine is no iterator.
        return self._step(self._generator.asend(value), is_closing=False).__await__()

    def athrow(self, error: BaseException) -> Generator[Any, None, Any]:
        closing = isinstance(error, GeneratorExit)
        return self._step(self._generator.athrow(error), is_closing=closing).__await__()

    async def _step(self, step: Awaitable[Any], is_closing: bool) -> Any:
        try:
            return await step
        except BaseException as error:
            without_our_frames(error)
            if is_awaited() and (is_closing or not isinstance(error, GeneratorExit)):
                await aflush(self._limit())
            else:
                flush(0)  # the step itself is closed, or there is no loop any more
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)


_SEEN: dict[Any, Any] = {drive_generator: _Generator, drive_async_generator: _AsyncGenerator}


def _limit(seconds: float, arguments: tuple[Any, ...]) -> float:
    """Return how long to flush, now that the handler is done."""
    for argument in arguments:
        left = guard("flush_after()", _seconds_left, argument)
        if left is not None:
            seconds = min(seconds, max(0.0, left - _MARGIN))
    return seconds


def _seconds_left(argument: Any) -> float | None:
    tell = getattr(argument, "get_remaining_time_in_millis", None)
    return None if tell is None else float(tell()) / 1000


flush_after.__module__ = "ctxtrace"
