"""The pytest plugin on a whole suite: tests of all kinds, in the workers of pytest-xdist."""

from __future__ import annotations

import pytest
from core.inner_pytest import Result, Suite, said
from vendors.plugin_programs import SPANS

_ALL = '''\
import unittest

import pytest
from program import OURS, STANDARD, answer, single_trace, span

def test_whole():
    answer(OURS)

def test_split():
    answer(STANDARD)

def test_without_runs():
    pass

@single_trace
def test_marked_without_runs():
    pass

@single_trace(False)
def test_opts_out():
    answer(STANDARD)

class TestOfUnittest(unittest.TestCase):
    def test_whole(self):
        answer(OURS)

    def test_split(self):
        answer(STANDARD)

    def test_own_error(self):
        answer(STANDARD)
        self.assertEqual(1 + 1, 3)

def whole():
    """
    >>> answer(OURS)
    """

def split():
    """
    >>> answer(STANDARD)
    """
'''

_UNITTEST = """\
import unittest
from program import OURS, STANDARD, answer, single_trace

@single_trace
class TestMarked(unittest.TestCase):
    def setUp(self):
        answer(OURS)

    def test_whole(self):
        pass

    def test_split(self):
        answer(OURS)

    @single_trace(False)
    def test_opts_out(self):
        answer(OURS)
"""

ALL = Suite(
    {"program.py": SPANS, "test_all.py": _ALL, "test_unittest.py": _UNITTEST},
    "--doctest-modules",
    "--ctxtrace-tree",
    "-n2",
    "test_all.py",
    "test_unittest.py",
    plugins=("ctxtrace", "xdist"),
    ini="ctxtrace_single_trace = all",
)


@pytest.fixture
def all_(request: pytest.FixtureRequest) -> Result:
    """Two workers of pytest-xdist, and every test held to a single trace."""
    return ALL.run(request)


@pytest.mark.parametrize(
    "name", ["test_all.py::test_whole", "TestOfUnittest::test_whole", "test_all.whole"]
)
def test_under_all_a_test_of_any_kind_that_is_whole_passes(all_: Result, name: str) -> None:
    assert all_[name].what == "passed"


@pytest.mark.parametrize(
    "name", ["test_all.py::test_split", "TestOfUnittest::test_split", "test_all.split"]
)
def test_under_all_a_test_of_any_kind_that_splits_fails(all_: Result, name: str) -> None:
    outcome = all_[name]
    assert outcome.what == "failed"
    said(outcome.text, "  answer", "  look up  ✗ split (thread pool_0)")


def test_an_own_error_of_a_testcase_has_its_tree_as_a_section(all_: Result) -> None:
    outcome = all_["TestOfUnittest::test_own_error"]
    assert outcome.what == "failed"
    said(outcome.text, "E       AssertionError: 2 != 3")
    said(
        outcome.sections["Captured trace call"],
        "answer",
        "look up  ✗ split (thread pool_0)",
        "look up  split: started a trace of its own",
    )


def test_under_all_a_test_without_runs_passes(all_: Result) -> None:
    assert all_["test_without_runs"].what == "passed"


def test_under_all_a_marked_test_without_runs_fails(all_: Result) -> None:
    outcome = all_["test_marked_without_runs"]
    assert outcome.what == "failed"
    assert "no run was recorded" in outcome.text


def test_under_all_a_test_may_opt_out(all_: Result) -> None:
    assert all_["test_all.py::test_opts_out"].what == "passed"


def test_the_marker_on_a_testcase_holds_for_each_of_its_tests(all_: Result) -> None:
    assert all_["TestMarked::test_whole"].what == "passed"
    outcome = all_["TestMarked::test_split"]
    assert outcome.what == "failed"
    said(outcome.text, "  answer", "  answer  ✗ split (thread MainThread)")
    assert all_["TestMarked::test_opts_out"].what == "passed"


def test_the_trees_of_all_tests_are_printed_by_the_session_that_starts_the_workers(
    all_: Result,
) -> None:
    lines = all_.output.splitlines()
    for tree in (
        ["test_all.py::test_whole", "  answer", "  └─ look up"],
        ["test_all.py::test_split", "  answer", "  look up  ✗ split (thread pool_0)"],
        ["test_all.py::test_without_runs", "  (no run)"],
        ["test_all.py::test_all.whole", "  answer", "  └─ look up"],
    ):
        at = lines.index(tree[0])
        assert lines[at : at + len(tree)] == tree
