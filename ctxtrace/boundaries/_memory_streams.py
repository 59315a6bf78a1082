"""The two ends that `context_stream` returns. Imported when it is first called."""

from __future__ import annotations

import inspect
from collections.abc import Coroutine
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from anyio.lowlevel import checkpoint
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from .._compat import without_our_frames
from ._sent import AsyncReceiving, Sent, forget_sender, item_of, opened, sent
from ._serving import check_handlers, handle_async

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from types import TracebackType

    from anyio.streams.memory import MemoryObjectStreamStatistics

    from .._snapshot import Snapshot

_T = TypeVar("_T")

# With which anyio says that it has not taken an item.
_NOT_SENT = (anyio.ClosedResourceError, anyio.BrokenResourceError, anyio.WouldBlock)


class _End:
    """What both ends have in common."""

    _stream: Any

    def close(self) -> None:
        """Close this end; see anyio's."""
        self._stream.close()

    async def aclose(self) -> None:
        """Close this end; see anyio's."""
        await self._stream.aclose()

    def statistics(self) -> MemoryObjectStreamStatistics:
        """Return the statistics of the wrapped stream."""
        return self._stream.statistics()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return self._stream.extra_attributes

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        # Not the stream's own repr, which shows what is in it.
        return f"<ctxtrace.{type(self).__name__} at {id(self):#x}>"


class ContextSendStream(_End, ObjectSendStream[_T]):
    """The sending end of a `context_stream`."""

    def __init__(self, stream: MemoryObjectSendStream[_T]) -> None:
        self._stream: Any = stream

    async def send(self, item: _T) -> None:
        """Send an item with a snapshot of the current context; wait for room.

        Args:
            item: The item.

        Raises:
            anyio.ClosedResourceError: This end was closed.
            anyio.BrokenResourceError: The receiving end was closed.
        """
        thing = sent(item)
        try:
            await self._stream.send(thing)
        except BaseException as error:
            # A cancelled one may be in the buffer. Who waits for room is not told of it.
            if isinstance(error, _NOT_SENT) or not self._holds(thing):
                forget_sender(thing)
            _explain(error, "sending")
            raise

    def send_nowait(self, item: _T) -> None:
        """Send an item, as `send` does, if there is room.

        Args:
            item: The item.

        Raises:
            anyio.WouldBlock: There is none.
            anyio.ClosedResourceError: This end was closed.
            anyio.BrokenResourceError: The receiving end was closed.
        """
        thing = sent(item)
        try:
            self._stream.send_nowait(thing)
        except BaseException as error:
            if isinstance(error, _NOT_SENT):
                forget_sender(thing)
            _explain(error, "sending")
            raise

    def _holds(self, thing: Sent) -> bool:
        state = getattr(self._stream, "_state", None)
        return state is None or any(each is thing for each in state.buffer)

    def clone(self) -> ContextSendStream[_T]:
        """Return another sending end, which is closed separately."""
        return ContextSendStream(self._stream.clone())

    def __enter__(self) -> ContextSendStream[_T]:
        return self


