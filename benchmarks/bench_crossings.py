"""What a crossing costs beside the bare standard library, in one run.

Each figure is the median of paired ratios: ours and the standard one's, one after the other,
many times. Prints a Markdown report. With ``--langsmith`` LangSmith is loaded, so that its
carrier is asked at each crossing; no run is current.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import datetime
import platform
import statistics
import subprocess
import sys
import time
from functools import partial
from importlib.metadata import version
from typing import Any

from _paired import ROUNDS, ratio


def nothing() -> int:
    return 1


async def anothing() -> None:
    pass


def sequential(pools: Any) -> float:
    with pools(2) as pool:
        pool.submit(nothing).result()
        began = time.perf_counter()
        for _ in range(3_000):
            pool.submit(nothing).result()
        return time.perf_counter() - began


def bulk(pools: Any) -> float:
    with pools(2) as pool:
        pool.submit(nothing).result()
        began = time.perf_counter()
        for future in [pool.submit(nothing) for _ in range(20_000)]:
            future.result()
        return time.perf_counter() - began


def mapped(pools: Any) -> float:
    with pools(2) as pool:
        pool.submit(nothing).result()
        began = time.perf_counter()
        for _ in pool.map(abs, range(20_000)):
            pass
        return time.perf_counter() - began


def tasks(create_task: Any) -> float:
    async def main() -> float:
        began = time.perf_counter()
        for _ in range(10_000):
            await create_task(anothing())
        return time.perf_counter() - began

    return asyncio.run(main())


def import_time() -> float:
    """Return the milliseconds that ``import ctxtrace`` takes in a new interpreter."""
    code = "import time; t = time.perf_counter(); import ctxtrace; print(time.perf_counter() - t)"
    return 1000 * statistics.median(
        float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(ROUNDS)
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--langsmith", action="store_true")
    with_langsmith = parser.parse_args().langsmith
    loaded = "no tracing library loaded"
    if with_langsmith:
        import langsmith.run_helpers  # noqa: F401

        loaded = f"langsmith {version('langsmith')} loaded, no run current"
    import ctxtrace

    def pools(measure: Any) -> str:
        ours, theirs = ctxtrace.ThreadPoolExecutor, concurrent.futures.ThreadPoolExecutor
        return str(ratio(partial(measure, ours), partial(measure, theirs)))

    created = ratio(partial(tasks, ctxtrace.create_task), partial(tasks, asyncio.create_task))
    print(f"## Python {platform.python_version()}, {loaded}, {datetime.date.today()}\n")
    print("| what | ratio to the standard library, median (range) |")
    print("| --- | --- |")
    print(f"| submit and result, one after the other | {pools(sequential)} |")
    print(f"| submit 20,000, then their results | {pools(bulk)} |")
    print(f"| map over 20,000 | {pools(mapped)} |")
    print(f"| create_task and await | {created} |")
    print(f"\n`import ctxtrace`: {import_time():.1f} ms, median of {ROUNDS}.\n")


if __name__ == "__main__":
    main()
