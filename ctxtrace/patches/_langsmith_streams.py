"""Drive the streams of functions that LangSmith traces.

LangSmith's wrapper of such a function opens the run, asks for the chunks one by one, and ends
the run. It gets the chunks from a function of its module, which `langsmith_steps` replaces:

* for a generator by one that drives it, in the context that LangSmith made for it. The wrapper
  says ``yield from``, so what is sent and thrown into the wrapper, and its closing, reaches it;
* for an async generator, to which Python has no ``yield from``, the wrapper is made to step
  aside. It is stepped up to where it asks for the first chunk, and again to end the run. In
  between, what is done to the stream is done to the function's own generator. A wrapper that
  nobody asks to, made before install(), gets its chunks from here one by one.
"""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from .._compat import without_our_frames
from .._drive import drive_generator, first_step
from ._in_place import way_from_here

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator
    from contextvars import Context
    from types import FrameType


# Beside what LangSmith knows of a run.
_IS_STREAM = "ctxtrace_is_stream"


def is_stream(run_container: Any) -> bool:
    """Whether a run is that of a stream."""
    return _IS_STREAM in run_container


class TracedStream:
    """What LangSmith's wrapper knows of a stream when it asks for the chunks.

    Iterated over by the wrapper that steps aside: gives one chunk, to say that it is there.
    """

    def __init__(
        self,
        generator: Any,
        run_container: Any,
        is_llm_run: bool,
        results: list[Any],
        process_chunk: Callable[[Any], Any] | None,
        otel_context_manager: object = None,
    ) -> None:
        self.generator = generator
        self.context: Context = run_container["context"]
        # Of LangSmith's OpenTelemetry mode, in which each step is taken in the run's span.
        self.has_spans = otel_context_manager is not None
        self._run = run_container["new_run"]
        self._is_llm_run = is_llm_run and self._run is not None
        self._process_chunk = process_chunk
        self._results = results
        self._is_ready = True
        run_container[_IS_STREAM] = True

    def add(self, chunk: Any) -> None:
        """Take note of a chunk, as LangSmith does."""
        traced = chunk if self._process_chunk is None else self._process_chunk(chunk)
        if self._is_llm_run:
            self._is_llm_run = False
            now = datetime.now(timezone.utc).isoformat()
            self._run.add_event({"name": "new_token", "time": now, "kwargs": {"token": traced}})
        self._results.append(traced)

    def span(self) -> Any:
        """Return the context manager that makes the run's span current for a step."""
        return vars(sys.modules["langsmith.run_helpers"])["_maybe_create_otel_context"](self._run)

    def __aiter__(self) -> TracedStream:
        return self

    async def __anext__(self) -> None:
        if not self._is_ready:
            raise StopAsyncIteration
        self._is_ready = False


def drive_traced(stream: TracedStream) -> Any:
    """Return a generator that does inside the run what is done to it."""
    generator = stream.generator
    return drive_generator(stream.context, lambda: generator, None, partial(_Noted, stream))


class _Noted:
    """A generator whose chunks are taken note of, as `drive_generator` is to see it."""

    __slots__ = ("_add", "_failed", "_generator", "_send", "_throw")

    def __init__(self, stream: TracedStream, generator: Any) -> None:
        self._generator = generator
        self._add = stream.add
        self._failed = False
        self._send: Callable[[Any], Any] = generator.send
        self._throw: Callable[[Any], Any] = generator.throw
        if stream.has_spans:
            self._send = partial(_in_span, stream, self._send)
            self._throw = partial(_in_span, stream, self._throw)

    @property
    def gi_frame(self) -> Any:
        return None if self._failed else self._generator.gi_frame

    @property
    def gi_running(self) -> Any:
        return self._generator.gi_running

    def send(self, value: Any) -> Any:
        chunk = self._send(value)
        try:
            self._add(chunk)
        except BaseException:
            self._fail()
            raise
        return chunk

    def throw(self, error: BaseException) -> Any:
        try:
            chunk = self._throw(error)
        finally:
            del error  # which has this frame before Python 3.11
        try:
            self._add(chunk)
        except BaseException:
            self._fail()
            raise
        return chunk

    def _fail(self) -> None:
        # What the user's process_chunk raised ends the stream, as it does in LangSmith.
        self._failed = True
        self._generator.close()


