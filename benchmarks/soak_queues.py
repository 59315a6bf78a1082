"""Hand over hundreds of thousands of items, and see that each is handled in its sender's trace.

Eight producers put, eight workers take: four `serve`, two use ``with q.receive()``, two use
`get_with_context` and `Snapshot.run`. The workers are started inside a request that then ends,
as those are that a service starts when it first needs them. Producers change traces all the
time: each opens a run, sets a variable, puts a few items and ends the run at once, so that most
are handled after it ended; every tenth time there is no run to be in. The workers open a child
for each item, and compare what it was opened under with the keys that travel in the item.

Every queue is soaked with three tracers. One of this file's own costs next to nothing and holds
its current run weakly; OpenTelemetry's spans; and LangSmith's runs, with a span for each, of
which there are fewer, for they take so long.

Prints a Markdown report and exits with status 1 if an item was lost, doubled, or handled in
another trace, or anything was logged, did not end, stayed alive or grew. `nox -s soak` runs it;
its output stands in docs/measured/. With ``--control`` the queues are bare, to show that the
checks can fail.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import gc
import itertools
import logging
import os
import platform
import queue
import random
import sys
import threading
import time
import weakref
from collections import Counter
from contextvars import ContextVar, copy_context
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

os.environ["LANGSMITH_TRACING"] = "true"  # remembered from its first look on

import anyio
from langsmith import Client, trace
from langsmith._internal import _context
from langsmith.run_helpers import get_current_run_tree
from langsmith.run_trees import RunTree
from opentelemetry import trace as otel
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ITEMS = 200_000
PRODUCERS = WORKERS = 8
BOUND = 64  # of the queues that have one
# What is recorded by LangSmith takes so many times longer, and gets as many times fewer items.
SHARE = 10
LIMIT = 120.0  # seconds; only ever reached by a failure

# What the second half of one queue's items may grow. An item that left its snapshot behind
# would leave about 1 KiB, or 100 MiB. What the allocator does not give back of its
# arenas differs by as much as a longer queue took for a moment.
ALLOWED_MIB = 8.0
# A block is what the interpreter allocates for one object. Caches of the vendors take a hundred.
ALLOWED_BLOCKS = 1_000

WEAK = hasattr(_context, "_PARENT_RUN_TREE_REF")
USER: ContextVar[str] = ContextVar("user", default="nobody")
MARK: ContextVar[int] = ContextVar("mark", default=0)


class Request:
    """What is known of a trace at both ends of a queue: its keys, and nothing that keeps it."""

    __slots__ = ("__weakref__", "ended", "key", "user")

    def __init__(self, user: str, key: Any = None) -> None:
        self.user = user
        self.key = key
        self.ended = False


class Item(NamedTuple):
    order: float  # of priority queues
    number: int
    request: Request


class OnPurpose(Exception):
    """What a handler fails with now and then."""


# The tracers. Each opens a run for a block, and gives its key; `current` is the key of the run
# that a child which starts now would have for its parent.


class Run:
    """A run of the tracer of this file's own."""

    __slots__ = ("__weakref__", "key", "name", "parent")

    def __init__(self, name: str, key: Any, parent: Any) -> None:
        self.name, self.key, self.parent = name, key, parent


CURRENT: ContextVar[weakref.ref[Run] | None] = ContextVar("current run", default=None)
KEYS = itertools.count(1)


class WeakTracer(ctxtrace.Carrier):
    """Holds its current run only weakly in the context, as LangSmith does from 0.7.30 on."""

    name = "weak tracer"
    kinds = (Run,)

    def pin(self) -> Run | None:
        reference = CURRENT.get()
        return None if reference is None else reference()

    def clear(self) -> None:
        CURRENT.set(None)

    def variables(self) -> Any:
        return (CURRENT,)

    def current(self) -> Any:
        run = self.pin()
        return None if run is None else run.key

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[tuple[Any, Any]]:
        run = Run(name, next(KEYS), self.current())
        token = CURRENT.set(weakref.ref(run))
        try:
            yield run.key, run.parent
        finally:
            CURRENT.reset(token)


