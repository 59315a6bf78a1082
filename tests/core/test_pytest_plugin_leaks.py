"""The pytest plugin on tests that leave a run current, of a tracer of their own."""

from __future__ import annotations

import pytest
from core.inner_pytest import Result, Suite, said

# A tracer that ctxtrace knows by its carrier alone.
_OWN_TRACER = """\
import contextvars
import ctxtrace
import pytest

current = contextvars.ContextVar("current", default=None)

class Tracer(ctxtrace.Carrier):
    name = "own tracer"

    def current(self):
        return current.get() and (current.get(), current.get())

    def clear(self):
        current.set(None)

    def variables(self):
        return (current,)

ctxtrace.register_carrier(Tracer())

def test_control_leaves_a_run():
    current.set("left by a test")

def test_control_sees_the_run_of_the_test_before():
    assert current.get() == "left by a test"
    current.set(None)

def test_leaves_a_run(trace_capture):
    current.set("left\\x1b[1m by a test")

def test_does_not_see_the_run_of_the_test_before():
    assert current.get() is None

def test_fails_by_itself(trace_capture):
    current.set("left by a test")
    assert 1 + 1 == 3

def test_does_not_see_the_run_of_the_test_that_failed():
    assert current.get() is None

@pytest.fixture
def run():
    token = current.set("opened by a fixture")
    yield
    current.reset(token)

def test_leaves_the_run_of_its_fixture(run, trace_capture):
    assert current.get() == "opened by a fixture"

@pytest.fixture
def end():
    token = current.set("opened by a fixture")
    return lambda: current.reset(token)

def test_ends_the_run_of_its_fixture(end, trace_capture):
    end()

def test_does_not_see_the_run_that_was_ended():
    assert current.get() is None

def test_leaves_another_run_than_that_of_its_fixture(run, trace_capture):
    current.set("left by a test")
"""

LEAVING = Suite({"test_own_tracer.py": _OWN_TRACER})


@pytest.fixture
def leaving(request: pytest.FixtureRequest) -> Result:
    return LEAVING.run(request)


def test_control_without_the_fixture_the_next_test_sees_what_a_test_left(leaving: Result) -> None:
    assert leaving["test_control_leaves_a_run"].what == "passed"
    assert leaving["test_control_sees_the_run_of_the_test_before"].what == "passed"


def test_a_test_that_leaves_a_run_current_fails_and_names_it(leaving: Result) -> None:
    outcome = leaving["test_leaves_a_run"]
    assert outcome.what == "failed"
    said(outcome.text, "*own tracer: the run 'left[[]1m by a test' is still current, and none was*")


def test_the_next_test_does_not_see_what_a_test_left(leaving: Result) -> None:
    assert leaving["test_does_not_see_the_run_of_the_test_before"].what == "passed"


def test_the_next_test_does_not_see_what_a_failed_test_left(leaving: Result) -> None:
    assert leaving["test_fails_by_itself"].what == "failed"
    assert leaving["test_does_not_see_the_run_of_the_test_that_failed"].what == "passed"


def test_a_test_may_leave_the_run_of_its_fixture_as_it_was_or_ended(leaving: Result) -> None:
    assert leaving["test_leaves_the_run_of_its_fixture"].what == "passed"
    assert leaving["test_ends_the_run_of_its_fixture"].what == "passed"
    assert leaving["test_does_not_see_the_run_that_was_ended"].what == "passed"


def test_a_test_that_leaves_another_run_than_that_of_its_fixture_fails(leaving: Result) -> None:
    outcome = leaving["test_leaves_another_run_than_that_of_its_fixture"]
    assert outcome.what == "failed"
    said(outcome.text, "*'left by a test' is still current, and 'opened by a fixture' was before")