def _in_span(stream: TracedStream, take: Callable[[Any], Any], value: Any) -> Any:
    try:
        with stream.span():
            return take(value)
    finally:
        del value


# The wrappers that are to step aside, by their frames, until they do.
_asked: dict[FrameType, list[TracedStream]] = {}


def steps_aside(wrapper: FrameType, stream: TracedStream) -> bool:
    """Whether a wrapper was asked to step aside; it then hands over its stream."""
    asked = _asked.get(wrapper)
    if asked is None:
        return False
    asked.append(stream)
    return True


class TracedAsyncGenerator:
    """A traced async generator, as `drive_async_generator` is to see it.

    At first that is LangSmith's wrapper, and then the function's own generator.
    """

    __slots__ = ("_generator", "_stream", "_within", "_wrapper")

    _within: Callable[[Context, Any], Any]

    def __init__(self, wrapper: Any) -> None:
        self._wrapper = wrapper
        self._stream: TracedStream | None = None
        self._generator: Any = None

    def asend(self, value: Any) -> Generator[Any, None, Any]:
        # What is called here, and not in the coroutine, is called with the loop's hooks off.
        if self._stream is None:
            return self._open(self._wrapper.asend(value)).__await__()
        return self._step(self._stream, self._generator.asend(value)).__await__()

    def athrow(self, error: BaseException) -> Generator[Any, None, Any]:
        try:
            if self._stream is None:
                return self._open(self._wrapper.athrow(error)).__await__()
            return self._step(self._stream, self._generator.athrow(error)).__await__()
        finally:
            del error

    async def _open(self, step: Awaitable[Any]) -> Any:
        frame = self._wrapper.ag_frame
        asked = _asked[frame] = []
        try:
            chunk = await step
        finally:
            del _asked[frame], frame
        if not asked:
            return chunk  # it stays in between: not a wrapper as we know it
        stream = self._stream = asked.pop()
        self._generator = stream.generator
        self._within = way_from_here()
        return await self._step(stream, first_step(self._generator))

    async def _step(self, stream: TracedStream, step: Any) -> Any:
        try:
            if stream.has_spans:
                step = _await_in_span(stream, step)
            chunk = await self._within(stream.context, step)
            try:
                stream.add(chunk)
            except BaseException:
                # What the user's process_chunk raised ends the stream, as it does in LangSmith.
                await self._within(stream.context, self._generator.aclose())
                raise
        except BaseException as error:
            without_our_frames(error)
            await self._end(error)
            raise
        return chunk

    async def _end(self, error: BaseException) -> None:
        """Have the wrapper end the run, as what ended the stream says."""
        traceback = error.__traceback__
        if isinstance(error, StopAsyncIteration):
            step = self._wrapper.asend(None)
        else:
            step = self._wrapper.athrow(error)
        try:
            await step
        except StopAsyncIteration:
            pass
        except BaseException as raised:
            if raised is not error:
                raise
        finally:
            error.with_traceback(traceback)  # without what it came through in the wrapper
            del error, traceback, step


async def _await_in_span(stream: TracedStream, step: Awaitable[Any]) -> Any:
    with stream.span():
        return await step


async def chunks_of(stream: TracedStream) -> AsyncIterator[Any]:
    """Give the chunks of a stream to a wrapper that asks for them one by one."""
    take, within = stream.generator.__anext__, way_from_here()
    while True:
        try:
            step = _await_in_span(stream, take()) if stream.has_spans else take()
            chunk = await within(stream.context, step)
        except StopAsyncIteration:
            return
        stream.add(chunk)
        yield chunk
