"""Run pytest in a process of its own on a suite of small tests, and say what became of each.

Such a process takes up to two seconds, most of them for imports. So each suite has many tests
and is run once; the tests outside look at one test inside, or at one line of the output.
"""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

# What holds for our own tests holds inside.
_INI = """\
[pytest]
filterwarnings =
    error
    ignore:The default value of `allowed_objects` will change:PendingDeprecationWarning
"""

_REPORTER = """\
import json

_reports = {}


def pytest_runtest_logreport(report):
    _reports.setdefault(report.nodeid, []).append(
        {
            "when": report.when,
            "outcome": report.outcome,
            "expected": hasattr(report, "wasxfail"),
            "text": report.longreprtext,
            "sections": report.sections,
        }
    )


def pytest_sessionfinish(session):
    if not hasattr(session.config, "workerinput"):
        with open("reports.json", "w", encoding="utf-8") as file:
            json.dump(_reports, file)
"""


class Outcome(NamedTuple):
    """What became of a test inside.

    Attributes:
        what: As pytest's last line would have it: "passed", "failed", "skipped", "xfailed",
            "xpassed", or "error" for one that failed in its set-up or tear-down.
        text: What pytest says of the failure, or of why it was skipped.
        sections: What else was reported, by title.
    """

    what: str
    text: str
    sections: dict[str, str]


class Result:
    """What became of a suite."""

    def __init__(self, run: pytest.RunResult, reports: Mapping[str, list[dict[str, Any]]]) -> None:
        self.status = run.ret
        self.output = run.stdout.str()
        self.errors = run.stderr.str()
        self._reports = reports

    def __getitem__(self, name: str) -> Outcome:
        """Return the outcome of the only test whose identifier ends with the name."""
        found = [key for key in self._reports if f"/{key}".endswith((f"/{name}", f"::{name}"))]
        assert len(found) == 1, f"{name} is {found} in\n{self.output}\n{self.errors}"
        return _outcome(self._reports[found[0]])

    def names(self) -> list[str]:
        """Return the names of all tests, in the order in which they ran."""
        return [key.rpartition("::")[2] for key in self._reports]


def _outcome(reports: list[dict[str, Any]]) -> Outcome:
    what, text = "passed", ""
    for report in reports:
        if report["outcome"] == "failed":
            what, text = ("failed" if report["when"] == "call" else "error"), report["text"]
        elif report["expected"]:
            what = "xfailed" if report["outcome"] == "skipped" else "xpassed"
        elif report["outcome"] == "skipped":
            what, text = "skipped", report["text"]
    return Outcome(what, text, dict(each for report in reports for each in report["sections"]))


class Suite:
    """A suite of tests, and how pytest is to be run on it.

    Args:
        files: The files by name.
        arguments: What pytest is given.
        plugins: The plugins to load, and no others: what is installed here may differ. None
            loads all, as a user's pytest does.
        ini: Lines for the ini file.
        environment: Variables of the environment.
    """

    def __init__(
        self,
        files: dict[str, str],
        *arguments: str,
        plugins: tuple[str, ...] | None = ("ctxtrace",),
        ini: str = "",
        environment: dict[str, str] | None = None,
    ) -> None:
        self._files = {**files, "pytest.ini": f"{_INI}{ini}\n", "reporter.py": _REPORTER}
        names = ["reporter", *(plugins or ())]
        self._arguments = ["-p", "no:cacheprovider", *(f"-p{name}" for name in names), *arguments]
        self._environment = dict(environment or {})
        if plugins is not None:
            self._environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        self._result: Result | None = None

    def run(self, request: pytest.FixtureRequest) -> Result:
        """Run the suite, if it was not run in this process before."""
        if self._result is None:
            self._result = self._run(
                request.getfixturevalue("pytester"), request.getfixturevalue("monkeypatch")
            )
        return self._result

    def _run(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Result:
        for name, text in self._files.items():
            path = pytester.path / name
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        # Where either is set pytest shows comparisons in full, and what is shown in full is not
        # shown again.
        for name in ("CI", "BUILD_NUMBER"):
            monkeypatch.delenv(name, raising=False)
        for name, value in self._environment.items():
            monkeypatch.setenv(name, value)
        # The order of the calls counts: what asks for the files of a test names this folder.
        run = pytester.runpytest_subprocess(*self._arguments, timeout=60)
        written = pytester.path / "reports.json"
        return Result(run, json.loads(written.read_text("utf-8")) if written.exists() else {})


def said(text: str, *lines: str) -> None:
    """Check that the text has these lines in this order, with others between; ``*`` stands for
    anything."""
    pytest.LineMatcher(text.splitlines()).fnmatch_lines(lines)
