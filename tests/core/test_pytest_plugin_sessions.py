"""The pytest plugin in sessions that do not go straight on: collected late or twice, interrupted.

They run in this process. What pytest does not find imported before such a session it forgets
after it, so all that the plugin imports is imported here.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

import pytest

from ctxtrace import pytest_plugin, testing
from ctxtrace.testing import _tape

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., pytest.HookRecorder]

for module in pkgutil.iter_modules(testing.__path__):
    importlib.import_module(f"{testing.__name__}.{module.name}")


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run pytest on a test file and a conftest, in this process."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(tests: str, conftest: str = "") -> pytest.HookRecorder:
        pytester.makepyfile(conftest=conftest, test_session=tests)
        return pytester.inline_run(
            "-pno:cacheprovider", plugins=[pytest_plugin], no_reraise_ctrlc=True
        )

    return run


def outcomes(session: pytest.HookRecorder) -> dict[str, str]:
    """What became of the call of each test, and why, where it failed."""
    return {
        report.nodeid.rpartition("::")[2]: report.longreprtext or report.outcome
        for report in session.getreports("pytest_runtest_logreport")
        if report.when == "call"
    }


_LATE = """\
import pytest

@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if "late" in item.name:
            item.add_marker(pytest.mark.single_trace)
"""


def test_a_marker_that_is_added_last_of_all_counts(run: Run) -> None:
    session = run("def test_marked_late(): pass\ndef test_unmarked(): pass", _LATE)
    what = outcomes(session)
    assert what["test_unmarked"] == "passed"
    assert what["test_marked_late"].startswith("no run was recorded")


_TWICE = """\
def pytest_collection_finish(session):
    if not hasattr(session, "is_collected"):
        session.is_collected = True
        session.perform_collect()
"""


def test_a_session_may_collect_twice(run: Run) -> None:
    session = run("def test_fixture(trace_capture): assert trace_capture.tree == ''", _TWICE)
    assert session.ret == pytest.ExitCode.OK
    assert outcomes(session) == {"test_fixture": "passed"}


_INTERRUPTED = """\
import pytest
from ctxtrace.testing import _tape

@pytest.mark.single_trace
def test_interrupted():
    assert _tape.is_open("langsmith")
    raise KeyboardInterrupt
"""


def test_after_an_interruption_nothing_is_recorded_any_more(run: Run) -> None:
    session = run(_INTERRUPTED)
    assert session.ret == pytest.ExitCode.INTERRUPTED
    assert not _tape.is_open("langsmith")
