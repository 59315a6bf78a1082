"""Streams: what a chunk costs beside the bare generator, and what a stream costs that is empty.

The generators do nothing but yield, so that all there is to see is what is put around them; those
that suspend let the event loop turn once a chunk, as a stream does that waits for its source.

Of LangSmith's `@traceable` and Langfuse's `@observe` everything is included that happens in the
process while a stream is consumed: a run, or span, a stream, its set-up and its end, the chunks
gathered for its outputs, and whatever is done a step. Not included is what becomes of it then:
it is dropped, so nothing is serialised or sent. The chunks are small integers and a stream has
thousands of them, so the figure is the step's and not the run's. LangChain's streams run with
no tracer.
"""

from __future__ import annotations

import asyncio
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import _peers
from _bench import BARE, Measure, Plan, Target
from _silent import with_tracing
from langsmith import traceable

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

CHUNKS = 10_000
# What is recorded takes so many times longer, and gets as many times fewer streams.
SHARE = 10

STREAMING, TRACED = "`@streaming`", "`@traced_stream`, no tracer"
RECORDED = "`@traced_stream`, LangSmith on"
LANGSMITH = "LangSmith's `@traceable`"
INSTALLED = "the same, under `ctxtrace.install()`"
LANGFUSE = "Langfuse's `@observe`"
LANGCHAIN = "LangChain's `RunnableGenerator`"

# At most so many times the bare generator.
ASYNC_TARGET = 3.5 if sys.version_info >= (3, 11) else 5.5
SYNC_TARGET = 2.2


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


# Each returns the seconds a chunk; a stream, where it has none.


def consume(make: Callable[[int], Iterator[int]], chunks: int, streams: int) -> float:
    began = time.perf_counter()
    for _ in range(streams):
        for _ in make(chunks):
            pass
    return (time.perf_counter() - began) / streams / (chunks or 1)


async def _aconsume(make: Callable[[int], AsyncIterator[int]], chunks: int, streams: int) -> float:
    began = time.perf_counter()
    for _ in range(streams):
        async for _ in make(chunks):
            pass
    return (time.perf_counter() - began) / streams / (chunks or 1)


def aconsume(loop: Any, make: Any, chunks: int, streams: int) -> float:
    taken: float = loop.run_until_complete(_aconsume(make, chunks, streams))
    return taken


def traceable_under_install(generator: Any) -> Any:
    with ctxtrace.install():
        from langsmith import traceable as patched

        return patched(generator)


def installed(measure: Callable[[], float]) -> float:
    with ctxtrace.install():
        return measure()


def observing(measure: Callable[[], float]) -> float:
    started = _peers.langfuse_spans()
    before = len(started)
    taken = measure()
    assert len(started) > before, "Langfuse recorded nothing"
    return taken


def as_runnable(generator: Any, is_async: bool) -> Any:
    from langchain_core.runnables import RunnableGenerator

    def transform(counts: Iterator[int]) -> Iterator[int]:
        for count in counts:
            yield from generator(count)

    async def atransform(counts: AsyncIterator[int]) -> AsyncIterator[int]:
        async for count in counts:
            async for number in generator(count):
                yield number

    return (
        RunnableGenerator(atransform).astream if is_async else RunnableGenerator(transform).stream
    )


class Kind(NamedTuple):
    what: str
    generator: Any
    chunks: int
    streams: int
    headline: str
    targets: tuple[Target, ...] = ()


ASYNC = (
    Target(STREAMING, at_most=ASYNC_TARGET, of=(BARE,)),
    Target(LANGSMITH, at_least=10, of=(STREAMING,)),
    Target(LANGFUSE, at_least=10, of=(STREAMING,)),
)
SYNC = (Target(STREAMING, at_most=SYNC_TARGET, of=(BARE,)),)
KINDS = (
    Kind("async, a chunk", anumbers, CHUNKS, 10, "a chunk of an async stream", ASYNC),
    Kind(
        "async, a chunk after a turn of the loop",
        suspending,
        CHUNKS,
        10,
        "a chunk that waited for the loop",
    ),
    Kind("sync, a chunk", numbers, CHUNKS, 50, "a chunk of a sync stream", SYNC),
    Kind("async, an empty stream", anumbers, 0, 2_000, ""),
    Kind("sync, an empty stream", numbers, 0, 2_000, ""),
)


def measure(kind: Kind, plan: Plan, loop: Any) -> Measure:
    is_async = kind.generator is not numbers
    consumer = partial(aconsume, loop) if is_async else consume
    chunks = plan.count(kind.chunks) if kind.chunks else 0

    def consuming(make: Any, share: int = 1) -> Callable[[], float]:
        return partial(consumer, make, chunks, max(1, plan.count(kind.streams) // share))

    traced = ctxtrace.traced_stream(kind.generator)
    later = traceable_under_install(kind.generator)
    subjects = {
        BARE: consuming(kind.generator),
        STREAMING: consuming(ctxtrace.streaming(kind.generator)),
        TRACED: consuming(traced),
        RECORDED: partial(with_tracing, consuming(traced, SHARE)),
        LANGSMITH: partial(with_tracing, consuming(traceable(kind.generator), SHARE)),
        INSTALLED: partial(installed, partial(with_tracing, consuming(later, SHARE))),
    }
    peers = [LANGSMITH]
    if plan.has("langfuse"):
        _peers.langfuse_spans()
        from langfuse import observe

        subjects[LANGFUSE] = partial(observing, consuming(observe()(kind.generator), SHARE))
        peers.append(LANGFUSE)
    if plan.has("langchain"):
        subjects[LANGCHAIN] = consuming(as_runnable(kind.generator, is_async), SHARE)
        peers.append(LANGCHAIN)
    return Measure(
        kind.what,
        subjects,
        per="chunk" if chunks else "stream",
        ours=STREAMING,
        headline=kind.headline,
        peers=tuple(peers),
        targets=tuple(target for target in kind.targets if target.subject in subjects),
    )


def measures(plan: Plan) -> Iterator[Measure]:
    loop = asyncio.new_event_loop()
    for kind in KINDS:
        yield measure(kind, plan, loop)
    loop.close()
