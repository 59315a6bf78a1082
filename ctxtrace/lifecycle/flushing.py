"""Send what has been recorded, now: `flush`, `shutdown` and their async kin."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from concurrent.futures import wait
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ..carriers._exporting import live_exporters
from . import _fork, _rounds
from ._rounds import Flushed, inside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..carriers._exporting import Exporter
    from ._rounds import Round

__all__ = ["FlushReport", "Flushed", "aflush", "ashutdown", "flush", "shutdown"]


_LATER = "called by the garbage collector in the middle of a flush, and done after that"


class FlushReport(NamedTuple):
    """What a flush came to."""

    exporters: tuple[Flushed, ...]
    """One for each client or provider: ``name``, ``state``, ``seconds`` and ``detail``."""

    seconds: float
    """How long all together took."""

    @property
    def ok(self) -> bool:
        """Whether every exporter says that it has nothing left to send.

        What its server refused, a library drops and tells of in its own log.
        """
        return all(each.state == "flushed" for each in self.exporters)

    def __str__(self) -> str:
        if not self.exporters:
            return "nothing to flush: no tracing library has anything to send"
        return "\n".join(
            f"{each.name}: {each.state}"
            + (f" ({each.detail})" if each.detail else "")
            + f", {each.seconds:.3f} s"
            for each in self.exporters
        )


def flush(timeout: float = 10.0) -> FlushReport:
    """Send what has been recorded until now, and wait for it.

    Everything that is live in the process is flushed at once: LangSmith's clients, all of them;
    OpenTelemetry's providers for traces, metrics and logs; Langfuse's clients; and the carriers
    that `register_carrier` added, if they have a ``flush``. One deadline holds for all together,
    although the libraries' own may not: who has not finished by then goes on in the background,
    and a later flush waits for it.

    To call it at the end of each request does not cost a request to the tracing server each: who
    asks while a flush is under way shares the next one.

    Args:
        timeout: Seconds to wait at most. 0 waits for nothing.

    Returns:
        What became of each exporter. Nothing is raised for one that failed.

    Raises:
        ValueError: `timeout` is negative or no number that can be waited for.
        TypeError: `timeout` is no number.

    Safe to call from any thread, at any time, at exit too, but not in a signal handler: there it
    may wait for a lock that the interrupted code holds. Blocks; in async code use `aflush`.
    """
    return _wait("flush", timeout, shut_down=False)


def shutdown(timeout: float = 10.0) -> FlushReport:
    """Do what `flush` does, and have the libraries take nothing more.

    What is recorded later is lost; so this is for the very end of a program that must not wait
    for its interpreter to end. Everybody else needs `flush` or `flush_on_exit`.

    Args and errors are those of `flush`. A second call does nothing.

    Safe to call from any thread. Blocks; in async code use `ashutdown`.
    """
    return _wait("shutdown", timeout, shut_down=True)


async def aflush(timeout: float = 10.0) -> FlushReport:
    """Do what `flush` does without blocking the event loop: asyncio's, or trio's through anyio.

    Cancelled, it stops waiting; what it asked for goes on. Args and errors are those of `flush`.
    """
    return await _await("aflush", timeout, shut_down=False)


async def ashutdown(timeout: float = 10.0) -> FlushReport:
    """Do what `shutdown` does without blocking the event loop; see `aflush`."""
    return await _await("ashutdown", timeout, shut_down=True)


def is_awaited() -> bool:
    """Whether an event loop runs what calls this, and will go on to."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        other: Any = sys.modules.get("trio.lowlevel")
        return other is not None and bool(other.in_trio_run())
    return True


def check_timeout(who: str, timeout: object) -> float:
    """Return a timeout as what can be waited for.

    Raises:
        TypeError, ValueError: As `flush` says.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(
            f"{who}() takes a timeout in seconds, and got {timeout!r}: pass a number, such as 10.0."
        )
    if not timeout >= 0:  # which no NaN is, either
        raise ValueError(
            f"{who}() cannot wait for {timeout!r} seconds: pass 0, to wait for nothing, or more."
        )
    return min(timeout, threading.TIMEOUT_MAX)


def begin(
    seconds: float, exporters: Iterable[Exporter], shuts_down: Callable[[Exporter], bool]
) -> list[tuple[Exporter, Round]]:
    """Begin to flush, and wait for nothing."""
    deadline = time.monotonic() + seconds
    return [(each, _rounds.ask(each, deadline, shut_down=shuts_down(each))) for each in exporters]


def outcome(asked: list[tuple[Exporter, Round]], began: float) -> FlushReport:
    """Report what has become of it by now."""
    seconds = time.monotonic() - began
    return FlushReport(
        tuple(
            each.done.result()
            if each.done.done()
            else Flushed(exporter.name, "timed out", seconds, "")
            for exporter, each in asked
        ),
        seconds,
    )


def flush_until(
    seconds: float, exporters: Iterable[Exporter], shuts_down: Callable[[Exporter], bool]
) -> FlushReport:
    """Flush, and wait."""
    began = time.monotonic()
    if inside.depth:
        inside.later = partial(_wait, "flush", 0.0, shut_down=False)
        return FlushReport((Flushed("ctxtrace", "timed out", 0.0, _LATER),), 0.0)
    with inside:
        asked = begin(seconds, exporters, shuts_down)
        wait([each.done for _, each in asked], max(0.0, began + seconds - time.monotonic()))
        return outcome(asked, began)


def _wait(who: str, timeout: float, *, shut_down: bool) -> FlushReport:
    seconds = check_timeout(who, timeout)
    _fork.watch()
    exporters = [] if inside.depth else live_exporters()
    return flush_until(seconds, exporters, lambda _: shut_down)


async def _await(who: str, timeout: float, *, shut_down: bool) -> FlushReport:
    seconds = check_timeout(who, timeout)
    _fork.watch()
    began = time.monotonic()
    with inside:
        asked = begin(seconds, live_exporters(), lambda _: shut_down)
    rounds = [each for _, each in asked]
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        # Another's: it has threads to wait in.
        from anyio import to_thread

        left = began + seconds - time.monotonic()
        call = partial(wait, [each.done for each in rounds], max(0.0, left))
        await to_thread.run_sync(call, abandon_on_cancel=True)
    else:
        await _done(loop, rounds, began + seconds)
    return outcome(asked, began)


async def _done(loop: asyncio.AbstractEventLoop, rounds: list[Round], deadline: float) -> None:
    changed = asyncio.Event()
    is_over = False

    def end() -> None:
        nonlocal is_over
        is_over = True
        changed.set()

    tell = partial(loop.call_soon_threadsafe, changed.set)
    for each in rounds:
        each.listeners.add(tell)
    # Not the clock: a loop's own may be a little ahead.
    timer = loop.call_later(max(0.0, deadline - time.monotonic()), end)
    try:
        while not is_over:
            changed.clear()
            if all(each.done.done() for each in rounds):
                return
            await changed.wait()
    finally:
        timer.cancel()
        for each in rounds:
            each.listeners.discard(tell)


for _name in (FlushReport, flush, shutdown, aflush, ashutdown):
    _name.__module__ = "ctxtrace"
