"""Streams: generators and iterators that keep the context they were called in.

A generator has no context of its own: each step runs in the context of whoever takes it, and
what it sets there is seen by that one. `streaming` captures the context at the call, gives
the stream a private copy of it for its whole life, and has every step and the closing run
inside that, in the consumer's own task and thread. `traced_stream` opens a run in that copy.
"""

from __future__ import annotations

import inspect
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from .._compat import without_our_frames
from .._drive import drive_async_generator, drive_generator, driver_of, is_generator
from .._snapshot import call_here, seen_as, settle
from ..carriers import context_meant_by, load_wanted
from ._driven import drive_stream, is_stream, makes_streams, short
from ._stream_run import RUN_TYPES, StreamRun

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterable,
        AsyncIterator,
        Awaitable,
        Callable,
        Iterable,
        Iterator,
    )
    from contextvars import Context
    from types import FrameType
    from typing import Union

    from typing_extensions import ParamSpec

    _P = ParamSpec("_P")
    # What a function may say that it returns: a generator function, an Iterable too.
    _Stream = Union[Iterable[Any], AsyncIterable[Any]]
    _S = TypeVar("_S", bound=Union[_Stream, Awaitable[_Stream]])
    _I = TypeVar("_I", bound=Union[Iterator[Any], AsyncIterator[Any]])
    _F = TypeVar("_F", bound=Callable[..., Union[_Stream, Awaitable[_Stream]]])

    RunType = Literal["tool", "chain", "llm", "retriever", "embedding", "prompt", "parser"]

_NOTHING: Any = object()


@overload
def streaming(function: Callable[_P, _S], /) -> Callable[_P, _S]: ...
@overload
def streaming(stream: _I, /) -> _I: ...
@overload
def streaming() -> Callable[[_F], _F]: ...
def streaming(target: Any = _NOTHING, /) -> Any:
    """Keep a stream in the context it was called in, from its first step to its closing.

    The context is captured when the function is *called*, not when the first item is asked
    for. The stream has one private copy of it: what it sets there, a run it opens or a span
    it starts, it finds again in its next step, whoever takes that, and its consumer never
    sees. Its steps run in the consumer's own task and thread, so that `asyncio.timeout` and
    cancel scopes may be held over a ``yield``.

    Do not use it under `contextlib.contextmanager`, in yield fixtures and in yield
    dependencies: what those set is meant to be seen by the block they are around.

    Args:
        function: A generator function or async generator function; or a function, method or
            coroutine function that returns an iterator or async iterator. Or, in its place,
            a stream: a generator, async generator, iterator or async iterator, captured now.

    Returns:
        A function of the same kind, with the same name and signature, or a stream. What was a
        generator or an async generator is a real one and behaves as the bare one: values
        sent in, exceptions thrown in, return values, re-entrancy errors, closing by the
        garbage collector and by the event loop. Another stream, such as a client library's,
        is a proxy that forwards attributes, ``with`` and ``async with``.

    Raises:
        TypeError: `function` is neither; or, at the call, what it returned is not a stream.

    Safe to call from any thread. A stream may be stepped from several tasks and threads, one
    after the other. Mirrors `PEP 568 <https://peps.python.org/pep-0568/>`_, for one generator.
    """
    if target is _NOTHING:
        return streaming
    return _decorated("streaming", None, None, target)


@overload
def traced_stream(
    function: Callable[_P, _S],
    /,
    *,
    name: str | None = ...,
    run_type: RunType = ...,
    reduce: Callable[[list[Any]], Any] | None = ...,
    record: bool = ...,
    max_chunks: int = ...,
) -> Callable[_P, _S]: ...
@overload
def traced_stream(
    stream: _I,
    /,
    *,
    name: str | None = ...,
    run_type: RunType = ...,
    reduce: Callable[[list[Any]], Any] | None = ...,
    record: bool = ...,
    max_chunks: int = ...,
) -> _I: ...
@overload
def traced_stream(
    *,
    name: str | None = ...,
    run_type: RunType = ...,
    reduce: Callable[[list[Any]], Any] | None = ...,
    record: bool = ...,
    max_chunks: int = ...,
) -> Callable[[_F], _F]: ...
def traced_stream(
    target: Any = _NOTHING,
    /,
    *,
    name: str | None = None,
    run_type: RunType = "chain",
    reduce: Callable[[list[Any]], Any] | None = None,
    record: bool = True,
    max_chunks: int = 10_000,
) -> Any:
    """Do what `streaming` does, and give the stream a run of its own.

    The run begins with the first step of a generator, and with the call of any other
    function; runs started inside the stream are its children. It ends when the stream does:
    exhausted; closed early by its consumer (ended without an error, and marked); failed
    (with the error); or dropped. It is a LangSmith run if LangSmith's tracing is on, an
    OpenTelemetry span if the program has set a provider, both if both, and nothing else.

    The chunks are gathered for LangSmith: strings are joined, LangChain's message chunks
    added, others listed. They become an attribute of an OpenTelemetry span only if
    ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` says so.

    Args:
        target: As for `streaming`.
        name: The name of the run; the function's if it is not given.
        run_type: LangSmith's kind of run.
        reduce: Makes the recorded output out of the list of chunks. If it fails, the stream
            goes on, and the run says so.
        record: Whether inputs (the arguments of the call) and outputs are recorded at all.
        max_chunks: How many chunks are kept for the output, the first ones; the run says how
            many there were.

    Returns:
        As `streaming`.

    Raises:
        TypeError: As for `streaming`; `reduce` cannot be called, or is a coroutine function.
        ValueError: `run_type` is none of LangSmith's; `max_chunks` is negative.

    Safe to call from any thread.
    """
    if isinstance(target, str):
        raise TypeError(f"traced_stream() takes a name by keyword: traced_stream(name={target!r}).")
    if run_type not in RUN_TYPES:
        raise ValueError(f"run_type is {run_type!r}, and must be one of {', '.join(RUN_TYPES)}.")
    if reduce is not None and not callable(reduce):
        raise TypeError(f"reduce is {reduce!r}, and must be a function of the list of chunks.")
    if inspect.iscoroutinefunction(reduce):
        raise TypeError(
            f"reduce is the coroutine function {reduce!r}, and must be a plain function: a stream "
            "can end where nothing can be awaited."
        )
    if max_chunks < 0:
        raise ValueError(f"max_chunks is {max_chunks}, and must not be negative.")
    new_run = partial(StreamRun, run_type, reduce, record, max_chunks)
    load_wanted()
    decorate = partial(_decorated, "traced_stream", new_run, name)
    return decorate if target is _NOTHING else decorate(target)


