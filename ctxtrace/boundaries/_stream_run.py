"""The run that a stream has for its own, for `traced_stream`.

Opened inside the stream's context, so that it takes its parent there and is the parent of
whatever the stream does; ended when the stream is, however that comes about. The carriers
know what a run is; here is known what a stream did.
"""

from __future__ import annotations

import inspect
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from .._compat import without_our_frames
from .._drive import Unstarted, named_after
from .._errors import guard
from ..carriers import StreamEnd, active, called, revive

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

RUN_TYPES = ("tool", "chain", "llm", "retriever", "embedding", "prompt", "parser")


class StreamRun:
    """One stream's run: what it gave, how it went, and whom to tell."""

    __slots__ = (
        "_call",
        "_chunks",
        "_count",
        "_ends",
        "_first",
        "_kept",
        "_max",
        "_name",
        "_opened",
        "_record",
        "_reduce",
        "_run_type",
    )

    def __init__(
        self,
        run_type: str,
        reduce: Callable[[list[Any]], Any] | None,
        record: bool,
        max_chunks: int,
        name: str,
        call: tuple[Any, Any, Any] | None,
    ) -> None:
        self._ends: list[tuple[str, Callable[[StreamEnd], None]]] = []
        self._kept: list[tuple[str, Callable[[StreamEnd], None]]] = []
        self._name = name
        self._run_type = run_type
        self._reduce = reduce
        self._record = record
        self._max = max_chunks
        self._call = call
        self._opened: float | None = None
        self._first: float | None = None
        self._chunks: list[Any] = []
        self._count = 0

    # What a stream does, in its context.

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call the function whose body, and not only what it returns, is part of the stream."""
        self._open()
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            without_our_frames(error)
            self.end(error)
            raise

    def step(self, take: Callable[..., Any], *args: Any) -> Any:
        """Take a step of a generator or an iterator."""
        self._open()
        if args:
            self._revive()
        try:
            chunk = take(*args)
        except BaseException as error:
            without_our_frames(error)
            self.ended_by(error, args)
            raise
        finally:
            del args  # of a throw: the error, which has this frame before Python 3.11
        self.add(chunk)
        return chunk

    async def async_step(self, step: Awaitable[Any], *args: Any) -> Any:
        """Await a step of an async generator or an async iterator."""
        self._open()
        if args:
            self._revive()
        try:
            chunk = await step
        except BaseException as error:
            without_our_frames(error)
            self.ended_by(error, args)
            raise
        finally:
            del step, args
        self.add(chunk)
        return chunk

    # The streams as they are to be driven.

    def of_generator(self, generator: Any) -> Any:
        self._open()
        return _Generator(self, generator) if self._ends else generator

    def of_async_generator(self, generator: Any) -> Any:
        self._open()
        return _AsyncGenerator(self, generator) if self._ends else generator

    def of_awaitable(self, awaitable: Any) -> Any:
        return named_after(awaitable, self._awaited(Unstarted(awaitable)))

    async def _awaited(self, unstarted: Unstarted) -> Any:
        self._open()
        try:
            return await unstarted.take()
        except BaseException as error:
            without_our_frames(error)
            self.end(error)
            raise

    # The run.

    def _open(self) -> None:
        if self._opened is not None:
            return
        self._opened = 0.0
        call, self._call = self._call, None
        openers = [
            (called(carrier), open_run)
            for carrier in active()
            if (open_run := getattr(carrier, "open_run", None)) is not None
        ]
        if not openers:
            return
        inputs = partial(_arguments, *call) if call is not None and self._record else _nothing
        ends = [
            (who, guard(who, open_run, self._name, self._run_type, inputs))
            for who, open_run in openers
        ]
        self._ends = [(who, end) for who, end in ends if end is not None]
        if all(getattr(end, "without_outputs", False) for _, end in self._ends):
            self._record = False
        self._opened = time.perf_counter()

    def _revive(self) -> None:
        # Before an exception is thrown in: see Carrier.
        ends = self._ends or self._kept
        revive(pin for _, end in ends if (pin := getattr(end, "pin", None)) is not None)

    def add(self, chunk: Any) -> None:
        """Take note of a chunk."""
        if not self._count:
            self._first = time.perf_counter()
        self._count += 1
        if self._record and self._count <= self._max:
            self._chunks.append(chunk)

    def ended_by(self, error: BaseException, args: Any = ()) -> None:
        """End the run as what a step raised says; `args` are the step's, as a throw has them."""
        if isinstance(error, (StopIteration, StopAsyncIteration)):
            # A generator may answer a GeneratorExit by returning.
            self.end(closed_early=any(isinstance(arg, GeneratorExit) for arg in args))
        else:
            self.end(error)

    def end(self, error: BaseException | None = None, closed_early: bool = False) -> None:
        """End the run; only the first time does anything.

        Args:
            error: What ended the stream. One that is no `Exception` (GeneratorExit, a
                cancellation, KeyboardInterrupt) is somebody else's wish, and no failure.
            closed_early: Whether the consumer ended it.
        """
        ends: list[tuple[str, Callable[[StreamEnd], None]]] = []
        while self._ends:
            ends.append(self._ends.pop(0))  # so that of two threads one has it
        if not ends:
            return
        record, self._record = self._record, False
        chunks, self._chunks = self._chunks, []
        failures: list[Exception] = []
        outputs = self._outputs(chunks, failures) if record else None
        opened, first = self._opened, self._first
        failed = isinstance(error, Exception)
        end = StreamEnd(
            outputs=outputs,
            error=error if isinstance(error, Exception) else None,
            closed_early=closed_early or (error is not None and not failed),
            chunks=self._count,
            kept=len(chunks),
            first_chunk_after=None if opened is None or first is None else first - opened,
            reduce_error=failures[0] if failures else None,
        )
        for who, tell in ends:
            guard(who, tell, end)

    def _outputs(self, chunks: list[Any], failures: list[Exception]) -> Any:
        if self._reduce is not None:
            reduced = guard(
                f"the reduce of traced_stream {self._name!r}",
                self._reduce,
                list(chunks),
                told=failures.append,
            )
            if not failures:
                return reduced
        if chunks and all(isinstance(chunk, str) for chunk in chunks):
            return "".join(chunks)
        for carrier in active():
            join = getattr(carrier, "join", None)
            joined = guard(called(carrier), join, chunks) if join is not None and chunks else None
            if joined is not None:
                return joined
        return chunks

    def __del__(self) -> None:
        # Dropped, and never told so: a stream object that was not closed, an async generator
        # whose loop was gone.
        if self._ends:
            # Until we are gone, too: of a group of objects that dies at once the generator may
            # be closed after this, and what it then starts finds its parent alive.
            self._kept = list(self._ends)
            self.end(closed_early=True)


