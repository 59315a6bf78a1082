"""Whatever kind of stream a program has, drive it: `drive_stream`.

Generators and async generators have drivers of their own, which are generators. Everything
else that can be iterated once (a `map`, a file, the stream object of a client library) comes
back as a proxy: it forwards attributes, and takes steps and closes inside the context.
"""

from __future__ import annotations

import inspect
import weakref
from functools import partial
from types import GeneratorType
from typing import TYPE_CHECKING, Any

import wrapt

from .._compat import without_our_frames
from .._drive import (
    Unstarted,
    drive_async_generator,
    drive_awaitable,
    drive_generator,
    is_async_generator,
    is_generator,
)
from .._snapshot import settle

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from ._stream_run import StreamRun


_kind: Callable[[Any], Any] = type


def is_stream(thing: Any) -> bool:
    """Whether something is an iterator or an async iterator."""
    kind = _kind(thing)  # where the interpreter looks for them
    if kind is GeneratorType:
        return is_generator(thing)
    return hasattr(kind, "__next__") or hasattr(kind, "__anext__")


def drive_stream(
    context: Context, stream: Any, pins: object, run: StreamRun | None = None, who: str = ""
) -> Any:
    """Return what does inside `context` what is done to it, and is a stream of the same kind.

    Args:
        context: The stream's own, from now on.
        stream: A generator, an async generator, another iterator or async iterator, or an
            awaitable that results in one.
        pins: What the stream keeps alive until it is over.
        run: The run that the stream is to have, if any.
        who: Whose stream it is, for the error.

    Raises:
        TypeError: It is none of these; from an awaitable, when it is awaited.
    """
    if is_stream(stream):
        if not hasattr(_kind(stream), "__anext__"):
            settle(context, here=False)  # it may be stepped in any thread
        return _drive(context, stream, pins, run)
    if inspect.isawaitable(stream):
        awaitable = stream if run is None else run.of_awaitable(stream)
        then = partial(_drive_result, context, pins, run, who)
        return drive_awaitable(context, awaitable, pins, then)
    hint = "return iter(...) of it" if hasattr(stream, "__iter__") else "return an iterator"
    error = TypeError(
        f"{who}, and it gave {_short(stream)}, which is not an iterator or async iterator: "
        f"there are no steps to take in the context. Leave the decorator away, or {hint}."
    )
    if run is not None:
        run.end(error)
    raise error


def _drive(context: Any, stream: Any, pins: object, run: StreamRun | None) -> Any:
    if is_generator(stream):
        see = None if run is None else run.of_generator
        return drive_generator(context, lambda: stream, pins, see)
    if is_async_generator(stream):
        see = None if run is None else run.of_async_generator
        return drive_async_generator(context, lambda: stream, pins, see)
    return _proxy(context, stream, pins, run)


def _drive_result(
    context: Context, pins: object, run: StreamRun | None, who: str, stream: Any
) -> Any:
    return drive_stream(context, stream, pins, run, who)


def _short(thing: object) -> str:
    # Its type and no more of it: what a program streams is not to be in logs.
    return f"a {type(thing).__qualname__}"


class _Room:
    """The context of a stream that can be stepped by several at once, as a generator cannot.

    A context can be entered once at a time. Whoever finds it taken gets a copy for the step.
    """

    __slots__ = ("_context", "_free")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._free = [context]

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        try:
            context = self._free.pop()
        except IndexError:
            return self._context.copy().run(function, *args)
        try:
            return context.run(function, *args)
        finally:
            self._free.append(context)


# The methods of proxies. Each is given to the proxies of those types that have it, so that
# a proxy is iterable, asynchronously iterable or a context manager where its stream is.


def _step(name: str) -> Any:
    def step(self: Any, *args: Any) -> Any:
        take = getattr(self.__wrapped__, name)
        try:
            if self._self_run is None:
                return self._self_room.run(take, *args)
            return self._self_room.run(self._self_run.step, take, *args)
        except StopIteration:
            _over(self)
            raise
        except BaseException as error:
            without_our_frames(error)
            raise
        finally:
            del args  # of a throw: the error, which has this frame before Python 3.11

    return step


