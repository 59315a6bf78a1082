"""Run the examples in docstrings, each with a result of its own.

To doctest, a docstring has failed when one of its examples has. Of those that are known to fail
here there is one in a docstring of forty, and the others are to count.
"""

from __future__ import annotations

import doctest
import io
import unittest
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import ModuleType


class Docstring(unittest.TestCase):
    """The examples of one docstring, of which some must fail.

    An example is named after its docstring and its source. Where the same source stands there
    several times, the same is expected each time.
    """

    def __init__(self, test: doctest.DocTest, must_fail: Collection[str]) -> None:
        super().__init__()
        self._test = test
        self.results = _Results(must_fail)

    @classmethod
    def all_in(cls, module: ModuleType, must_fail: Collection[str]) -> list[Docstring]:
        tests = doctest.DocTestFinder().find(module)
        return [cls(test, must_fail) for test in tests if test.examples]

    def id(self) -> str:
        return self._test.name

    __str__ = id

    def runTest(self) -> None:
        out = io.StringIO()
        self.results.run(self._test, out=out.write, clear_globs=False)
        # Not before the last example's output was taken: what is closed here may print.
        self._test.globs.clear()
        if self.results.failed:
            self.fail(out.getvalue())
        if self.results.count() < len(self._test.examples):
            self.fail("some of its examples were skipped")


class _Results(doctest.DocTestRunner):
    def __init__(self, must_fail: Collection[str]) -> None:
        super().__init__(verbose=False)
        self._must_fail = must_fail
        self.passed = self.failed = 0
        # Those that failed as they are to, with what they gave.
        self.expected: list[tuple[str, str]] = []

    def count(self) -> int:
        return self.passed + self.failed + len(self.expected)

    def report_success(self, out: Callable[[str], Any], test: Any, example: Any, got: str) -> None:
        name = _name(test, example)
        if name in self._must_fail:
            self.failed += 1
            out(f"It passes, and is on the list of those that must fail: {name}\n")
        else:
            self.passed += 1

    def report_failure(self, out: Any, test: Any, example: Any, got: str) -> None:
        if self._is_news(test, example, got):
            super().report_failure(out, test, example, got)

    def report_unexpected_exception(self, out: Any, test: Any, example: Any, exc_info: Any) -> None:
        if self._is_news(test, example, repr(exc_info[1])):
            super().report_unexpected_exception(out, test, example, exc_info)

    def _is_news(self, test: Any, example: Any, got: str) -> bool:
        """Note a failure; return whether it is to be reported."""
        name = _name(test, example)
        if name in self._must_fail:
            self.expected.append((name, got))
            return False
        self.failed += 1
        return True


def _name(test: Any, example: Any) -> str:
    return f"{test.name}: {example.source.strip()}"
