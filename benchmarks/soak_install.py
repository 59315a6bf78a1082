"""Serve requests for long under install(), and see that each is one trace and leaves nothing.

Each request is a task with a traced function, which is given 10 KB. It starts a child, submits
one to a pool, and leaves a task behind. That one waits until the request's run has been
collected, which is then looked at, and starts three more children: itself, in the pool and, now
and then, in a thread. What a service keeps of its requests is kept here too, for the last of
them: the finished task, and a timer of the loop that has yet to fire. Both keep a context.

Prints a Markdown report and exits with status 1 if a child was without its parent, or anything
grew. Its output stands in docs/measured/. With ``--control`` nothing is installed, to show that
the checks can fail.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import gc
import logging
import os
import platform
import sys
import threading
import time
import weakref
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

os.environ["LANGSMITH_TRACING"] = "true"  # remembered from its first look on

from _silent import Silent
from langsmith import traceable
from langsmith._internal import _context
from langsmith.run_helpers import get_current_run_tree
from langsmith.run_trees import RunTree

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Iterable

REQUESTS = 20_000
AT_ONCE = 50
KEPT = 1_000
LOOKS = 10
THREAD_EVERY = 100
LIMIT = 60.0  # seconds; only ever reached by a failure
PAYLOAD = 10_000

# What the second half of the requests may add. One request's data for each of 10,000 would be
# 100 MiB. What the allocator does not give back of its arenas differs by a few.
ALLOWED_MIB = 8.0
# A block is what the interpreter allocates for one object.
ALLOWED_BLOCKS = 2_000

WEAK = hasattr(_context, "_PARENT_RUN_TREE_REF")


class Data:
    """What a request is given."""

    def __init__(self, number: int) -> None:
        self.text = f"{number:0{PAYLOAD}}"


class Watching(Silent):
    """Sends nothing, and sees whether each run has the parent that it should have."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.split: Counter[str] = Counter()
        self.elsewhere: Counter[str] = Counter()
        self._requests: dict[int, Any] = {}
        self._lock = threading.Lock()

    def create_run(self, name: str, inputs: dict[str, Any], *_: Any, **kwargs: Any) -> None:
        number = inputs["number"]
        with self._lock:
            self.counts[name] += 1
            if name == "request":
                self._requests[number] = kwargs["id"]
            elif kwargs.get("parent_run_id") is None:
                self.split[name] += 1
            elif kwargs["parent_run_id"] != self._requests[number]:
                self.elsewhere[name] += 1

    def forget(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            del self._requests[number]


class Complaints(logging.Handler):
    """Counts what anybody logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.counts: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        self.counts[f"{record.name}: {record.getMessage()[:300]}"] += 1


class Look(NamedTuple):
    """What there is after so many requests, while nothing goes on."""

    requests: int
    mib: float
    blocks: int
    runs: int
    data: int


CLIENT = Watching()
COMPLAINTS = Complaints()


def look(requests: int) -> Look:
    gc.collect()
    found = Counter(type(thing) for thing in gc.get_objects() if isinstance(thing, (RunTree, Data)))
    with open("/proc/self/statm") as statm:
        mib = int(statm.read().split()[1]) * 4096 / 2**20
    runs = sum(count for kind, count in found.items() if kind is not Data)
    return Look(requests, mib, sys.getallocatedblocks(), runs, found[Data])


def nothing() -> None:
    pass


class Service:
    """What serves the requests, of third-party code and code that knows nothing of ctxtrace."""

    def __init__(self, kept: int) -> None:
        self.pool = ThreadPoolExecutor(4)
        self.kept: deque[tuple[Any, asyncio.TimerHandle]] = deque()
        self.keep = kept
        self.uncollected = 0
        self.request = traceable(client=CLIENT, name="request")(self._request)
        self.child, self.pooled, self.late, self.late_pooled, self.in_a_thread = (
            traceable(client=CLIENT, name=name)(self._child)
            for name in ("child", "pooled", "late", "late pooled", "in a thread")
        )

    @staticmethod
    def _child(number: int) -> None:
        pass

    async def _request(
        self, number: int, data: Data, ended: asyncio.Event
    ) -> tuple[asyncio.Task[None], Any]:
        loop = asyncio.get_running_loop()
        self.child(number)
        await asyncio.wrap_future(self.pool.submit(self.pooled, number))
        task = asyncio.create_task(self.outlive(number, ended))
        self.kept.append((task, loop.call_later(3600, nothing)))
        run = get_current_run_tree()
        assert run is not None
        return task, run

    async def outlive(self, number: int, ended: asyncio.Event) -> None:
        await ended.wait()
        self.late(number)
        await asyncio.wrap_future(self.pool.submit(self.late_pooled, number))
        if number % THREAD_EVERY == 0:
            thread = threading.Thread(target=self.in_a_thread, args=(number,))
            thread.start()
            thread.join(LIMIT)

    async def serve(self, number: int, ended: asyncio.Event) -> tuple[asyncio.Task[None], Any]:
        data = Data(number)
        task, run = await self.request(number, data, ended)
        # LangSmith below 0.7 has runs that take no weak reference, and contexts that hold them.
        return task, weakref.ref(run) if WEAK else None

    async def serve_some(self, numbers: range) -> None:
        ended = asyncio.Event()
        served = await asyncio.gather(
            *(asyncio.create_task(self.serve(number, ended)) for number in numbers)
        )
        await self.collected([seen for _, seen in served if seen is not None])
        ended.set()
        await asyncio.gather(*(task for task, _ in served))
        CLIENT.forget(numbers)
        while len(self.kept) > self.keep:
            self.kept.popleft()[1].cancel()

    async def collected(self, seen: list[Any]) -> None:
        # A thread in which LangSmith ended a run may hold it a moment longer than we wait.
        until = time.monotonic() + LIMIT
        while True:
            gc.collect()
            alive = sum(run() is not None for run in seen)
            if not alive or time.monotonic() > until:
                self.uncollected += alive
                return
            await asyncio.sleep(0)

    async def run(self, requests: int) -> list[Look]:
        looks: list[Look] = []
        between = max(requests // LOOKS // AT_ONCE, 1) * AT_ONCE
        for first in range(0, requests, AT_ONCE):
            if first and first % between == 0:
                looks.append(await self.pause(first))
            await self.serve_some(range(first, min(first + AT_ONCE, requests)))
        looks.append(await self.pause(requests))
        for _, handle in self.kept:
            handle.cancel()
        self.pool.shutdown()
        return looks

    async def pause(self, requests: int) -> Look:
        # A pool's thread may hold the run of what it did last a moment longer than we wait.
        until = time.monotonic() + LIMIT / 10
        while True:
            seen = look(requests)
            if not seen.runs or not WEAK or time.monotonic() > until:
                return seen
            await asyncio.sleep(0)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("requests", nargs="?", type=int, default=REQUESTS)
    parser.add_argument(
        "--control", action="store_true", help="install nothing: the checks must fail"
    )
    parser.add_argument("--keep", type=int, help="of how many requests to keep the contexts")
    options = parser.parse_args()
    if options.keep is None:
        options.keep = min(KEPT, options.requests // 4)  # full before the second half
    logging.getLogger().addHandler(COMPLAINTS)
    if not options.control:
        ctxtrace.install()
    gc.collect()
    gc.freeze()  # what was imported stays, and need not be gone through hundreds of times
    began = time.perf_counter()
    service = Service(options.keep)
    looks = asyncio.run(service.run(options.requests))
    return report(options, service, looks, time.perf_counter() - began)


def report(options: Any, service: Service, looks: list[Look], took: float) -> int:
    heading = "nothing installed (control)" if options.control else "install()"
    print(f"# Soak: {heading}, {datetime.date.today()}\n")
    print(
        f"Python {platform.python_version()}, langsmith {version('langsmith')} "
        f"({'weak' if WEAK else 'strong'} parents), {platform.system()} {platform.machine()}; "
        f"{took:.0f} s.\n"
    )
    print("| after requests | resident memory | blocks | runs alive | requests' data alive |")
    print("| --- | --- | --- | --- | --- |")
    for seen in looks:
        print(
            f"| {seen.requests:,} | {seen.mib:.1f} MiB | {seen.blocks:,} | {seen.runs:,} | "
            f"{seen.data:,} |"
        )
    # The first of them has what is made only once, and fewer contexts.
    middle, end = looks[len(looks) // 2 - 1], looks[-1]
    names = ("request", "child", "pooled", "late", "late pooled")
    expected = dict.fromkeys(names, options.requests)
    expected["in a thread"] = len(range(0, options.requests, THREAD_EVERY))
    grown, blocks = end.mib - middle.mib, end.blocks - middle.blocks
    # The strong layout keeps a run in every context that is kept, with ctxtrace or without.
    may_live = 0 if WEAK else middle.runs
    rows: list[tuple[str, str, bool]] = []

    def row(what: str, found: int, sound: bool | None = None) -> None:
        rows.append((what, f"{found:,}", found == 0 if sound is None else sound))

    row("requests", CLIENT.counts["request"], CLIENT.counts == expected)
    row("children", sum(CLIENT.counts.values()) - CLIENT.counts["request"], True)
    row("contexts kept", 2 * min(options.keep, options.requests), True)
    row("split: children without a parent", sum(CLIENT.split.values()))
    row("children of another parent", sum(CLIENT.elsewhere.values()))
    row("runs that were not collected when their request had ended", service.uncollected)
    row("runs alive at the end", end.runs, end.runs <= may_live)
    row("requests' data alive at the end", end.data, end.data <= may_live)
    rows += [
        (
            f"memory that the second half added (allowed: {ALLOWED_MIB:.0f} MiB)",
            f"{grown:.1f} MiB",
            grown <= ALLOWED_MIB,
        ),
        (
            f"blocks that it added (allowed: {ALLOWED_BLOCKS:,})",
            f"{blocks:,}",
            blocks <= ALLOWED_BLOCKS,
        ),
    ]
    row("logged by anybody", sum(COMPLAINTS.counts.values()))
    print("\n| what | measured | |")
    print("| --- | --- | --- |")
    for what, measured, sound in rows:
        print(f"| {what} | {measured} | {'' if sound else 'BAD'} |")
    details = [f"split: {count:,} of {name!r}" for name, count in CLIENT.split.items()]
    details += [f"{count:,} times: {text}" for text, count in COMPLAINTS.counts.most_common(5)]
    if details:
        print()
    for text in details:
        print(f"* {text}")
    sound = all(sound for *_, sound in rows)
    verdict = "Every request is one trace, and left nothing." if sound else "NOT SOUND."
    if sound and not WEAK:
        verdict = (
            "Every request is one trace. This LangSmith keeps a run in each context that is "
            "kept, with ctxtrace or without."
        )
    print(f"\n{verdict}")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