def _decorated(
    decorator: str, new_run: Callable[..., StreamRun] | None, name: str | None, target: Any
) -> Any:
    if is_stream(target):
        return _iterating(target, new_run, name)
    function = target
    if type(target) in (classmethod, staticmethod):
        function = target.__func__
    if not callable(function) or (isinstance(function, type) and not makes_streams(function)):
        raise TypeError(_refusal(decorator, target))
    kind = driver_of(function)
    # Of a generator function nothing runs before the first step; with others, the call counts.
    runs_at_call = kind not in (drive_generator, drive_async_generator)
    run_name = name or _name_of(function)
    who = f"{_name_of(function)}() is decorated with @{decorator}"
    plain = _driver(kind, None, who)
    here = kind is not drive_generator

    def streamed(wrapped: Any, _: object, args: Any, kwargs: Any) -> Any:
        context = None if kind is not drive_async_generator else _callers_context()
        try:
            if new_run is None:
                return call_here(wrapped, plain, args, kwargs, here=here, context=context)
            run = new_run(run_name, (wrapped, args, kwargs))
            if runs_at_call:
                wrapped = partial(run.call, wrapped)
            driver = _driver(kind, run, who)
            return call_here(wrapped, driver, args, kwargs, here=here, context=context)
        except BaseException as error:
            without_our_frames(error)
            raise
        finally:
            del context  # a kept error has this frame

    return seen_as(target, streamed)


def _callers_context() -> Context | None:
    """Return the context of a decorator that calls here and takes the steps elsewhere."""
    frame: FrameType | None = sys._getframe(2)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and frame.f_globals.get("__name__", "").startswith("wrapt."):
        frame = frame.f_back  # wrapt's own, where it is not compiled
    return None if frame is None else context_meant_by(frame)


def _driver(kind: object, run: StreamRun | None, who: str) -> Any:
    """Return a driver for what a function of that kind returns: see `driver_of`."""
    any_stream = partial(drive_stream, run=run, who=who)
    if kind is drive_async_generator:
        see = None if run is None else run.of_async_generator
        return partial(drive_async_generator, see=see, otherwise=any_stream)
    # Also for what may turn out to be something else: see drive_generator() for why it is
    # prepared before the call.
    see = None if run is None else run.of_generator
    drive = partial(drive_generator, see=see, otherwise=any_stream)
    return drive if kind is drive_generator else partial(_drive_unknown, drive)


def _drive_unknown(drive: Any, context: Any, make: Callable[[], Any], pins: object) -> Any:
    try:
        return drive(context, partial(_make_and_settle, context, make), pins)
    finally:
        del drive, context, make, pins  # a kept error has the frames it came through


def _make_and_settle(context: Any, make: Callable[[], Any]) -> Any:
    try:
        stream = make()
        if is_generator(stream):
            settle(context)
        return stream
    finally:
        del context, make


def _iterating(stream: Any, new_run: Callable[..., StreamRun] | None, name: str | None) -> Any:
    run = None
    if new_run is not None:
        run = new_run(name or _name_of(stream), None)
    return call_here(lambda: stream, _driver(None, run, ""), (), {}, here=True)


def _name_of(thing: Any) -> str:
    while isinstance(thing, partial):
        thing = thing.func
    name = getattr(thing, "__name__", None)
    return name if isinstance(name, str) else type(thing).__name__


def _refusal(decorator: str, target: Any) -> str:
    if inspect.isawaitable(target):
        hint = "decorate the function instead of its call, or await it first"
    elif isinstance(target, type):
        hint = "its instances have no __next__() and no __anext__()"
    elif hasattr(target, "__iter__"):
        hint = "pass iter(...) of it"
    elif hasattr(target, "__aiter__"):
        hint = "pass what its __aiter__() returns"
    else:
        hint = "it is no iterator, and cannot be called to make one"
    # What it is, and not its repr: errors end in logs.
    what = f"the class {target.__qualname__}" if isinstance(target, type) else short(target)
    return (
        f"{decorator}() takes a generator function, a function that returns an iterator, or an "
        f"iterator, and got {what}: {hint}."
    )


for _name in (streaming, traced_stream):
    _name.__module__ = "ctxtrace"
