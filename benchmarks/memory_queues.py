"""What an item costs in memory while it waits, with a million of them in a `queue.Queue`.

Each case runs in a process of its own, once for the memory that is resident and once for what
tracemalloc counts, which would itself be resident. The items are None. They are put, and all
taken; then put again, and dropped with the queue.

Prints a Markdown report and exits with status 1 if what tracemalloc counts does not come back.
What is resident may stay, for the allocator returns only what is wholly free, and opening a run
among the items may leave something small there. So the last case is a control: runs, and small
lists in a bare queue.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import gc
import json
import os
import platform
import queue
import subprocess
import sys
import tracemalloc
from contextvars import ContextVar
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ITEMS = 1_000_000
A_RUN = 1_000  # items, where there are many runs

ALLOWED = 0.1  # bytes an item that may be left, as tracemalloc counts
CONTROL = f"small lists in the bare queue, a run for each {A_RUN:,}"

# For each case: whether the queue is ours, how many items share a run (0: there is none), and
# how many variables are set.
CASES = {
    "the bare queue": (False, 0, 0),
    "no run current": (True, 0, 0),
    "no run current, 10 variables": (True, 0, 10),
    "no run current, 100 variables": (True, 0, 100),
    "one run for all": (True, ITEMS, 0),
    f"a run for each {A_RUN:,}": (True, A_RUN, 0),
    f"a run for each {A_RUN:,}, 100 variables": (True, A_RUN, 100),
    CONTROL: (False, A_RUN, 0),
}


def resident() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def traced() -> int:
    return tracemalloc.get_traced_memory()[0]


def fill(q: Any, items_a_run: int, make: Callable[[], Any]) -> None:
    from _silent import CLIENT
    from langsmith import trace

    if not items_a_run:
        for _ in range(ITEMS):
            q.put(make())
        return
    for _ in range(ITEMS // items_a_run):
        with trace("request", client=CLIENT):
            for _ in range(items_a_run):
                q.put(make())


def _none() -> None:
    return None


def _small() -> list[Any]:
    return [bytearray(60)]  # of the size of what ctxtrace sends with an item


def measure(case: str, by: str) -> dict[str, float]:
    """Return the bytes an item: while it waits, and what is left of it."""
    import ctxtrace

    ours, items_a_run, variables = CASES[case]
    kept = [ContextVar[str](f"variable {number}") for number in range(variables)]
    for variable in kept:
        variable.set("x")

    make = _small if case == CONTROL else _none

    def empty() -> Any:
        return ctxtrace.ContextQueue(queue.Queue()) if ours else queue.Queue()

    fill_once = empty()
    with contextlib.suppress(queue.Empty):  # whatever is made only once
        from _silent import CLIENT
        from langsmith import trace

        with trace("request", client=CLIENT):
            fill_once.put(None)
        while True:
            fill_once.get_nowait()
    del fill_once
    if by == "tracemalloc":
        tracemalloc.start()
    used = traced if by == "tracemalloc" else resident
    gc.collect()
    before = used()
    q = empty()
    fill(q, items_a_run, make)
    gc.collect()
    waiting = used()
    for _ in range(ITEMS):
        q.get()
    gc.collect()
    taken = used()
    fill(q, items_a_run, make)
    del q
    gc.collect()
    dropped = used()
    return {
        "waiting": (waiting - before) / ITEMS,
        "taken": (taken - before) / ITEMS,
        "dropped": (dropped - before) / ITEMS,
    }


def in_a_process(case: str, by: str) -> dict[str, float]:
    found: dict[str, float] = json.loads(
        subprocess.check_output(
            [sys.executable, __file__, "--case", case, "--by", by],
            env={**os.environ, "LANGSMITH_TRACING": "true"},
        )
    )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--by", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(options.case, options.by)))
        return 0
    print(
        f"## Memory, Python {platform.python_version()}, langsmith {version('langsmith')}, "
        f"{datetime.date.today()}\n"
    )
    print(
        f"{ITEMS:,} items wait in a `queue.Queue`. Bytes an item, counted by tracemalloc; resident "
        "(RSS); and what is left of each when all were taken, and when the queue was dropped "
        "full.\n"
    )
    print(
        "| | waiting, tracemalloc | waiting, RSS | more than bare, tracemalloc "
        "| left when taken: tracemalloc, RSS | left when dropped: tracemalloc, RSS |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    sound = True
    bare = 0.0
    for case in CASES:
        counted, seen = (in_a_process(case, by) for by in ("tracemalloc", "RSS"))
        bare = bare or counted["waiting"]
        more = counted["waiting"] - bare
        left = [f"{counted[when]:.2f}, {seen[when]:.1f}" for when in ("taken", "dropped")]
        print(
            f"| {case} | {counted['waiting']:.1f} | {seen['waiting']:.1f} | {more:.1f} | "
            f"{left[0]} | {left[1]} |",
            flush=True,
        )
        sound = sound and counted["taken"] <= ALLOWED and counted["dropped"] <= ALLOWED
    print("\nIt comes back." if sound else "\nIT DOES NOT COME BACK.")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