class Counted(SpanProcessor):
    """Exports nothing, and counts. By `itertools.count`, which threads cannot confuse."""

    def __init__(self) -> None:
        self.started, self.ended, self.rootless = (itertools.count() for _ in range(3))

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        next(self.started)
        if span.name == "item" and span.parent is None:
            next(self.rootless)

    def on_end(self, span: Any) -> None:
        next(self.ended)


class Silent(Client):
    """Sends nothing, and counts."""

    def __init__(self) -> None:
        super().__init__(
            api_url="http://localhost", api_key="none", auto_batch_tracing=False, info={}
        )
        self.started, self.ended, self.rootless = (itertools.count() for _ in range(3))

    def create_run(self, name: str, *_: Any, **kwargs: Any) -> None:
        next(self.started)
        if name == "item" and kwargs.get("parent_run_id") is None:
            next(self.rootless)

    def update_run(self, *_: Any, **kwargs: Any) -> None:
        if kwargs.get("end_time") is not None:
            next(self.ended)


COUNTED = Counted()
CLIENT = Silent()
PROVIDER = TracerProvider(shutdown_on_exit=False)
PROVIDER.add_span_processor(COUNTED)
TRACER = PROVIDER.get_tracer("soak")
SPAN = type(TRACER.start_span("to see its kind"))


class OpenTelemetry:
    """Spans that are exported nowhere."""

    name = "OpenTelemetry"
    kinds: tuple[type, ...] = (SPAN,)

    def current(self) -> Any:
        context = otel.get_current_span().get_span_context()
        return (context.trace_id, context.span_id) if context.is_valid else None

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[tuple[Any, Any]]:
        with TRACER.start_as_current_span(name) as span:
            above: Any = getattr(span, "parent")  # noqa: B009 - of the SDK's spans alone
            context = span.get_span_context()
            yield (
                (context.trace_id, context.span_id),
                None if above is None else (above.trace_id, above.span_id),
            )


class Both(OpenTelemetry):
    """LangSmith's runs, with a span for each."""

    name = "LangSmith and OpenTelemetry"
    kinds = (SPAN, RunTree)

    def current(self) -> Any:
        run = get_current_run_tree()
        return _both(None if run is None else run.id, super().current())

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[tuple[Any, Any]]:
        with trace(name, client=CLIENT) as run, super().opened(name) as (key, above):
            yield (run.id, key), _both(run.parent_run_id, above)


def _both(run: Any, span: Any) -> Any:
    return None if run is None and span is None else (run, span)


TRACERS: list[Any] = [WeakTracer(), OpenTelemetry(), Both()]


class Worker:
    """What one worker has seen. Only its own thread, or loop, writes to it."""

    def __init__(self, tracer: Any, items: int, starter: Request) -> None:
        self.tracer = tracer
        self.starter = starter
        self.times = bytearray(items)  # that each number was handled
        self.handled = self.crossed = self.split = self.stained = 0
        self.after_the_end = self.failed = self.failed_elsewhere = self.leaks = 0

    def _judge(self, request: Request, parent: Any) -> None:
        if parent != request.key or USER.get() != request.user:
            # Without the parent that it should have, or with somebody else's.
            if parent is None or (type(parent[0]) is not int and None in parent):
                self.split += 1
            else:
                self.crossed += 1

    def _begin(self, item: Item) -> None:
        self.times[item.number] = min(self.times[item.number] + 1, 255)
        self.after_the_end += item.request.ended
        self.stained += MARK.get() != 0

    def handle(self, item: Item) -> None:
        """Handle an item in the context that is current."""
        self._begin(item)
        with self.tracer.opened("item") as (_, parent):
            self._judge(item.request, parent)
        self.handled += 1

    def handle_alone(self, item: Item) -> None:
        """Do the same where nobody else sees what is set, and fail now and then."""
        self._begin(item)
        MARK.set(item.number + 1)
        with self.tracer.opened("item") as (_, parent):
            self._judge(item.request, parent)
        self._end(item)

    async def ahandle_alone(self, item: Item) -> None:
        self._begin(item)
        MARK.set(item.number + 1)
        with self.tracer.opened("item") as (key, parent):
            await anyio.sleep(0)
            self._judge(item.request, parent)
            self.stained += MARK.get() != item.number + 1 or self.tracer.current() != key
        self._end(item)

    def _end(self, item: Item) -> None:
        self.handled += 1
        if item.number % 499 == 0:
            raise OnPurpose(item)

    def on_error(self, error: Exception) -> None:
        """Count what a handler failed with."""
        if not isinstance(error, OnPurpose):
            COMPLAINTS.add(f"a handler failed: {error!r}")
            return
        request = error.args[0].request
        self.failed += 1
        there = USER.get() == request.user and self.tracer.current() == request.key
        self.failed_elsewhere += not there

    def look(self) -> None:
        """See that the worker's own context is as it was."""
        own = (None, self.starter.key)
        if not WEAK and isinstance(self.tracer, Both):
            own = (self.starter.key,)
        elif isinstance(self.tracer, Both):
            # Of the two, the run has died, or not yet.
            own = (self.starter.key, (None, self.starter.key[1]))
        if USER.get() != self.starter.user or MARK.get() or self.tracer.current() not in own:
            self.leaks += 1


