"""Run streams to their many ends, for long, and see that each is traced whole and none stays.

Of the streams a third is exhausted, a third broken off and left to the garbage collector, and
a third cancelled: hundreds at once, each suspending many times, with LangSmith and
OpenTelemetry recording together. Half are decorated with `streaming` and hold a run and a span
open over their yields; half are decorated with `traced_stream`. Half are consumed after their
request has ended.

Prints a Markdown report and exits with status 1 if anything was logged, split, left open, left
alive or grew. `nox -s soak` runs it; its output stands in docs/measured/. With ``--control``
the same streams run bare, to show that the checks can fail.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import gc
import logging
import os
import platform
import sys
import threading
import time
from collections import Counter
from contextvars import ContextVar
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

os.environ["LANGSMITH_TRACING"] = "true"  # remembered from its first look on

from langsmith import Client, trace, tracing_context
from langsmith._internal import _context
from langsmith.run_trees import RunTree
from opentelemetry import context as otel_context
from opentelemetry import trace as otel
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

WARM_UP = 2_400
HALF = 10_200  # with each decorator a half of them; divided by AT_ONCE without remainder
AT_ONCE = 600  # a multiple of all the kinds of stream there are
CHUNKS = 4
BEFORE_THE_END = 2  # how many of them one takes who does not take all

ENDS = ("exhausted", "broken off", "cancelled")
WEAK = hasattr(_context, "_PARENT_RUN_TREE_REF")

# What the second half may grow. A stream that left only its context behind would leave about
# 1 KiB, one that left a run 10 KiB: 10 MiB and 100 MiB. What the allocator does not give back
# of its arenas was seen to vary by 1 to 2 MiB from one half to the next.
ALLOWED_MIB = 4.0
# A block is what the interpreter allocates for one object. One left by each stream is ours;
# caches and free lists of the vendors take a few hundred.
ALLOWED_BLOCKS_A_STREAM = 0.1

MODEL: ContextVar[str] = ContextVar("model", default="none")


class Ledger:
    """What one tracer was told: which runs started, below which, and which of them ended."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.started = self.ended = self.ended_unknown = 0
        self.wrong: Counter[str] = Counter()
        self.left_open: Counter[str] = Counter()
        self._names: dict[Any, str] = {}
        self._children: dict[Any, list[Any]] = {}
        self._open: set[Any] = set()
        self._lock = threading.Lock()

    def start(self, key: Any, name: str, parent: Any) -> None:
        with self._lock:
            self.started += 1
            self._names[key] = name
            self._open.add(key)
            self._children.setdefault(parent, []).append(key)

    def end(self, key: Any) -> None:
        with self._lock:
            if key in self._open:
                self._open.remove(key)
                self.ended += 1
            else:
                self.ended_unknown += 1

    def _shape(self, key: Any) -> str:
        below = ", ".join(map(self._shape, self._children.get(key, ())))
        return f"{self._names[key]}({below})" if below else self._names[key]

    def judge(self, expected: Counter[str]) -> None:
        """Compare all trees with those expected, and forget them."""
        # What has a parent that is not here is a tree of its own, and shows as one too many.
        roots = [
            key
            for parent, children in self._children.items()
            if parent not in self._names
            for key in children
        ]
        found = Counter(map(self._shape, roots))
        for shape, count in (found - expected).items():
            self.wrong[shape] += count
        missing = sum((expected - found).values()) - sum((found - expected).values())
        if missing > 0:
            self.wrong["(missing)"] += missing
        self.left_open.update(self._names[key] for key in self._open)
        self._names.clear()
        self._children.clear()
        self._open.clear()


