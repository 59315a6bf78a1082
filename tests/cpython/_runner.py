"""Run CPython's own tests, with something of ours where they expect something of Python's.

CPython installs its tests as the package ``test`` beside the standard library.

`run` is for a class. The tests take the class under test from its module, so ours is put there
before they are imported. Some of them start an interpreter of their own; the same is done
there. What could make such a run say nothing is checked: that enough tests ran, that they made
instances of ours, and that none of them quietly used the standard class.

What is not a class (run_generators.py) is put among the tests by its own runner, which takes
the rest from here.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any, Callable, NamedTuple


class Place(NamedTuple):
    """Where the standard library keeps the class under test."""

    module: str
    name: str


class Counter:
    """How many instances of the standard class were made, and how many of them are ours."""

    def __init__(self, standard: type, subject: type) -> None:
        self.ours = self.others = 0
        init = standard.__init__

        # On the standard class: ours calls it too.
        @functools.wraps(init)
        def counting(instance: object, *args: Any, **kwargs: Any) -> None:
            if isinstance(instance, subject):
                self.ours += 1
            else:
                self.others += 1
            init(instance, *args, **kwargs)

        standard.__init__ = counting  # type: ignore[misc]


def run(
    *,
    name: str,
    places: list[Place],
    modules: list[str],
    wanted: Callable[[type], bool],
    at_least: int,
    parts: int = 1,
) -> int:
    """Run the wanted test classes of CPython's modules; return the exit status.

    Args:
        name: The class's name in ctxtrace.
        places: All modules that the tests may take the class from.
        modules: CPython's test modules.
        wanted: Which of their test classes to run.
        at_least: How many tests must have passed, skipped ones not counted.
        parts: In how many processes to run them at once, for tests that mostly sleep.
    """
    options = parse_options()
    if parts > 1 and options.part is None:
        return _run_parts(parts, at_least)
    if options.part is not None:
        at_least = 0  # that is for all of them together
    standard = getattr(importlib.import_module(places[0].module), places[0].name)
    if options.control:
        subject = standard
    else:
        subject = getattr(importlib.import_module("ctxtrace"), name)
        assert subject is not standard, f"ctxtrace.{name} is the standard class itself"
        _substitute(subject, places)
        _substitute_in_children(name, places)
    made = Counter(standard, subject)

    who = f"{subject.__module__}.{subject.__qualname__}"
    classes = load(modules, wanted)
    result = run_tests(classes, [], verbose=options.verbose, part=options.part)
    result.describe(who)
    print(f"{made.ours} instances made")

    complaints = result.too_few(at_least)
    # The tests that need an instance and make it in an interpreter of their own are few.
    if made.ours < at_least - 10:
        complaints.append(f"the tests made only {made.ours} instances of {who}")
    if made.others:
        complaints.append(f"{made.others} instances of {standard} were not of {who}")
    return result.finish(complaints, made=made.ours)


def _run_parts(parts: int, at_least: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        counts = [Path(folder, str(number)) for number in range(parts)]
        processes = [
            subprocess.Popen(
                [sys.executable, *sys.argv, "--part", str(number), str(parts)],
                env={**os.environ, "CTXTRACE_COUNTS": str(path)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for number, path in enumerate(counts)
        ]
        for process in processes:
            print(process.communicate()[0])
        if not all(path.exists() for path in counts):
            print("ERROR: one of the processes did not come to its end")
            return 1
        found = [json.loads(path.read_text()) for path in counts]
    passed, failed, made = (
        sum(each[key] for each in found) for key in ("passed", "failed", "made")
    )
    print(f"together: {passed} passed, {failed} failed; {made} instances made")
    _write_counts(passed, failed)
    if passed < at_least or made < at_least - 10:
        print(f"ERROR: too few; at least {at_least} tests must pass, with an instance each")
        return 1
    return max(process.returncode for process in processes)


def parse_options() -> argparse.Namespace:
    """Read the command line, the same for all runners."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--control",
        action="store_true",
        help="test what Python itself has: what fails now is not ours",
    )
    parser.add_argument(
        "--part", type=int, nargs=2, metavar=("NUMBER", "OF"), help="run every OF-th test"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="name each test")
    return parser.parse_args()