def sending(tracer: Any, producer: int, numbers: range) -> Iterator[Item]:
    """Give the items that one producer is to put, each while its request is open.

    To be used up in a for loop: the run is current in whatever context takes the next item.
    """
    drawn = random.Random(producer)
    left = iter(numbers)
    for count in itertools.count(1):
        some = list(itertools.islice(left, drawn.choice((1, 2, 3, 4))))
        if not some:
            return
        token = USER.set(f"user {producer} {count}")
        request = Request(USER.get())
        with contextlib.ExitStack() as run:
            if count % 10:
                request.key, _ = run.enter_context(tracer.opened("request"))
            for number in some:
                yield Item(drawn.random(), number, request)
        USER.reset(token)
        request.ended = True
        RUNS[tracer.name] += bool(request.key)
        WITHOUT[tracer.name] += 0 if request.key else len(some)


# Written by many threads at once, of which each has another producer: see Soak.batch().
class _PerThread:
    def __init__(self) -> None:
        self._counts: dict[tuple[int, str], int] = {}

    def __getitem__(self, name: str) -> int:
        return self._counts.get((threading.get_ident(), name), 0)

    def __setitem__(self, name: str, count: int) -> None:
        self._counts[threading.get_ident(), name] = count

    def total(self, name: str) -> int:
        return sum(count for (_, what), count in self._counts.copy().items() if what == name)


RUNS, WITHOUT = _PerThread(), _PerThread()


class Complaints(logging.Handler):
    """Counts everything that anybody complains of, by how it begins."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.counts: Counter[str] = Counter()
        self.by_ctxtrace = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.by_ctxtrace += record.name.startswith("ctxtrace")
        self.add(f"{record.name}: {record.getMessage()} {record.exc_info or ''}")

    def add(self, text: str) -> None:
        self.counts[text.split("\n")[0][:200]] += 1

    def listen(self) -> None:
        logging.getLogger().addHandler(self)
        logging.captureWarnings(True)  # "was never awaited" among them
        sys.unraisablehook = lambda args: self.add(f"unraisable: {args.exc_value!r}")
        threading.excepthook = lambda args: self.add(f"thread: {args.exc_value!r}")


COMPLAINTS = Complaints()


def resident() -> float:
    """Return the resident memory in MiB."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096 / 2**20


def alive(kinds: tuple[type, ...]) -> int:
    return sum(type(thing) in kinds for thing in gc.get_objects())


