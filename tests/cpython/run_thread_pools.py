"""Run CPython's own tests of thread pools with ctxtrace.ThreadPoolExecutor.

    python tests/cpython/run_thread_pools.py [--control] [-v]

Needs an interpreter with the package ``test``, with these tests in it.
"""

from __future__ import annotations

import sys

from _runner import Place, run

if sys.version_info >= (3, 12):
    _PACKAGE = "test.test_concurrent_futures"
    _MODULES = [
        f"{_PACKAGE}.{name}"
        for name in (
            "test_as_completed",
            "test_init",
            "test_shutdown",
            "test_thread_pool",
            "test_wait",
        )
    ]
else:
    _MODULES = ["test.test_concurrent_futures"]

# What the standard class passes on CPython 3.9.18, 3.10.13 and 3.13.0, less a few for other
# patch releases.
_AT_LEAST = {(3, 9): 41, (3, 10): 43, (3, 13): 43}

if __name__ == "__main__":
    sys.exit(
        run(
            name="ThreadPoolExecutor",
            places=[
                Place("concurrent.futures.thread", "ThreadPoolExecutor"),
                Place("concurrent.futures", "ThreadPoolExecutor"),
            ],
            modules=_MODULES,
            wanted=lambda cls: cls.__name__.startswith("ThreadPool"),
            parts=4,
            at_least=_AT_LEAST.get(sys.version_info[:2], 40),
        )
    )
