"""Whatever kind of stream a program has, drive it: `drive_stream`.

Generators and async generators have drivers of their own, which are generators. Everything
else that can be iterated once (a `map`, a file, the stream object of a client library) comes
back as a proxy: it forwards attributes, and takes steps and closes inside the context.
"""

# The functions that become methods of proxies are given to them later, and not in the class.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import inspect
import weakref
from functools import partial
from types import GeneratorType
from typing import TYPE_CHECKING, Any

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
    return makes_streams(kind)


def makes_streams(kind: Any) -> bool:
    """Whether the instances of a class are iterators or async iterators."""
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
            settle(context)  # it may be stepped in any thread
        return _drive(context, stream, pins, run)
    if inspect.isawaitable(stream):
        awaitable = stream if run is None else run.of_awaitable(stream)
        then = partial(drive_stream, context, pins=pins, run=run, who=who)
        return drive_awaitable(context, awaitable, pins, then)
    hint = "return iter(...) of it" if hasattr(stream, "__iter__") else "return an iterator"
    error = TypeError(
        f"{who}, and it gave {short(stream)}, which is not an iterator or async iterator: "
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


def short(thing: object) -> str:
    """Say what something is, and no more: what a program streams is not to be in logs."""
    return f"an object of type {type(thing).__qualname__!r}"


class _Room:
    """The context of a stream that can be stepped by several at once, as a generator cannot.

    A context can be entered once at a time. Whoever finds it taken gets a copy for the step.
    """

    __slots__ = ("_context", "_free")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._free = [context]

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            context = self._free.pop()
        except IndexError:
            return self._context.copy().run(function, *args, **kwargs)
        try:
            return context.run(function, *args, **kwargs)
        finally:
            self._free.append(context)


class _Proxy:
    """Stands for a stream that is no generator.

    What is looked up on the instance is the stream's. What the interpreter looks up on the
    class is given to a subclass for each type of stream, and only what that type has: so a
    proxy is iterable, has a length or is a context manager if its stream is, and not else.
    """

    __slots__ = (
        "__weakref__",
        "_ctxtrace_pins",
        "_ctxtrace_room",
        "_ctxtrace_run",
        "_ctxtrace_stream",
    )

    _ctxtrace_pins: Any
    _ctxtrace_room: Any
    _ctxtrace_run: Any
    _ctxtrace_stream: Any

    @property
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _kind(self._ctxtrace_stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctxtrace_stream, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._ctxtrace_stream, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._ctxtrace_stream, name)

    def __dir__(self) -> Any:
        return dir(self._ctxtrace_stream)

    def __repr__(self) -> str:
        return repr(self._ctxtrace_stream)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._ctxtrace_stream.__reduce_ex__(protocol)  # a copy is a bare one

    def __del__(self) -> None:
        # What the stream does when it is dropped (close a generator that it holds), it does here.
        last = [self._ctxtrace_stream]
        _set(self, "_ctxtrace_stream", None)
        self._ctxtrace_room.run(last.clear)


_set = object.__setattr__


def _over(self: _Proxy) -> None:
    _set(self, "_ctxtrace_pins", None)


def _take(self: _Proxy, name: str, *args: Any, **kwargs: Any) -> Any:
    """Call a method of the stream in its context."""
    return self._ctxtrace_room.run(getattr(self._ctxtrace_stream, name), *args, **kwargs)


def _step(name: str) -> Any:
    def step(self: _Proxy, *args: Any) -> Any:
        take, run = getattr(self._ctxtrace_stream, name), self._ctxtrace_run
        try:
            if run is None:
                return self._ctxtrace_room.run(take, *args)
            return self._ctxtrace_room.run(run.step, take, *args)
        except BaseException as error:
            if isinstance(error, StopIteration):
                _over(self)
            without_our_frames(error)
            raise
        finally:
            del args  # of a throw: the error, which has this frame before Python 3.11

    return step


def _async_step(name: str) -> Any:
    def step(self: _Proxy, *args: Any) -> Any:
        awaited = _awaited_step(self, Unstarted(_take(self, name, *args)), args)
        return drive_awaitable(self._ctxtrace_room, awaited, self._ctxtrace_pins)

    return step


async def _awaited_step(self: _Proxy, unstarted: Unstarted, args: Any) -> Any:
    run = self._ctxtrace_run
    step: Any = unstarted.take()
    try:
        return await (step if run is None else run.async_step(step, *args))
    except StopAsyncIteration:
        _over(self)
        raise
    finally:
        del step, args


def _close(name: str) -> Any:
    def close(self: _Proxy, *args: Any, **kwargs: Any) -> Any:
        result: Any = None
        try:
            result = _take(self, name, *args, **kwargs)
        except BaseException as error:
            without_our_frames(error)
            raise
        finally:
            waits = inspect.isawaitable(result)
            if not waits:
                _closed(self)
            del args, kwargs
        if not waits:
            return result
        # For a client's async stream it is `close` that is a coroutine function.
        awaited = _awaited_close(self, Unstarted(result))
        return drive_awaitable(self._ctxtrace_room, awaited, self._ctxtrace_pins)

    return close


async def _awaited_close(self: _Proxy, unstarted: Unstarted) -> Any:
    try:
        return await unstarted.take()
    finally:
        _closed(self)


def _closed(self: _Proxy) -> None:
    if self._ctxtrace_run is not None:
        self._ctxtrace_run.end(closed_early=True)
    _over(self)


def _enter(name: str) -> Any:
    def enter(self: _Proxy) -> Any:
        return _itself_or(self, _take(self, name))

    return enter


def _async_enter(name: str) -> Any:
    def enter(self: _Proxy) -> Any:
        entered, then = _take(self, name), partial(_itself_or, self)
        return drive_awaitable(self._ctxtrace_room, entered, self._ctxtrace_pins, then)

    return enter


def _itself_or(self: _Proxy, thing: Any) -> Any:
    """Return the proxy for its stream, another for another one, and what else there is as it is."""
    if thing is self._ctxtrace_stream:
        return self
    if not is_stream(thing):
        return thing
    return _drive(self._ctxtrace_room, thing, self._ctxtrace_pins, self._ctxtrace_run)


def _await(self: _Proxy) -> Any:
    room, pins = self._ctxtrace_room, self._ctxtrace_pins
    then = partial(_itself_or, self)
    return drive_awaitable(room, self._ctxtrace_stream, pins, then).__await__()


def _special(name: str) -> Any:
    def special(self: _Proxy, *args: Any, **kwargs: Any) -> Any:
        return _take(self, name, *args, **kwargs)

    return special


_STEPS = {
    "__next__": _step("__next__"),
    "__anext__": _async_step("__anext__"),
    "__iter__": _enter("__iter__"),
    "__aiter__": _enter("__aiter__"),
    "__enter__": _enter("__enter__"),
    "__aenter__": _async_enter("__aenter__"),
    "__exit__": _close("__exit__"),
    "__aexit__": _close("__aexit__"),
    "__await__": _await,
    "close": _close("close"),
    "aclose": _close("aclose"),
}
# What only generators mean by these names; other streams send something else.
_GENERATORS = {"send": _step("send"), "throw": _step("throw")}
_ASYNC_GENERATORS = {"asend": _async_step("asend"), "athrow": _async_step("athrow")}
# What _Proxy does itself, or object does with what _Proxy does.
_NOT_FORWARDED = frozenset(
    [*dir(_Proxy), "__prepare__", "__slots__", "__set_name__", "__get__"]
) - {
    "__eq__",
    "__hash__",
    "__str__",
    "__format__",
}

_classes: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def _proxy(context: Any, stream: Any, pins: object, run: StreamRun | None) -> Any:
    kind = _kind(stream)
    try:
        made = _classes.get(kind)
        if made is None:
            made = _classes[kind] = _class_for(kind)
    except TypeError:  # a class without a hash
        made = _class_for(kind)
    proxy = made.__new__(made)
    _set(proxy, "_ctxtrace_stream", stream)
    _set(proxy, "_ctxtrace_room", context if isinstance(context, _Room) else _Room(context))
    _set(proxy, "_ctxtrace_pins", pins)
    _set(proxy, "_ctxtrace_run", run)
    return proxy


def _class_for(kind: Any) -> Any:
    lookup: Callable[..., Any] = getattr
    members: dict[str, Any] = {"__slots__": (), "__module__": kind.__module__}
    for name in dir(kind):
        if name.startswith("__") and name.endswith("__") and name not in _NOT_FORWARDED:
            method = getattr(kind, name, None)
            if method is None:
                members[name] = None  # as __hash__ of what cannot be hashed
            elif callable(method) and method is not getattr(object, name, None):
                members[name] = _special(name)
    ours = {
        **_STEPS,
        **(_GENERATORS if hasattr(kind, "send") and hasattr(kind, "throw") else {}),
        **(_ASYNC_GENERATORS if hasattr(kind, "asend") and hasattr(kind, "athrow") else {}),
    }
    members.update({n: method for n, method in ours.items() if callable(lookup(kind, n, None))})
    return type(kind.__name__, (_Proxy,), members)