class Soak:
    """One queue and one tracer: what all kinds of queue have in common."""

    def __init__(self, kind: str, tracer: Any, items: int, control: bool) -> None:
        self.kind, self.tracer, self.items, self.control = kind, tracer, items, control
        self.starter = Request("starter")
        self.workers = [Worker(tracer, items, self.starter) for _ in range(WORKERS)]
        # The last few are in the queue when it is stopped.
        half, last = items // 2, items // 50
        self.parts = [
            range(half),
            range(half, items - last),
            range(items - last, items),
        ]
        self.unended: list[str] = []
        self.sizes: list[tuple[float, int]] = []
        self.stays = 0  # snapshots, while all workers wait
        ctxtrace.ContextQueue(queue.Queue())  # loads what has one of its own
        self.snapshots = alive((ctxtrace.Snapshot,))
        self.took = 0.0

    def handled(self) -> int:
        return sum(worker.handled for worker in self.workers)

    def measure(self) -> bool:
        """Return whether nothing of the items is there any more, and how much memory is used."""
        gc.collect()
        size = resident(), sys.getallocatedblocks()
        stays = alive((ctxtrace.Snapshot,)) - self.snapshots
        if stays <= 0 or self.control:
            self.sizes.append(size)
            return True
        return False

    def settled(self, expected: int) -> Iterator[None]:
        """Wait, at each yield, until so many items are handled and nothing of them stays."""
        until = time.monotonic() + LIMIT
        while self.handled() < expected:
            if time.monotonic() > until:
                self.unended.append(f"{expected - self.handled():,} items are not handled")
                break
            yield
        until = time.monotonic() + 10
        while not self.measure():
            if time.monotonic() > until:
                self.stays += alive((ctxtrace.Snapshot,)) - self.snapshots
                self.sizes.append((resident(), sys.getallocatedblocks()))
                break
            yield

    def start_request(self) -> contextlib.ExitStack:
        """Open the request in which the workers are started."""
        stack = contextlib.ExitStack()
        token = USER.set(self.starter.user)
        stack.callback(USER.reset, token)
        self.starter.key, _ = stack.enter_context(self.tracer.opened("starter"))
        RUNS[self.tracer.name] += 1
        return stack

    def shares(self, part: range) -> list[range]:
        return [part[producer::PRODUCERS] for producer in range(PRODUCERS)]

    def run(self) -> None:
        began = time.perf_counter()
        self.soak()
        self.took = time.perf_counter() - began
        self.alive = 0 if self.control else self._runs_alive()

    def _runs_alive(self) -> int:
        # A span's last frames may be gone a moment after its thread is said to have ended.
        for _ in range(100):
            gc.collect()
            runs = alive(self.tracer.kinds)
            if not runs:
                break
            time.sleep(0.05)
        return runs

    def soak(self) -> None:
        raise NotImplementedError

    # What was found.

    def total(self, what: str) -> int:
        return sum(getattr(worker, what) for worker in self.workers)

    def times_handled(self) -> Counter[int]:
        return Counter(map(sum, zip(*(worker.times for worker in self.workers))))