class ContextReceiveStream(_End, ObjectReceiveStream[_T]):
    """The receiving end of a `context_stream`."""

    def __init__(self, stream: MemoryObjectReceiveStream[_T]) -> None:
        self._stream: Any = stream
        self._stopped = False
        self._waiting: set[anyio.CancelScope] = set()

    # A coroutine, though not one of Python's own.
    def receive(self) -> _Receipt[_T]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Receive an item: bare with ``await``, in its sender's context with ``async with``.

        Returns:
            What is awaited, or entered, once.

        Raises:
            anyio.EndOfStream: All sending ends were closed, and nothing is left.
            anyio.ClosedResourceError: This end was closed.
        """
        return _Receipt(self._receive(), self.get_with_context)

    def receive_nowait(self) -> _T:
        """Receive an item, bare, if there is one.

        Raises:
            anyio.WouldBlock: There is none.
            anyio.EndOfStream: As for `receive`.
            anyio.ClosedResourceError: As for `receive`.
        """
        item: _T = item_of(self._receive_nowait())
        return item

    async def get_with_context(self) -> tuple[_T, Snapshot]:
        """Receive an item and the snapshot of its sender.

        Returns:
            The item, and a `Snapshot`, which keeps the sender's run alive for as long as you
            keep it; an empty one for an item that was sent through the wrapped stream.

        Raises:
            anyio.EndOfStream: As for `receive`.
            anyio.ClosedResourceError: As for `receive`.
        """
        return opened(await self._take())

    async def serve(
        self,
        handler: Callable[[_T], object],
        *,
        on_error: Callable[[Exception], object] | None = None,
    ) -> None:
        """Handle items, in this task, until the stream ends, or is stopped and empty.

        Each item is handled in a private copy of its sender's context. Any number of tasks
        may serve one stream.

        Args:
            handler: As for `AsyncContextQueue.serve`.
            on_error: As for `AsyncContextQueue.serve`.

        Raises:
            TypeError: One of them is not a function, or a generator function.
            anyio.ClosedResourceError: This end was closed.
        """
        check_handlers("serve()", handler, on_error, may_be_async=True)
        try:
            while True:
                try:
                    thing = await self._take_to_serve()
                except (anyio.EndOfStream, anyio.WouldBlock):
                    return
                if thing is _STOPPED:
                    continue
                try:
                    await handle_async(thing, handler, on_error)
                finally:
                    del thing  # nothing is kept while the loop waits
        except BaseException as error:
            without_our_frames(error)
            raise

    def stop(self) -> None:
        """End every `serve` of this end, once what is in the stream is handled.

        For good, and for this end alone, not for its clones. It is to be called in the event
        loop, and does not wait for the loops to end.
        """
        self._stopped = True
        for scope in self._waiting:
            scope.cancel()

    def clone(self) -> ContextReceiveStream[_T]:
        """Return another receiving end, which is closed and stopped separately."""
        return ContextReceiveStream(self._stream.clone())

    def __enter__(self) -> ContextReceiveStream[_T]:
        return self

    async def _receive(self) -> _T:
        item: _T = item_of(await self._take())
        return item

    async def _take(self) -> Any:
        try:
            return await self._stream.receive()
        except BaseException as error:
            _explain(error, "receiving")
            raise

    def _receive_nowait(self) -> Any:
        try:
            return self._stream.receive_nowait()
        except BaseException as error:
            _explain(error, "receiving")
            raise

    async def _take_to_serve(self) -> Any:
        await checkpoint()
        try:
            return self._receive_nowait()
        except anyio.WouldBlock:
            if self._stopped:
                raise
        # Neither anyio nor trio cancels one that was handed its item.
        with anyio.CancelScope() as scope:
            self._waiting.add(scope)
            try:
                return await self._take()
            finally:
                self._waiting.remove(scope)
        return _STOPPED


_STOPPED: Any = object()


class _Receipt(AsyncReceiving[_T], Coroutine[Any, Any, _T]):
    """What `ContextReceiveStream.receive` returns: a coroutine that can be entered instead."""

    __slots__ = ("_coroutine",)

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, _T],
        take: Callable[[], Coroutine[Any, Any, tuple[_T, Snapshot]]],
    ) -> None:
        super().__init__(take, None)
        self._coroutine: Any = coroutine

    async def __aenter__(self) -> _T:
        began = inspect.getcoroutinestate(self._coroutine) != inspect.CORO_CREATED
        if began and self._take is not None:
            raise RuntimeError(
                "this receive() was awaited before: call it anew to receive another item"
            )
        self._coroutine.close()  # the other way to use it
        return await super().__aenter__()

    # By which anyio below 4.14 knows what it may start as a task.
    @property
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return CoroutineType

    def __await__(self) -> Generator[Any, Any, _T]:
        steps: Generator[Any, Any, _T] = self._coroutine.__await__()
        return steps

    def send(self, value: Any) -> Any:
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()

    def __getattr__(self, name: str) -> Any:
        if name == "_coroutine":  # of one that was made by copying
            raise AttributeError(name)
        return getattr(self._coroutine, name)


def _explain(error: BaseException, end: str) -> None:
    """Say what anyio's error says by its type alone; to be followed by a bare ``raise``."""
    without_our_frames(error)
    if not error.args and isinstance(error, anyio.ClosedResourceError):
        what = (
            f"the {end} end of this stream was closed: use it before it is closed, or give each "
            "task a clone() of its own to close"
        )
        error.args = (what,)


def wrap_pair(
    send: MemoryObjectSendStream[_T], receive: MemoryObjectReceiveStream[_T]
) -> tuple[ContextSendStream[_T], ContextReceiveStream[_T]]:
    """Wrap both ends; see `context_stream`."""
    if isinstance(send, MemoryObjectReceiveStream) and isinstance(receive, MemoryObjectSendStream):
        raise TypeError(
            "context_stream() takes the sending end first, and then the receiving end, as "
            "anyio.create_memory_object_stream() returns them."
        )
    for stream, kind in ((send, MemoryObjectSendStream), (receive, MemoryObjectReceiveStream)):
        if isinstance(stream, _End):
            raise TypeError(
                f"context_stream() takes the streams to wrap, and got a {type(stream).__name__}, "
                "which carries already: use that one."
            )
        if not isinstance(stream, kind):
            raise TypeError(
                f"context_stream() takes the two ends of an anyio memory object stream, and got "
                f"{type(stream).__qualname__} for a {kind.__name__}: write "
                "context_stream(*anyio.create_memory_object_stream(...))."
            )
    return ContextSendStream(send), ContextReceiveStream(receive)


for _name in (ContextSendStream, ContextReceiveStream):
    _name.__module__ = "ctxtrace"