class Silent(Client):
    """Sends nothing, and tells the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(
            api_url="http://localhost", api_key="none", auto_batch_tracing=False, info={}
        )
        self.ledger = ledger

    def create_run(self, name: str, *_: Any, **kwargs: Any) -> None:
        self.ledger.start(kwargs["id"], name, kwargs.get("parent_run_id"))

    def update_run(self, run_id: Any, *_: Any, **kwargs: Any) -> None:
        if kwargs.get("end_time") is not None:
            self.ledger.end(run_id)


class Told(SpanProcessor):
    """Exports nothing, and tells the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        parent = None if span.parent is None else span.parent.span_id
        self.ledger.start(span.context.span_id, span.name, parent)

    def on_end(self, span: Any) -> None:
        self.ledger.end(span.context.span_id)


class Complaints(logging.Handler):
    """Counts everything that anybody complains of, by who it was and how it begins."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.counts: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        self.add(f"{record.name}: {record.getMessage()}")

    def add(self, text: str) -> None:
        # Without the addresses and names of tasks, of which each is another.
        self.counts[text.split("\n")[0].split(" <")[0][:80]] += 1

    def from_loop(self, _: object, context: dict[str, Any]) -> None:
        self.add(f"event loop: {context.get('message')} {_kind(context.get('exception'))}")

    def unraisable(self, args: Any) -> None:
        self.add(f"unraisable: {args.err_msg or 'exception ignored'} {_kind(args.exc_value)}")

    def thread(self, args: Any) -> None:
        self.add(f"thread: {_kind(args.exc_value)}")

    def listen(self) -> None:
        logging.getLogger().addHandler(self)
        logging.captureWarnings(True)  # "was never awaited" among them
        sys.unraisablehook = self.unraisable
        threading.excepthook = self.thread


def _kind(error: object) -> str:
    return "" if error is None else f"({type(error).__name__}: {str(error).split(' <')[0]})"


LANGSMITH, OPENTELEMETRY = LEDGERS = Ledger("LangSmith"), Ledger("OpenTelemetry")
CLIENT = Silent(LANGSMITH)
PROVIDER = TracerProvider(shutdown_on_exit=False)
PROVIDER.add_span_processor(Told(OPENTELEMETRY))
otel.set_tracer_provider(PROVIDER)
TRACER = PROVIDER.get_tracer("soak")
COMPLAINTS = Complaints()


class Run:
    """A LangSmith run and an OpenTelemetry span, open for a block.

    A class, and no generator: of a stream that lies in a reference cycle, the garbage collector
    closes every generator by itself and where it stands, that of OpenTelemetry's own
    `start_as_current_span` too, before anybody can close the stream. So the streams that end
    that way attach their span by hand (``by_hand``); all others use what everybody uses.
    """

    def __init__(self, name: str, by_hand: bool = False) -> None:
        self.name = name
        self.by_hand = by_hand

    def __enter__(self) -> None:
        self.run = trace(self.name)
        self.run.__enter__()
        if self.by_hand:
            self.span = TRACER.start_span(self.name)
            self.token = otel_context.attach(otel.set_span_in_context(self.span))
        else:
            self.block = TRACER.start_as_current_span(self.name)
            self.block.__enter__()

    def __exit__(self, *error: object) -> None:
        if self.by_hand:
            otel_context.detach(self.token)
            self.span.end()
        else:
            self.block.__exit__(*error)
        self.run.__exit__(*error)


# The two bodies are written out: with one inside the other there would be a second to close.


async def traced(stall: Callable[[], Any] | None, _: bool) -> AsyncIterator[int]:
    """Give chunks, and start a run for each; `stall` is awaited before the third."""
    try:
        for number in range(CHUNKS):
            with Run("step"):
                await asyncio.sleep(0)
            if number == BEFORE_THE_END and stall is not None:
                await stall()
            yield number
            await asyncio.sleep(0)
    finally:
        with Run("close"):
            await asyncio.sleep(0)


async def holding(stall: Callable[[], Any] | None, by_hand: bool) -> AsyncIterator[int]:
    """Do the same, and hold a run, a span and a variable over the yields."""
    token = MODEL.set("large")
    try:
        with Run("stream", by_hand):
            try:
                for number in range(CHUNKS):
                    with Run("step"):
                        await asyncio.sleep(0)
                    if number == BEFORE_THE_END and stall is not None:
                        await stall()
                    yield number
                    await asyncio.sleep(0)
            finally:
                with Run("close"):
                    await asyncio.sleep(0)
    finally:
        MODEL.reset(token)


class Request:
    """One request: it makes a stream, and somebody consumes that to one of the ends."""

    def __init__(self, number: int, make: Callable[..., AsyncIterator[int]]) -> None:
        self.holds = number % 2 == 0  # as do the streams of soak()'s first kind
        kinds = number // 2
        self.end = ENDS[kinds % 3]
        self.consumed_late = kinds // 3 % 2 == 1
        # Cancelled inside the stream, or in its consumer while the stream stands at a yield.
        # Broken off and freed at once, or by the garbage collector's next round.
        self.other_way = kinds // 6 % 2 == 1
        self.in_a_cycle = self.end == "broken off" and self.other_way
        self.make = make
        self.stalls_inside = self.end == "cancelled" and not self.other_way
        self.stalled = asyncio.Event()
        self.leaks = 0

    def trees(self, ledger: Ledger) -> list[str]:
        """Return the trees that it must have."""
        steps = CHUNKS if self.end == "exhausted" else BEFORE_THE_END + self.stalls_inside
        taken = ", ".join(["step"] * steps)
        if self.in_a_cycle and self.holds and ledger is LANGSMITH and WEAK:
            # The collector clears weak references before it lets anything be closed. LangSmith
            # then has lost the run that the stream holds itself; the one it was called in, and
            # a run of `traced_stream`, are pinned and found again.
            return [f"request(stream({taken}), close)"]
        return [f"request(stream({taken}, close))"]

    async def stall(self) -> None:
        self.stalled.set()
        await asyncio.get_running_loop().create_future()

    async def consume(self, stream: AsyncIterator[int]) -> None:
        taken = 0
        if self.in_a_cycle:
            cycle: list[Any] = [stream]
            cycle.append(cycle)
        async for _ in stream:
            taken += 1
            self.leaks += MODEL.get() != "none"
            if self.end != "exhausted" and taken == BEFORE_THE_END:
                if self.end == "broken off":
                    break
                if self.other_way:
                    await self.stall()
        else:
            assert taken == CHUNKS

    async def serve(self) -> None:
        with Run("request"):
            stream = self.make(self.stall if self.stalls_inside else None, self.in_a_cycle)
            if not self.consumed_late:
                await self.consume(stream)
                return
        await self.consume(stream)

    async def run(self) -> None:
        task = asyncio.create_task(self.serve())
        if self.end == "cancelled":
            await self.stalled.wait()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            assert task.cancelled()
        else:
            await task


async def batch(makes: tuple[Callable[..., AsyncIterator[int]], ...]) -> int:
    """Run some hundred requests at once, and judge their traces; return the leaks seen."""
    requests = [Request(number, makes[number % 2]) for number in range(AT_ONCE)]
    await asyncio.gather(*(request.run() for request in requests))
    gc.collect()  # what was broken off in a cycle
    # The loop closes each stream that was left in a task of its own.
    for _ in range(1_000):
        await asyncio.sleep(0)
        if len(asyncio.all_tasks()) == 1:
            break
    else:
        COMPLAINTS.add("a stream that was dropped is not closed")
    for ledger in LEDGERS:
        ledger.judge(Counter(tree for request in requests for tree in request.trees(ledger)))
    return sum(request.leaks for request in requests)


def runs_alive() -> int:
    gc.collect()
    return sum(type(thing) is RunTree for thing in gc.get_objects())


def resident() -> float:
    """Return the resident memory in MiB."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096 / 2**20