class Threads(Soak):
    """Producers and workers in threads, or producers in event loops of their own threads."""

    MAKES: dict[str, Callable[[], Any]] = {  # noqa: RUF012
        "queue.Queue, bounded": lambda: queue.Queue(BOUND),
        "queue.SimpleQueue": queue.SimpleQueue,
        "queue.LifoQueue, bounded": lambda: queue.LifoQueue(BOUND),
        "queue.PriorityQueue, bounded": lambda: queue.PriorityQueue(BOUND),
        "event loops to threads, queue.Queue": lambda: queue.Queue(BOUND),
    }

    def soak(self) -> None:
        bare = self.MAKES[self.kind]()
        self.queue: Any = bare if self.control else ctxtrace.ContextQueue(bare)
        self.task_done = getattr(bare, "task_done", lambda: None)
        self.over = threading.Event()
        ways = [self.serve] * 4 + [self.receive] * 2 + [self.run_snapshots] * 2
        with self.start_request():
            threads = [
                self.thread(copy_context().run, way, worker)
                for way, worker in zip(
                    [self.take] * WORKERS if self.control else ways, self.workers
                )
            ]
        self.starter.ended = True
        for part in self.parts:
            produce = self.produce_in_a_loop if "loops" in self.kind else self.produce
            producers = [
                self.thread(produce, number, share)
                for number, share in enumerate(self.shares(part))
            ]
            self.join(producers, "producers")
            if part is not self.parts[-1]:
                for _ in self.settled(part.stop):
                    time.sleep(0.005)
        # There are items left. The loops end when they have none, and the others by the event.
        if not self.control:
            self.queue.stop()
            self.join(threads[:4], "loops that were stopped")
        self.over.set()
        self.join(threads, "workers")
        if hasattr(bare, "join"):
            self.join([self.thread(bare.join)], "join()")
        del self.queue, self.task_done

    @staticmethod
    def thread(function: Any, *args: Any) -> threading.Thread:
        thread = threading.Thread(target=function, args=args, daemon=True)
        thread.start()
        return thread

    def join(self, threads: list[threading.Thread], what: str) -> None:
        until = time.monotonic() + LIMIT
        for thread in threads:
            thread.join(max(0, until - time.monotonic()))
        hanging = sum(thread.is_alive() for thread in threads)
        if hanging:
            self.unended.append(f"{hanging} {what}")

    def produce(self, producer: int, share: range) -> None:
        for item in sending(self.tracer, producer, share):
            self.queue.put(item)

    def produce_in_a_loop(self, producer: int, share: range) -> None:
        async def main() -> None:
            for item in sending(self.tracer, producer, share):
                while True:
                    try:
                        self.queue.put_nowait(item)
                    except queue.Full:
                        await asyncio.sleep(0.0005)
                    else:
                        break

        asyncio.run(main())

    def serve(self, worker: Worker) -> None:
        self.queue.serve(worker.handle_alone, on_error=worker.on_error)
        worker.look()

    def receive(self, worker: Worker) -> None:
        while True:
            try:
                with self.queue.receive(timeout=0.05) as item:
                    worker.handle(item)
            except queue.Empty:
                if self.over.is_set():
                    return
            worker.look()

    def run_snapshots(self, worker: Worker) -> None:
        while True:
            try:
                item, snapshot = self.queue.get_with_context(timeout=0.05)
            except queue.Empty:
                if self.over.is_set():
                    return
                continue
            try:
                snapshot.run(worker.handle_alone, item)
            except OnPurpose as error:
                snapshot.run(worker.on_error, error)
            finally:
                del snapshot, item
                self.task_done()
            worker.look()

    def take(self, worker: Worker) -> None:
        """Take from a bare queue."""
        while True:
            try:
                item = self.queue.get(timeout=0.05)
            except queue.Empty:
                if self.over.is_set():
                    return
                continue
            worker.handle(item)
            self.task_done()


class Tasks(Soak):
    """Producers and workers in tasks of one event loop."""

    def soak(self) -> None:
        backend = "trio" if "trio" in self.kind else "asyncio"
        anyio.run(self.main, backend=backend)

    async def main(self) -> None:
        try:
            with anyio.fail_after(3 * LIMIT):
                await self.work()
        except TimeoutError:
            self.unended.append("tasks")

    async def work(self) -> None:
        if "Queue" in self.kind:
            send: Any = asyncio.Queue(BOUND)
            self.join = send.join
            receive = send = send if self.control else ctxtrace.AsyncContextQueue(send)
            self.put, self.task_done = send.put, receive.task_done
            self.get = receive.get
        else:
            send, receive = anyio.create_memory_object_stream(BOUND)
            if not self.control:
                send, receive = ctxtrace.context_stream(send, receive)
            self.put, self.task_done = send.send, lambda: None
            self.get = receive.receive
        self.queue: Any = receive
        async with anyio.create_task_group() as others, anyio.create_task_group() as loops:
            with self.start_request():
                for number, worker in enumerate(self.workers):
                    if self.control:
                        others.start_soon(self.take, worker)
                    elif number < 4:
                        loops.start_soon(self.serve, number, worker)
                    else:
                        way = self.receive if number < 6 else self.run_snapshots
                        others.start_soon(way, worker)
            self.starter.ended = True
            for part in self.parts:
                async with anyio.create_task_group() as producers:
                    for number, share in enumerate(self.shares(part)):
                        producers.start_soon(self.produce, number, share)
                if part is not self.parts[-1]:
                    for _ in self.settled(part.stop):
                        await anyio.sleep(0.002)
            if not self.control:
                self.queue.stop()
            try:
                with anyio.fail_after(LIMIT):
                    while self.running_loops:
                        await anyio.sleep(0.002)
            except TimeoutError:
                self.unended.append(f"{self.running_loops} loops that were stopped")
                loops.cancel_scope.cancel()
            await self.end_others(send, others)
        if "Queue" in self.kind:
            try:
                await asyncio.wait_for(self.join(), LIMIT)
            except asyncio.TimeoutError:
                self.unended.append("join()")
        else:
            receive.close()
        del self.put, self.get, self.queue, self.task_done
        if "Queue" in self.kind:
            del self.join

    running_loops = 0

    async def end_others(self, send: Any, others: Any) -> None:
        if "Queue" not in self.kind:
            send.close()  # what is left they take
            return
        until = time.monotonic() + LIMIT
        while self.handled() < self.items and time.monotonic() < until:
            await anyio.sleep(0.002)
        others.cancel_scope.cancel()

    async def produce(self, producer: int, share: range) -> None:
        for item in sending(self.tracer, producer, share):
            await self.put(item)

    async def serve(self, number: int, worker: Worker) -> None:
        handler = worker.ahandle_alone if number % 2 else worker.handle_alone
        self.running_loops += 1
        await self.queue.serve(handler, on_error=worker.on_error)
        self.running_loops -= 1
        worker.look()

    async def receive(self, worker: Worker) -> None:
        with contextlib.suppress(anyio.EndOfStream):
            while True:
                async with self.queue.receive() as item:
                    worker.handle(item)
                worker.look()

    async def run_snapshots(self, worker: Worker) -> None:
        with contextlib.suppress(anyio.EndOfStream):
            while True:
                item, snapshot = await self.queue.get_with_context()
                try:
                    await snapshot.run(worker.ahandle_alone, item)
                except OnPurpose as error:
                    snapshot.run(worker.on_error, error)
                finally:
                    del snapshot, item
                    self.task_done()
                worker.look()

    async def take(self, worker: Worker) -> None:
        with contextlib.suppress(anyio.EndOfStream):
            while True:
                worker.handle(await self.get())
                self.task_done()


