"""Run a small service for long, and see that pins keep nothing alive.

Prints a Markdown report and exits with status 1 if anything grew. `nox -s soak` runs it;
its output stands in docs/measured/.
"""

from __future__ import annotations

import asyncio
import datetime
import gc
import os
import platform
import sys
from collections import Counter
from importlib.metadata import version
from typing import Any

os.environ["LANGSMITH_TRACING"] = "true"  # remembered from its first look on

from langsmith import Client, traceable
from langsmith._internal import _context
from langsmith.run_helpers import get_current_run_tree
from langsmith.run_trees import RunTree

import ctxtrace

REQUESTS = 20_000
RUNS = 100_000
WEAK = hasattr(_context, "_PARENT_RUN_TREE_REF")
MIDDLE = REQUESTS // 2


class Silent(Client):
    """Sends nothing and keeps nothing."""

    def __init__(self) -> None:
        super().__init__(api_url="http://localhost", api_key="none", auto_batch_tracing=False)
        self.created: Counter[str] = Counter()
        self.parents: set[Any] = set()

    def create_run(self, name: str, *_: Any, **kwargs: Any) -> None:
        self.created[name] += 1
        if name == "late":
            self.parents.add(kwargs.get("parent_run_id"))

    def update_run(self, *_: Any, **__: Any) -> None:
        pass


CLIENT = Silent()


def runs_alive() -> int:
    gc.collect()
    return sum(type(thing) is RunTree for thing in gc.get_objects())


def resident() -> float:
    """Return the resident memory in MiB."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096 / 2**20


def nothing() -> None:
    pass


async def requests_that_leave_things_behind(count: int, left: list[Any], stop: Any) -> None:
    loop = asyncio.get_running_loop()

    async def finish() -> None:
        left.append(loop.call_later(3600, nothing))

    @traceable(client=CLIENT, name="request")
    async def request(payload: str) -> None:
        task = ctxtrace.create_task(finish())
        left.append(task)  # kept, finished
        left.append(asyncio.create_task(stop.wait()))  # a connection pool's keep-alive
        await task

    for _ in range(count):
        await ctxtrace.create_task(request("x" * 2000))


async def service() -> tuple[int, float, float]:
    stop = asyncio.Event()
    left: list[Any] = []
    before = runs_alive()
    await requests_that_leave_things_behind(MIDDLE, left, stop)
    await asyncio.sleep(0)
    first = resident()
    await requests_that_leave_things_behind(REQUESTS - MIDDLE, left, stop)
    await asyncio.sleep(0)
    second = resident()
    # LangSmith sets a run up in a thread, which holds it a moment longer than we wait.
    await asyncio.get_running_loop().shutdown_default_executor()
    kept = runs_alive() - before
    stop.set()
    for thing in left:
        if isinstance(thing, asyncio.TimerHandle):
            thing.cancel()
        else:
            await thing
    return kept, first, second


async def bare_leftovers() -> float:
    """Return what the second half of the things left behind takes without any tracing."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    left: list[Any] = []

    async def finish() -> None:
        left.append(loop.call_later(3600, nothing))

    async def request() -> None:
        task = asyncio.create_task(finish())
        left.append(task)
        left.append(asyncio.create_task(stop.wait()))
        await task

    async def half() -> float:
        for _ in range(MIDDLE):
            await asyncio.create_task(request())
        return resident()

    first = await half()
    second = await half()
    stop.set()
    for thing in left:
        if isinstance(thing, asyncio.TimerHandle):
            thing.cancel()
        else:
            await thing
    return second - first


async def outliving_task() -> tuple[int, int, int, float]:
    ended = asyncio.Event()
    seen: list[tuple[int, float]] = []
    parent: list[RunTree] = []

    @traceable(client=CLIENT, name="late")
    def late() -> None:
        pass

    async def work() -> None:
        await ended.wait()
        for number in range(RUNS):
            late()
            if number in (RUNS // 10, RUNS - 1):
                seen.append((runs_alive(), resident()))

    @traceable(client=CLIENT, name="parent")
    async def request() -> asyncio.Task[None]:
        run = get_current_run_tree()
        assert run is not None
        parent.append(run)
        return ctxtrace.create_task(work())

    task = await request()
    ended.set()
    await task
    (early, memory), (end, memory_at_end) = seen
    assert CLIENT.parents == {parent[0].id}, "the late runs lost their parent"
    return early, end, len(parent[0].child_runs), memory_at_end - memory


def main() -> int:
    leftovers = asyncio.run(bare_leftovers())
    kept, first, second = asyncio.run(service())
    assert CLIENT.created == {"request": REQUESTS}, CLIENT.created
    early, end, children, grown = asyncio.run(outliving_task())
    print(f"# Soak: pins, {datetime.date.today()}\n")
    print(
        f"Python {platform.python_version()}, langsmith {version('langsmith')} "
        f"({'weak' if WEAK else 'strong'} parents), {platform.system()} {platform.machine()}.\n"
    )
    print("| what | measured |")
    print("| --- | --- |")
    print(f"| requests, each leaving a timer, a keep-alive and a finished task | {REQUESTS:,} |")
    print(f"| runs alive after them, all three still kept | {kept:,} |")
    print(f"| resident memory after half, after all | {first:.0f} MiB, {second:.0f} MiB |")
    print(f"| the same three things without tracing, second half | {leftovers:.1f} MiB |")
    print(f"| runs started by a task that outlives its request | {RUNS:,} |")
    print(f"| RunTrees alive after a tenth of them, after all | {early}, {end} |")
    print(f"| children collected by their ended parent | {children} |")
    print(f"| memory grown over the last nine tenths | {grown:.1f} MiB |")
    # The strong layout keeps a run in every context that is kept, with ctxtrace or without.
    sound = children == 0 and end <= early and grown < 16 and (kept == 0 or not WEAK)
    if not sound:
        verdict = "SOMETHING GREW."
    elif kept:
        verdict = (
            "The pins kept nothing. This LangSmith keeps a run in each context that is kept, "
            "with ctxtrace or without."
        )
    else:
        verdict = "Nothing grew."
    print(f"\n{verdict}")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