def _async_step(name: str) -> Any:
    def step(self: Any, *args: Any) -> Any:
        awaitable = self._self_room.run(getattr(self.__wrapped__, name), *args)
        awaited = _awaited(self, Unstarted(awaitable), args)
        return drive_awaitable(self._self_room, awaited, self._self_pins)

    return step


async def _awaited(self: Any, unstarted: Unstarted, args: Any) -> Any:
    run = self._self_run
    try:
        step = unstarted.take()
        return await (step if run is None else run.async_step(step, *args))
    except StopAsyncIteration:
        _over(self)
        raise
    finally:
        step = None
        del args


def _close(name: str) -> Any:
    def close(self: Any, *args: Any) -> Any:
        try:
            result = self._self_room.run(getattr(self.__wrapped__, name), *args)
        except BaseException as error:
            without_our_frames(error)
            raise
        if inspect.isawaitable(result):
            # For a client's async stream it is `close` that is a coroutine function.
            return drive_awaitable(self._self_room, result, self._self_pins, partial(_closed, self))
        return _closed(self, result)

    return close


def _closed(self: Any, result: Any) -> Any:
    if self._self_run is not None:
        self._self_run.end(closed_early=True)
    _over(self)
    return result


def _over(self: Any) -> None:
    self._self_pins = None


def _enter(name: str) -> Any:
    def enter(self: Any) -> Any:
        entered = self._self_room.run(getattr(self.__wrapped__, name))
        if inspect.isawaitable(entered):
            return drive_awaitable(
                self._self_room, entered, self._self_pins, partial(_itself_or, self)
            )
        return _itself_or(self, entered)

    return enter


def _itself_or(self: Any, thing: Any) -> Any:
    """Return the proxy for its stream, another for another one, and what else there is as it is."""
    if thing is self.__wrapped__:
        return self
    if not is_stream(thing):
        return thing
    return _drive(self._self_room, thing, self._self_pins, self._self_run)


def _repr(self: Any) -> str:
    return repr(self.__wrapped__)


def _del(self: Any) -> None:
    # What the stream does when it is dropped (close a generator that it holds), it does here.
    last = [self.__wrapped__]
    self.__wrapped__ = None
    self._self_room.run(last.clear)


_METHODS: dict[str, Any] = {
    **{name: _step(name) for name in ("__next__", "send", "throw")},
    **{name: _async_step(name) for name in ("__anext__", "asend", "athrow")},
    **{name: _close(name) for name in ("close", "aclose", "__exit__", "__aexit__")},
    **{name: _enter(name) for name in ("__iter__", "__aiter__", "__enter__", "__aenter__")},
}

_ObjectProxy: Any = vars(wrapt)["ObjectProxy"]
# What wrapt's proxies have whatever they stand for, and what others take for a promise.
_NOT_EVERYBODYS = [
    *(name for name in _METHODS if hasattr(_ObjectProxy, name)),
    *("__len__", "__reversed__", "__getitem__", "__setitem__", "__delitem__"),
]
_classes: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def _proxy(context: Any, stream: Any, pins: object, run: StreamRun | None) -> Any:
    kind = _kind(stream)
    made = _classes.get(kind)
    if made is None:
        members = {name: method for name, method in _METHODS.items() if hasattr(kind, name)}
        # None is Python's way to say that a class lacks what its base has.
        members.update(dict.fromkeys(name for name in _NOT_EVERYBODYS if not hasattr(kind, name)))
        members.update(__repr__=_repr, __del__=_del, __module__=kind.__module__)
        made = _classes[kind] = type(kind.__name__, (_ObjectProxy,), members)
    proxy = made(stream)
    proxy._self_room = context if isinstance(context, _Room) else _Room(context)
    proxy._self_pins = pins
    proxy._self_run = run
    return proxy