def _arguments(function: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """Return the arguments of a call by their names."""
    bind = partial(_bind, function, args, kwargs)
    bound = guard("traced_stream", bind)
    return {"args": args, "kwargs": kwargs} if bound is None else bound


def _nothing() -> None:
    return None


def _bind(function: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    arguments = dict(inspect.signature(function).bind(*args, **kwargs).arguments)
    # A method's are bound and gone; since Python 3.13 classmethod leaves its class to us.
    arguments.pop("self", None)
    arguments.pop("cls", None)
    return arguments


class _Generator:
    """A generator whose steps the run sees."""

    __slots__ = ("_add", "_generator", "_run", "_send")

    def __init__(self, run: StreamRun, generator: Any) -> None:
        self._run = run
        self._add = run.add
        self._generator = generator
        self._send = generator.send

    def send(self, value: Any) -> Any:
        try:
            chunk = self._send(value)
        except BaseException as error:
            without_our_frames(error)
            self._run.ended_by(error)
            raise
        self._add(chunk)
        return chunk

    def throw(self, error: BaseException) -> Any:
        try:
            return self._run.step(self._generator.throw, error)
        finally:
            del error  # as in step()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)


class _AsyncGenerator:
    """An async generator whose steps the run sees."""

    __slots__ = ("_generator", "_run")

    def __init__(self, run: StreamRun, generator: Any) -> None:
        self._run = run
        self._generator = generator

    def asend(self, value: Any) -> Generator[Any, None, Any]:
        # Its steps are taken with next(), and a coroutine is no iterator.
        return self._run.async_step(self._generator.asend(value)).__await__()

    def athrow(self, error: BaseException) -> Generator[Any, None, Any]:
        return self._run.async_step(self._generator.athrow(error), error).__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)
