"""A pytest plugin that tells run_peers.py what came of each test, as soon as it is known."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

# From good to bad: a test has several reports, and the worst of them counts.
_WORSE = ("passed", "xfailed", "skipped", "xpassed", "failed", "error")

_file = Path(os.environ["CTXTRACE_OUTCOMES"])
_outcomes: dict[str, tuple[str, str]] = {}


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        _write(report.nodeid, "error", str(report.longrepr))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    outcome = report.outcome
    if outcome == "passed" and report.when != "call":
        return
    if hasattr(report, "wasxfail"):
        outcome = "xfailed" if report.skipped else "xpassed"
    elif outcome == "failed" and report.when != "call":
        outcome = "error"
    known = _outcomes.get(report.nodeid)
    if outcome in _WORSE and (known is None or _worse(outcome, known[0])):
        _outcomes[report.nodeid] = (outcome, str(report.longrepr or ""))


def pytest_runtest_logfinish(nodeid: str) -> None:
    _write(nodeid, *_outcomes.pop(nodeid, ("no report", "")))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")

    def leave() -> None:
        # Without the exit handlers: some of LangSmith's tests leave behind what waits for minutes
        # for a server, with install() or without.
        if reporter is not None:
            reporter.flush()
        os._exit(int(session.exitstatus))

    session.config.add_cleanup(leave)


def _worse(outcome: str, than: str) -> bool:
    return _WORSE.index(outcome) > _WORSE.index(than)


def _write(nodeid: str, outcome: str, said: str) -> None:
    # At once: if the process dies, what it did is known.
    with _file.open("a") as file:
        file.write(json.dumps([nodeid, outcome, said[-4000:]]) + "\n")
