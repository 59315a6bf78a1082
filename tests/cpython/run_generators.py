"""Run CPython's own tests of generators with ctxtrace.streaming on every generator in them.

    python tests/cpython/run_generators.py [--control] [-v]

They are the tests of generators, of async generators, and of what contextlib makes of the
latter. Nowhere do they take a generator from a module, so the decorator is put into their
sources, the examples in docstrings among them: see _decorating.py.

Needs an interpreter with the package ``test``.
"""

from __future__ import annotations

import doctest
import functools
import sys
import unittest
from types import GeneratorType
from typing import TYPE_CHECKING, Any, NamedTuple

from _decorating import Decorating
from _examples import Docstring
from _runner import load, need_tests, parse_options, run_tests

import ctxtrace
from ctxtrace import _drive

if TYPE_CHECKING:
    from collections.abc import Collection

_MODULES = ["test.test_generators", "test.test_asyncgen", "test.test_contextlib_async"]


class Leftover(NamedTuple):
    """Why a test cannot pass, and what is in its failure. Another failure is not that one."""

    reason: str
    symptom: str
    # Whether the test is in all releases named at _AT_LEAST. The others came later.
    old: bool = True


_IN_THE_STACK = Leftover(
    "compares the names on the stack: the driver's frame lies between the generator's and the "
    "caller's",
    "['g', '_drive_generator'] != ['g']",
)

# What cannot pass. It must fail, so that nothing stays here that need not.
EXPECTED = {
    "test.test_generators.GeneratorStackTraceTest.test_send_with_yield_from": _IN_THE_STACK,
    "test.test_generators.GeneratorStackTraceTest.test_throw_with_yield_from": _IN_THE_STACK,
    "test.test_generators.YieldFromTests.test_generator_gi_yieldfrom": Leftover(
        "reads gi_yieldfrom: the driver's frame stands at a `yield` of its own, also where the "
        "generator's stands at a `yield from`",
        "'NoneType' object has no attribute 'gi_code'",
    ),
    "test.test_generators.__test__.syntax: g.gi_code is f.__code__": Leftover(
        "compares code objects: the generator's is the driver's, the function's its own",
        "False",
    ),
    "test.test_generators.__test__.email: type(g)": Leftover(
        "asks for the exact type of the function: the decorated one is a proxy, which "
        "isinstance() and inspect take for a function and type() does not",
        "ctxtrace._function.Function",
    ),
    # These two came with the repair of a crash, in later releases of 3.12 and 3.13.
    "test.test_generators.ModifyUnderlyingIterableTest.test_modify_f_locals": Leftover(
        "sets variables in the frame at gi_frame: that is the driver's",
        "Lists differ: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] != []",
        old=False,
    ),
    "test.test_generators.ModifyUnderlyingIterableTest.test_new_gen_from_gi_code": Leftover(
        "makes a function of gi_code: that is the driver's",
        "_drive_generator() missing",
        old=False,
    ),
}


class AtLeast(NamedTuple):
    """What a run must come to, to say something."""

    tests: int
    examples: int
    generators: int
    async_generators: int


# What CPython 3.9.18, 3.10.13, 3.11.7, 3.12.1 and 3.13.0 come to, less a few for other patch
# releases.
_AT_LEAST = {
    (3, 9): AtLeast(tests=120, examples=265, generators=5000, async_generators=65),
    (3, 10): AtLeast(tests=143, examples=265, generators=5000, async_generators=110),
    (3, 11): AtLeast(tests=153, examples=265, generators=5000, async_generators=120),
    (3, 12): AtLeast(tests=158, examples=270, generators=5000, async_generators=120),
    (3, 13): AtLeast(tests=180, examples=270, generators=5000, async_generators=135),
}


class Driven:
    """How many generators and async generators ctxtrace drives, from now on."""

    def __init__(self) -> None:
        self.generators = self.async_generators = 0
        take = _drive._Inner.take  # what each driver is to drive

        @functools.wraps(take)
        def counting(inner: Any, generator: Any, *args: Any) -> bool:
            if type(generator) is GeneratorType:
                self.generators += 1
            else:
                self.async_generators += 1
            return take(inner, generator, *args)

        _drive._Inner.take = counting  # type: ignore[method-assign]

    def too_few(self, at_least: AtLeast) -> list[str]:
        return [
            f"ctxtrace drove only {count} {what}, at least {wanted} must be"
            for what, count, wanted in (
                ("generators", self.generators, at_least.generators),
                ("async generators", self.async_generators, at_least.async_generators),
            )
            if count < wanted
        ]


def main() -> int:
    options = parse_options()
    need_tests()
    driven = Driven()
    decorating = Decorating(_unchanged if options.control else ctxtrace.streaming)
    doctest.compile = decorating.compile  # type: ignore[attr-defined]
    modules = [decorating.load(name) for name in _MODULES]
    expected = {} if options.control else EXPECTED

    classes = load(_MODULES, lambda cls: cls.__module__ in _MODULES)
    _expect_failures(classes, expected)
    docstrings = [each for module in modules for each in Docstring.all_in(module, expected)]
    result = run_tests(classes, docstrings, verbose=options.verbose)

    examples = sum(each.results.passed for each in docstrings)
    of_examples = [failure for each in docstrings for failure in each.results.expected]
    failures = [*result.expected.items(), *of_examples]
    result.describe("generators as they are" if options.control else "ctxtrace.streaming")
    print(f"{examples} examples in docstrings passed, {len(of_examples)} failed as expected")
    for name in dict.fromkeys(name for name, _ in failures):
        print(f"  {name}: {expected[name].reason}")
    print(
        f"{decorating.decorated} generators in the sources decorated, {decorating.coroutines} "
        "under types.coroutine left alone"
    )
    print(f"{driven.generators} generators and {driven.async_generators} async generators driven")

    at_least = _AT_LEAST.get(sys.version_info[:2], _AT_LEAST[max(_AT_LEAST)])
    complaints = [*result.too_few(at_least.tests), *_surprises(expected, failures)]
    if examples < at_least.examples:
        complaints.append(f"only {examples} examples passed, at least {at_least.examples} must")
    if not options.control:
        complaints += driven.too_few(at_least)
    return result.finish(complaints)


def _unchanged(target: Any) -> Any:
    return target


def _expect_failures(classes: list[type[unittest.TestCase]], expected: Collection[str]) -> None:
    for each in classes:
        for name in unittest.defaultTestLoader.getTestCaseNames(each):
            if f"{each.__module__}.{each.__qualname__}.{name}" in expected:
                unittest.expectedFailure(getattr(each, name))


def _surprises(expected: dict[str, Leftover], failures: list[tuple[str, str]]) -> list[str]:
    """Complain of failures of another kind than expected, and of those that did not come."""
    others = [
        f"{name} failed, but not with {expected[name].symptom!r}: {text}"
        for name, text in failures
        if expected[name].symptom not in text
    ]
    failed = {name for name, _ in failures}
    missing = [name for name, each in expected.items() if each.old and name not in failed]
    return others + [f"{name} is expected to fail, and did not" for name in missing]


if __name__ == "__main__":
    sys.exit(main())