async def soak(control: bool) -> tuple[int, list[tuple[float, int]], float]:
    asyncio.get_running_loop().set_exception_handler(COMPLAINTS.from_loop)
    if control:
        makes = (holding, holding)
    else:
        makes = (ctxtrace.streaming(holding), ctxtrace.traced_stream(name="stream")(traced))
    leaks = 0
    sizes = []
    began = time.perf_counter()
    for streams in (WARM_UP, HALF, HALF):
        for _ in range(streams // AT_ONCE):
            leaks += await batch(makes)
        gc.collect()
        sizes.append((resident(), sys.getallocatedblocks()))
    return leaks, sizes, time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--control", action="store_true", help="leave the streams bare: the checks must fail"
    )
    control = parser.parse_args().control
    COMPLAINTS.listen()
    with tracing_context(enabled=True, client=CLIENT):
        leaks, sizes, took = asyncio.run(soak(control))
    alive = runs_alive()
    (_, _), (first, first_blocks), (second, second_blocks) = sizes
    grown = second - first
    blocks = (second_blocks - first_blocks) / HALF

    print(f"# Soak: streams{', bare (control)' if control else ''}, {datetime.date.today()}\n")
    print(
        f"Python {platform.python_version()}, langsmith {version('langsmith')} "
        f"({'weak' if WEAK else 'strong'} parents), opentelemetry-sdk "
        f"{version('opentelemetry-sdk')}, {platform.system()} {platform.machine()}; "
        f"{took:.0f} s.\n"
    )
    complaints = sum(COMPLAINTS.counts.values())
    rows = [
        (f"streams, {AT_ONCE} at once, a third to each end", f"{WARM_UP + 2 * HALF:,}", True),
        ("logged, warned, unraisable or given to the loop", f"{complaints:,}", complaints == 0),
        ("times a consumer saw its stream's variable", f"{leaks:,}", leaks == 0),
    ]
    for ledger in LEDGERS:
        left_open, wrong = sum(ledger.left_open.values()), sum(ledger.wrong.values())
        ended_once = ledger.started == ledger.ended and not ledger.ended_unknown
        rows += [
            (
                f"{ledger.name}: started, ended",
                f"{ledger.started:,}, {ledger.ended:,}",
                ended_once and ledger.started > 0,
            ),
            (f"{ledger.name}: left open", f"{left_open:,}", left_open == 0),
            (f"{ledger.name}: trees other than they must be", f"{wrong:,}", wrong == 0),
        ]
    rows += [
        ("LangSmith's RunTrees alive afterwards", f"{alive:,}", alive == 0),
        (
            "resident memory after warm-up, half, all",
            ", ".join(f"{memory:.1f}" for memory, _ in sizes) + " MiB",
            True,
        ),
        (
            f"grown in the second half (allowed: {ALLOWED_MIB:.0f} MiB)",
            f"{grown:.1f} MiB",
            grown <= ALLOWED_MIB,
        ),
        (
            f"blocks left by a stream of it (allowed: {ALLOWED_BLOCKS_A_STREAM})",
            f"{blocks:.3f}",
            blocks <= ALLOWED_BLOCKS_A_STREAM,
        ),
    ]
    print("| what | measured | |")
    print("| --- | --- | --- |")
    for what, measured, good in rows:
        print(f"| {what} | {measured} | {'' if good else 'BAD'} |")
    details = [(f"complaint: {text}", count) for text, count in COMPLAINTS.counts.most_common(8)]
    for ledger in LEDGERS:
        details += [(f"{ledger.name} has {s}", n) for s, n in ledger.wrong.most_common(6)]
        details += [(f"{ledger.name} left open {s}", n) for s, n in ledger.left_open.items()]
    if details:
        print()
    for text, count in details:
        print(f"* {count:,} times: {text[:120]}")
    sound = all(good for *_, good in rows)
    print("\nEach stream is traced whole, and nothing stays." if sound else "\nNOT SOUND.")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