KINDS: dict[str, type[Soak]] = {
    **dict.fromkeys(Threads.MAKES, Threads),
    "asyncio.Queue, bounded": Tasks,
    "context_stream, asyncio": Tasks,
    "context_stream, trio": Tasks,
}


def read(count: Any) -> int:
    return int(repr(count).partition("(")[2].rstrip(")"))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--control", action="store_true", help="leave the queues bare: the checks must fail"
    )
    parser.add_argument("--items", type=int, default=ITEMS, help="for each queue and tracer")
    parser.add_argument(
        "--kinds", nargs="*", default=[""], help="soak the queues whose name has one of these"
    )
    options = parser.parse_args()
    kinds = [kind for kind in KINDS if any(part in kind for part in options.kinds)]
    COMPLAINTS.listen()
    began = time.perf_counter()
    soaks: list[Soak] = []
    for tracer in TRACERS:
        items = options.items // (SHARE if isinstance(tracer, Both) else 1)
        undo = ctxtrace.register_carrier(tracer) if isinstance(tracer, WeakTracer) else None
        # Before the first is measured, whatever is made only once.
        for kind in kinds:
            KINDS[kind](kind, tracer, min(items, 1_000), options.control).run()
        for kind in kinds:
            soak = KINDS[kind](kind, tracer, items, options.control)
            soaks.append(soak)
            soak.run()
        if undo is not None:
            undo()
    return report(soaks, kinds, options.control, time.perf_counter() - began)


