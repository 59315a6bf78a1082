"""Run CPython's own tests of generators with LangSmith's @traceable on every generator function.

    python tests/cpython/run_traced_generators.py [--control] [-v]

Under install(); with --control without it, to see what LangSmith alone breaks. Of the tests
that run_generators.py runs, those that are not docstrings; tracing is off, as what is asked is
whether a generator is still the one it was.

Needs LangSmith, and an interpreter with the package ``test``.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

from _decorating import Decorating
from _runner import load, need_tests, parse_options, run_tests

import ctxtrace

_MODULES = ["test.test_generators", "test.test_asyncgen", "test.test_contextlib_async"]

# What fails under install() too, and may.
_FRAMES = "looks at the frames between a generator and who steps it"
_RETURNED = "3.13's close() returns what the generator returned; LangSmith's wrapper drops that"
LEFT = {
    "GeneratorStackTraceTest.test_send_with_yield_from": _FRAMES,
    "GeneratorStackTraceTest.test_throw_with_yield_from": _FRAMES,
    "YieldFromTests.test_generator_gi_yieldfrom": _FRAMES,
    "GeneratorCloseTest.test_close_closed": _RETURNED,
    "GeneratorCloseTest.test_close_return_value": _RETURNED,
    "AsyncGenAsyncioTest.test_async_gen_asyncio_anext_05": (
        "steps an async generator without a loop; LangSmith opens the run in a thread"
    ),
    "AsyncGenAsyncioTest.test_async_gen_asyncio_shutdown_exception_02": (
        "asyncio.run() cancels the closing while LangSmith ends the run in a thread"
    ),
}

_AT_LEAST = 105


def main() -> int:
    options = parse_options()
    need_tests()
    if not options.control:
        # The tests have pools and threads of their own, which are no concern here.
        ctxtrace.install(skip=["thread_pools", "threads", "timers", "multiprocessing_pools"])
    from langsmith import traceable

    def trace(target: Any) -> Any:
        # It takes functions alone, and not what a generator expression made.
        return traceable(target) if inspect.isfunction(target) else target

    decorating = Decorating(trace)
    for name in _MODULES:
        decorating.load(name)
    classes = load(_MODULES, lambda cls: cls.__module__ in _MODULES)
    result = run_tests(classes, [], verbose=options.verbose)
    result.describe("LangSmith's @traceable" + ("" if options.control else " under install()"))
    others = [name for name in result.names if name.partition(".")[2].partition(".")[2] not in LEFT]
    for name in sorted(result.names):
        print(f"  {name}: {LEFT.get(name.partition('.')[2].partition('.')[2], '')}")
    if options.control:
        return 0
    if result.passed < _AT_LEAST:
        print(f"ERROR: only {result.passed} tests passed, at least {_AT_LEAST} must")
        return 1
    return 1 if others else 0


if __name__ == "__main__":
    sys.exit(main())