class Result:
    """What came of the tests."""

    def __init__(self, groups: list[tuple[str, int]], result: Any, took: float) -> None:
        self._groups = groups
        self._took = took
        self._skipped = result.skipped
        # Tests that failed as they are to, with what they said.
        self.expected: dict[str, str] = {test.id(): text for test, text in result.expectedFailures}
        self.names = [test.id() for test, _ in [*result.failures, *result.errors]]
        self.failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
        apart = len(result.skipped) + len(result.expectedFailures)
        self.passed = result.testsRun - self.failed - apart

    def describe(self, who: str) -> None:
        """Print what was run and what came of it."""
        print(f"\nCPython {sys.version.split()[0]}, its own tests with {who}:")
        for name, count in self._groups:
            print(f"  {name}: {count}")
        for test, why in self._skipped:
            print(f"  skipped by CPython: {test.id()}: {why}")
        expected = f", {len(self.expected)} failed as expected" if self.expected else ""
        print(f"{self.passed} passed, {self.failed} failed{expected} in {self._took:.1f} s")

    def too_few(self, at_least: int) -> list[str]:
        """Complain if too few tests passed."""
        if self.passed >= at_least:
            return []
        return [f"only {self.passed} tests passed, at least {at_least} must"]

    def finish(self, complaints: list[str], **more: int) -> int:
        """Print the complaints, leave the counts for the noxfile; return the exit status."""
        for complaint in complaints:
            print(f"ERROR: {complaint}")
        _write_counts(self.passed, self.failed, **more)
        return 1 if self.failed or complaints else 0


def run_tests(
    classes: list[type[unittest.TestCase]],
    others: list[unittest.TestCase],
    *,
    verbose: bool,
    part: list[int] | None = None,
) -> Result:
    """Run the tests of these classes, and other tests; or every so manieth of them."""
    suites: list[Any] = [unittest.defaultTestLoader.loadTestsFromTestCase(each) for each in classes]
    groups = [
        (f"{each.__module__}.{each.__name__}", suite.countTestCases())
        for each, suite in zip(classes, suites)
    ]
    groups += [(test.id(), 1) for test in others]
    began = time.monotonic()
    runner = unittest.TextTestRunner(sys.stdout, verbosity=2 if verbose else 1)
    tests = [test for suite in [*suites, others] for test in suite]
    number, of = part or (0, 1)
    result = runner.run(unittest.TestSuite(tests[number::of]))
    return Result(groups, result, time.monotonic() - began)


def _substitute(subject: type, places: list[Place]) -> None:
    for place in places:
        module = importlib.import_module(place.module)
        assert hasattr(module, place.name), f"{place.module} has no {place.name}"
        setattr(module, place.name, subject)


def _substitute_in_children(name: str, places: list[Place]) -> None:
    """Do the same in the interpreters that the tests start with ``-c``."""
    from test.support import script_helper

    here = str(Path(__file__).parent)
    preamble = (
        f"import sys; sys.path.insert(0, {here!r}); import _runner, ctxtrace; "
        f"_runner._substitute(ctxtrace.{name}, "
        f"[_runner.Place(*each) for each in {[tuple(each) for each in places]!r}]); "
        "del sys.path[0]\n"
    )
    start = script_helper.run_python_until_end

    def start_with_ours(*args: str, **variables: Any) -> Any:
        arguments = list(args)
        if "-c" in arguments:
            code = arguments.index("-c") + 1
            arguments[code] = preamble + arguments[code]
        return start(*arguments, **variables)

    script_helper.run_python_until_end = start_with_ours


def load(modules: list[str], wanted: Callable[[type], bool]) -> list[type[unittest.TestCase]]:
    """Return the wanted test classes of CPython's modules."""
    need_tests()
    classes: dict[str, type[unittest.TestCase]] = {}
    for module in map(importlib.import_module, modules):
        for each in vars(module).values():
            if isinstance(each, type) and issubclass(each, unittest.TestCase) and wanted(each):
                classes[f"{each.__module__}.{each.__qualname__}"] = each
    return list(classes.values())


def need_tests() -> None:
    """Say so if this interpreter came without CPython's tests."""
    try:
        support: Any = importlib.import_module("test.support")
    except ImportError:
        raise SystemExit(
            f"{sys.executable} (CPython {sys.version.split()[0]}) has no package 'test', so "
            "CPython's own tests cannot run. Interpreters built by pyenv or installed from "
            "python.org have it; those that uv downloads have not."
        ) from None
    support.verbose = 0  # the tests would print how long each took


def _write_counts(passed: int, failed: int, **more: int) -> None:
    """Tell the noxfile's summary how many tests ran; tests/conftest.py does the same."""
    path = os.environ.get("CTXTRACE_COUNTS")
    if path:
        Path(path).write_text(json.dumps({"passed": passed, "failed": failed, **more}))