def report(soaks: list[Soak], kinds: list[str], control: bool, took: float) -> int:
    print(f"# Soak: queues{', bare (control)' if control else ''}, {datetime.date.today()}\n")
    print(
        f"Python {platform.python_version()}, langsmith {version('langsmith')} "
        f"({'weak' if WEAK else 'strong'} parents), opentelemetry-sdk "
        f"{version('opentelemetry-sdk')}, anyio {version('anyio')}, trio {version('trio')}, "
        f"{platform.system()} {platform.machine()}; {took:.0f} s.\n"
    )
    rows: list[tuple[str, str, bool]] = []

    def row(what: str, found: int, sound: bool | None = None) -> None:
        rows.append((what, f"{found:,}", found == 0 if sound is None else sound))

    def over_all(what: str) -> int:
        return sum(soak.total(what) for soak in soaks)

    for tracer in TRACERS:
        mine = [soak for soak in soaks if soak.tracer is tracer]
        print(f"{tracer.name}, {mine[0].items:,} items through each queue:\n")
        print("| queue | handled | lost | doubled | crossed | split | after its run ended | s |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for soak in mine:
            times = soak.times_handled()
            late = soak.total("after_the_end") / soak.items
            print(
                f"| {soak.kind} | {soak.handled():,} | {times[0]:,} | "
                f"{sum(count for n, count in times.items() if n > 1):,} | "
                f"{soak.total('crossed'):,} | {soak.total('split'):,} | {late:.0%} | "
                f"{soak.took:.0f} |"
            )
        print()
    all_times = [soak.times_handled() for soak in soaks]
    expected = sum(soak.items for soak in soaks)
    row(f"items, by {PRODUCERS} producers to {WORKERS} workers", expected, True)
    row("handled", over_all("handled"), over_all("handled") == expected)
    row("lost", sum(times[0] for times in all_times))
    row("doubled", sum(n for times in all_times for t, n in times.items() if t > 1))
    row("crossed: handled in another trace", over_all("crossed"))
    row("split: handled without their parent", over_all("split"))
    row("saw what the handler of another item set", over_all("stained"))
    row("times that a worker's own context was changed", over_all("leaks"))
    if not control:
        row("handlers that failed, on purpose", over_all("failed"), True)
        row("whose error was handled in another trace", over_all("failed_elsewhere"))
    row(
        "producers, workers, stopped loops, join() that did not end",
        sum(len(s.unended) for s in soaks),
    )
    for name, counts, tracers in (
        ("OpenTelemetry", COUNTED, TRACERS[1:]),
        ("LangSmith", CLIENT, TRACERS[2:]),
    ):
        started, ended, rootless = map(read, (counts.started, counts.ended, counts.rootless))
        without = sum(WITHOUT.total(tracer.name) for tracer in tracers)
        if counts is COUNTED:
            started -= 1  # one that is never ended, to see what kind it is
        rows.append(
            (f"{name}: started, ended", f"{started:,}, {ended:,}", started == ended > 0),
        )
        rows.append(
            (
                f"{name}: items sent in no run, recorded without a parent",
                f"{without:,}, {rootless:,}",
                without == rootless,
            )
        )
    complaints = sum(COMPLAINTS.counts.values())
    row("logged by ctxtrace", COMPLAINTS.by_ctxtrace)
    row("logged, warned or unraisable, by anybody", complaints)
    if not control:
        row("snapshots alive while all workers waited", sum(soak.stays for soak in soaks))
        row("runs and spans alive afterwards", sum(soak.alive for soak in soaks))
    grown = {soak: soak.sizes[1][0] - soak.sizes[0][0] for soak in soaks}
    blocks = {soak: soak.sizes[1][1] - soak.sizes[0][1] for soak in soaks}
    worst, most = max(soaks, key=grown.__getitem__), max(soaks, key=blocks.__getitem__)
    rows += [
        (
            f"most that a queue's second half grew (allowed: {ALLOWED_MIB:.0f} MiB)",
            f"{grown[worst]:.1f} MiB ({worst.kind}, {worst.tracer.name})",
            grown[worst] <= ALLOWED_MIB,
        ),
        (
            f"most blocks that it left (allowed: {ALLOWED_BLOCKS:,})",
            f"{blocks[most]:,} ({most.kind}, {most.tracer.name})",
            blocks[most] <= ALLOWED_BLOCKS,
        ),
    ]
    print("| what | measured | |")
    print("| --- | --- | --- |")
    for what, measured, sound in rows:
        print(f"| {what} | {measured} | {'' if sound else 'BAD'} |")
    details = [f"{count:,} times: {text}" for text, count in COMPLAINTS.counts.most_common(8)]
    details += [
        f"{s.kind}, {s.tracer.name}: did not end: {what}" for s in soaks for what in s.unended
    ]
    if details:
        print()
    for text in details:
        print(f"* {text}")
    sound = all(sound for *_, sound in rows)
    print("\nEvery item is handled once, in its sender's trace." if sound else "\nNOT SOUND.")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
