"""What holds for every test: it is not skipped, and it leaves nothing behind."""

from __future__ import annotations

import decimal
import gc
import json
import os
import threading
import time
from contextvars import Context, ContextVar, copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from core.support import without_garbage_collection
from hypothesis import given, settings, strategies

if TYPE_CHECKING:
    from collections.abc import Iterator

# The tests of the plugin run pytest on suites of their own.
pytest_plugins = ["pytester"]

# decimal makes its context when it is first asked for. Made here, it is no test's doing.
decimal.getcontext()

# How long a thread that was told to stop may take to be gone.
_GRACE = 5.0

# trio keeps the threads it ran something in, idle and under this name, for 10 s.
_IDLE_THREADS = ("Trio thread ",)

_MISSING = object()

_skipped: list[str] = []
_counts = {"passed": 0, "failed": 0}


@settings(max_examples=1, database=None)
@given(strategies.none())
def _use_hypothesis(_: None) -> None:
    pass


@pytest.fixture(scope="module", autouse=True)
def _collections_leave_out_what_stays() -> None:
    # What was imported stays, and so does what pytest keeps of each test: a million objects, that
    # a test which collects need not go through again. Half the time of all tests went there.
    # Hypothesis makes a generator of random numbers when first used, and looks whether anything
    # holds it: what is frozen it would not find.
    _use_hypothesis()
    gc.collect()
    gc.freeze()


@pytest.fixture
def no_gc() -> Iterator[None]:
    """What is not freed by reference counts alone stays alive until the test collects it."""
    with without_garbage_collection():
        yield


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    threads = set(threading.enumerate())
    before = copy_context()
    yield
    # Both are looked at before either is reported, and the test's own failure comes first.
    variables = _variables_that_changed(before, copy_context())
    alive = _still_alive(set(threading.enumerate()) - threads)
    complaints = []
    if variables:
        complaints.append("context variables set: " + "; ".join(variables))
    if alive:
        complaints.append("threads alive: " + ", ".join(map(repr, alive)))
    if complaints:
        pytest.fail("the test left behind " + " and ".join(complaints), pytrace=False)


def _still_alive(threads: set[threading.Thread]) -> list[threading.Thread]:
    deadline = time.monotonic() + _GRACE
    for thread in threads:
        if not thread.name.startswith(_IDLE_THREADS):
            thread.join(max(0.0, deadline - time.monotonic()))
    return [
        thread
        for thread in threads
        if thread.is_alive() and not thread.name.startswith(_IDLE_THREADS)
    ]


def _variables_that_changed(before: Context, after: Context) -> list[str]:
    """Compare what is seen in two contexts, by identity.

    A variable that was unset and now has its default, as LangSmith's have after
    ``tracing_context``, looks the same to everyone.
    """
    names = []
    for variable in {*before, *after}:
        then = before.run(_seen, variable)
        now = after.run(_seen, variable)
        if then is not now:
            names.append(f"{variable.name} = {_short(now)}, was {_short(then)}")
    return sorted(names)


def _seen(variable: ContextVar[Any]) -> object:
    try:
        return variable.get()
    except LookupError:
        return _MISSING


def _short(value: object) -> str:
    return "unset" if value is _MISSING else repr(value)[:200]


# A test that is skipped says nothing, and nobody looks: here it fails the run.


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        _skipped.append(report.nodeid)
    elif report.failed:
        _counts["failed"] += 1


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped:
        if not hasattr(report, "wasxfail"):  # an expected failure is reported as skipped
            _skipped.append(report.nodeid)
    elif report.failed:
        # In its set-up, in itself or in its tear-down.
        _counts["failed"] += 1
    elif report.when == "call":
        _counts["passed"] += 1


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if _skipped and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    path = os.environ.get("CTXTRACE_COUNTS")
    if hasattr(session.config, "workerinput"):
        return  # of pytest-xdist, which reports to the session that started it
    if path:  # for the noxfile's summary
        counts = {**_counts, "failed": _counts["failed"] + len(_skipped)}
        Path(path).write_text(json.dumps(counts))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _skipped:
        return
    terminalreporter.section("skipped tests fail the run", red=True)
    for nodeid in _skipped:
        terminalreporter.line(f"skipped: {nodeid}")
    terminalreporter.line(
        "Where a test holds on some Pythons only, define it under "
        "'if sys.version_info >= ...:', with the others' counterpart beside it."
    )
