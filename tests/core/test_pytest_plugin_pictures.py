"""The pytest plugin: where it shows what came of a test, and what it must not stumble over."""

from __future__ import annotations

import pytest
from core.inner_pytest import Result, Suite, said

# In the place of a tracer: runs that are told of as a recorder does.
_TAPE = """\
import contextlib
import itertools
from ctxtrace.testing import _tape

_ids = map("{}".format, itertools.count())

@contextlib.contextmanager
def run(name, parent=None):
    id = next(_ids)
    _tape.started("langsmith", id, parent, name, 0.0)
    yield id
    _tape.updated(id, ended=True, error=False)

def circle():
    _tape.started("langsmith", "hen", "egg", "hen", 0.0)
    _tape.started("langsmith", "egg", "hen", "egg", 0.0)
    for id in ("hen", "egg"):
        _tape.updated(id, ended=True, error=False)
"""

_TESTS = """\
import pytest
from tape import circle, run

@pytest.fixture(scope="module")
def request_():
    with run("request") as id:
        yield id

def test_below_a_fixture(request_):
    with run("answer", request_):
        pass

@pytest.mark.single_trace
def test_error_below_a_fixture(request_):
    with run("answer", request_), run("look up"):
        raise LookupError("its own")

def test_nested_below_a_fixture(request_, trace_capture):
    with run("answer", request_):
        trace_capture.assert_nested("request > look up")

class Mute(Exception):
    def __str__(self):
        raise ValueError("no words")

@pytest.mark.single_trace
def test_error_without_words():
    with run("answer"):
        pass
    raise Mute

def test_circle():
    circle()

@pytest.mark.single_trace
def test_judged_circle():
    circle()

@pytest.mark.single_trace
def test_error_and_circle():
    circle()
    raise LookupError("its own")

def test_after_the_circles():
    with run("answer"):
        pass
"""

PICTURES = Suite({"tape.py": _TAPE, "test_pictures.py": _TESTS}, "--ctxtrace-tree")


@pytest.fixture
def pictures(request: pytest.FixtureRequest) -> Result:
    return PICTURES.run(request)


def tree_of(result: Result, name: str) -> list[str]:
    """What pytest printed at its end as the tree of the test."""
    _, lines = result.output.split("= traces =", 1)
    rows = iter(lines.splitlines())
    next(row for row in rows if row.endswith(f"::{name}"))
    tree: list[str] = []
    for row in rows:
        if not row.startswith("  "):
            break
        tree.append(row[2:])
    return tree


# A run of a fixture, which ends after the test.


def test_the_tree_does_not_call_the_open_run_of_a_fixture_unfinished(pictures: Result) -> None:
    assert tree_of(pictures, "test_below_a_fixture") == ["request", "└─ answer"]


def test_the_section_does_not_call_the_open_run_of_a_fixture_unfinished(pictures: Result) -> None:
    section = pictures["test_error_below_a_fixture"].sections["Captured trace call"]
    # The test did not come to the end of its own runs.
    assert section.splitlines()[:3] == [
        "request",
        "└─ answer  ✗ unfinished",
        "look up  ✗ split, unfinished (thread MainThread)",
    ]


def test_a_missing_nesting_does_not_call_the_open_run_of_a_fixture_unfinished(
    pictures: Result,
) -> None:
    outcome = pictures["test_nested_below_a_fixture"]
    assert outcome.what == "failed"
    said(outcome.text, "E*no run nests as request > look up", "E*  request", "E*  └─ answer  ✗ *")


def test_the_section_says_where_a_split_run_started(pictures: Result) -> None:
    section = pictures["test_error_below_a_fixture"].sections["Captured trace call"]
    said(
        section,
        "look up  split: started a trace of its own",
        "    thread MainThread, code at t*.py:*",
    )


# What makes no text, and what makes no tree.


def test_an_error_that_has_no_words_stays_the_headline(pictures: Result) -> None:
    outcome = pictures["test_error_without_words"]
    assert outcome.what == "failed"
    said(outcome.text, ">       raise Mute", "test_pictures.py:*: Mute")
    assert outcome.sections["Captured trace call"].startswith("answer")


NO_TREE = "records are each other's ancestors, or below such: 'hen', 'egg'"


def test_of_runs_that_are_each_others_parents_the_tree_says_so(pictures: Result) -> None:
    assert pictures["test_circle"].what == "passed"
    assert tree_of(pictures, "test_circle") == [NO_TREE]


def test_runs_that_are_each_others_parents_are_no_single_trace(pictures: Result) -> None:
    outcome = pictures["test_judged_circle"]
    assert (outcome.what, outcome.text) == ("failed", NO_TREE)


def test_beside_runs_that_are_each_others_parents_a_tests_own_error_is_the_headline(
    pictures: Result,
) -> None:
    outcome = pictures["test_error_and_circle"]
    assert outcome.what == "failed"
    said(outcome.text, "E       LookupError: its own")
    assert NO_TREE not in outcome.text


def test_runs_that_are_each_others_parents_do_not_stop_the_session(pictures: Result) -> None:
    assert pictures.status == pytest.ExitCode.TESTS_FAILED
    assert tree_of(pictures, "test_after_the_circles") == ["answer"]
