"""What a stream costs beside the bare generator, a chunk and a stream, in one run.

Each figure is the median of the ratios of measurements taken in turns. The generators do
nothing but yield, so that all there is to see is what is put around them; those that suspend
let the event loop turn once a chunk, as a stream does that waits for its source.

Of LangSmith's `@traceable` everything is included that happens in the process while a stream
is consumed, with tracing on: one run a stream, its set-up and its end, the chunks gathered for
its outputs, and whatever is done a step. Not included is what its client does with a run: it is
replaced by one that drops it, so nothing is serialised, queued or sent. The chunks are small
integers and a run has thousands of them, so the figure is the step's and not the run's.

Prints a Markdown report. The targets are for a quiet machine.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import gc
import platform
import statistics
import sys
import time
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from _paired import ROUNDS, Ratio, compare, interleaved
from _silent import with_tracing
from langsmith import traceable

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

CHUNKS = 10_000
# What is recorded takes so many times longer, and gets as many times fewer streams.
SHARE = 10

BARE, STREAMING, TRACED = "bare", "`@streaming`", "`@traced_stream`, no tracer"
RECORDED, LANGSMITH = "`@traced_stream`, LangSmith on", "LangSmith's `@traceable`"

# At most so many times the bare generator; of async streams on 3.10 and older another figure.
ASYNC_TARGET = 4.0 if sys.version_info >= (3, 11) else 6.5
SYNC_TARGET = 2.5
# At least so many times below @traceable, on async streams.
BELOW_LANGSMITH = 9.0


def numbers(count: int) -> Iterator[int]:
    for number in range(count):  # noqa: UP028 - as one writes it who has more to do
        yield number


async def anumbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


async def suspending(count: int) -> AsyncIterator[int]:
    for number in range(count):
        await asyncio.sleep(0)
        yield number


# Each returns the seconds a stream.


def consume(make: Callable[[int], Iterator[int]], chunks: int, streams: int) -> float:
    began = time.perf_counter()
    for _ in range(streams):
        for _ in make(chunks):
            pass
    return (time.perf_counter() - began) / streams


async def _aconsume(make: Callable[[int], AsyncIterator[int]], chunks: int, streams: int) -> float:
    began = time.perf_counter()
    for _ in range(streams):
        async for _ in make(chunks):
            pass
    return (time.perf_counter() - began) / streams


def aconsume(loop: Any, make: Any, chunks: int, streams: int) -> float:
    taken: float = loop.run_until_complete(_aconsume(make, chunks, streams))
    return taken


def measure(
    title: str,
    consume: Callable[..., float],
    generator: Any,
    *,
    chunks: int = CHUNKS,
    streams: int,
    target: float | None = None,
) -> Ratio:
    """Print what one generator function costs with each decorator.

    Returns:
        How many times less `streaming` costs than `@traceable`.
    """

    def consuming(make: Any, share: int = 1) -> Callable[[], float]:
        return partial(consume, make, chunks, streams // share)

    traced = ctxtrace.traced_stream(generator)
    times = interleaved(
        {
            BARE: consuming(generator),
            STREAMING: consuming(ctxtrace.streaming(generator)),
            TRACED: consuming(traced),
            RECORDED: partial(with_tracing, consuming(traced, SHARE)),
            LANGSMITH: partial(with_tracing, consuming(traceable(generator), SHARE)),
        }
    )
    unit = "chunk" if chunks else "stream"
    print(f"\n### {title}\n")
    print(f"| | times the bare one, median (range) | ns a {unit}, median | target |")
    print("| --- | --- | --- | --- |")
    for name in times:
        against = "1" if name == BARE else compare(times, name, BARE)
        nanoseconds = 1e9 * statistics.median(times[name]) / (chunks or 1)
        wanted = f"at most {target}" if name == STREAMING and target is not None else ""
        print(f"| {name} | {against} | {nanoseconds:,.0f} | {wanted} |")
    below = compare(times, LANGSMITH, STREAMING)
    print(f"\n`@traceable` costs {below} times what `@streaming` costs.")
    return below


def main() -> None:
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    loop = asyncio.new_event_loop()
    in_loop = partial(aconsume, loop)
    gc.collect()
    gc.freeze()  # what was imported
    print(
        f"## Python {platform.python_version()}, langsmith {version('langsmith')}, "
        f"{datetime.date.today()}\n"
    )
    print(
        f"{ROUNDS} rounds; {CHUNKS:,} chunks a stream, or none. LangSmith on: one run a stream, "
        "given to a client that drops it. "
        "No tracer: LangSmith is loaded and its tracing off."
    )
    measure("Async, a chunk", in_loop, anumbers, streams=10, target=ASYNC_TARGET)
    print(f"Target: at least {BELOW_LANGSMITH:.0f}.")
    measure("Async, a chunk after each turn of the event loop", in_loop, suspending, streams=10)
    measure("Sync, a chunk", consume, numbers, streams=50, target=SYNC_TARGET)
    measure("Async, an empty stream", in_loop, anumbers, chunks=0, streams=5_000)
    measure("Sync, an empty stream", consume, numbers, chunks=0, streams=5_000)
    loop.close()


if __name__ == "__main__":
    main()
