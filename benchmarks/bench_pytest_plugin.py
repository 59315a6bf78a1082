"""What the pytest plugin costs: a suite that uses it, and one that does not.

Each figure is the median over pairs of whole runs of pytest, taken in turns. Of the suites that
use the fixture the loop over the tests is timed, so that neither the start of Python nor the
imports hide what a test pays; that is done with a suite of tests that do nothing, which is
the worst case, and with one whose tests trace two runs, with LangSmith on either way. Of the
suite that does not use the plugin it is the processor time of the whole process.

Prints a Markdown report. The targets are for a quiet machine.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from _paired import ROUNDS, compare, interleaved

if TYPE_CHECKING:
    from collections.abc import Callable

TESTS = 1_000
STRANGERS_TESTS = 100

WITHOUT, WITH = "without the fixture", "with trace_capture"

CONFTEST = """
import sys, time
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtestloop():
    began = time.perf_counter()
    result = yield
    sys.stderr.write(f"{time.perf_counter() - began}")
    return result
"""

TRACED = """
import sys
sys.path.insert(0, {benchmarks!r})
import pytest
from _silent import CLIENT
from langsmith import traceable, tracing_context

@traceable
def inner():
    pass

@traceable
def outer():
    inner()

@pytest.fixture(autouse=True, scope="session")
def langsmith_is_on():
    with tracing_context(enabled=True, client=CLIENT):
        yield
"""


def write(folder: Path, *, head: str, body: str, fixture: str, tests: int = TESTS) -> Path:
    folder.mkdir()
    (folder / "conftest.py").write_text(CONFTEST)
    functions = (f"def test_{n}({fixture}):\n    {body}\n" for n in range(tests))
    (folder / "test_suite.py").write_text(head + "\n" + "\n".join(functions))
    return folder


PLUGIN = ("-p", "ctxtrace.pytest_plugin")


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    # Other plugins may take seconds.
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return done


def loop_seconds(folder: Path) -> float:
    return float(run(folder, *PLUGIN).stderr)


def processor_seconds(folder: Path, *options: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(folder, *options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def used(title: str, suites: dict[str, Path]) -> None:
    times = interleaved({name: partial(loop_seconds, path) for name, path in suites.items()})
    print(
        f"\n### {title}\n\n"
        "| | times what it costs without, median (range) | ms a test, median | target |\n"
        "| --- | --- | --- | --- |"
    )
    for name in suites:
        against = "1" if name == WITHOUT else str(compare(times, name, WITHOUT))
        a_test = 1e3 * statistics.median(times[name]) / TESTS
        target = "at most 1.3" if name == WITH else ""
        print(f"| {name} | {against} | {a_test:.2f} | {target} |")


def unused(suite: Path) -> None:
    measures: dict[str, Callable[[], float]] = {
        "absent": partial(processor_seconds, suite),
        "installed": partial(processor_seconds, suite, *PLUGIN),
    }
    times = interleaved(measures, 3 * ROUNDS)
    more = [1e3 * (ours - theirs) for ours, theirs in zip(times["installed"], times["absent"])]
    quarters = statistics.quantiles(more)
    print(
        f"\n### {STRANGERS_TESTS} tests that do not use the plugin\n\n"
        f"The plugin adds {quarters[1]:.1f} ms of processor time (quartiles {quarters[0]:.1f} and "
        f"{quarters[2]:.1f}, {3 * ROUNDS} pairs) to {statistics.median(times['absent']):.2f} s; "
        "the target is 10 ms."
    )


def main() -> None:
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    packages = ", ".join(f"{name} {version(name)}" for name in ("pytest", "langsmith"))
    print(f"## Python {platform.python_version()}, {packages}, {datetime.date.today()}")
    traced = TRACED.format(benchmarks=str(Path(__file__).parent))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        used(
            f"{TESTS:,} tests that do nothing",
            {
                WITHOUT: write(folder / "a", head="", body="pass", fixture=""),
                WITH: write(folder / "b", head="", body="pass", fixture="trace_capture"),
            },
        )
        used(
            f"{TESTS:,} tests that trace two runs",
            {
                WITHOUT: write(folder / "c", head=traced, body="outer()", fixture=""),
                WITH: write(folder / "d", head=traced, body="outer()", fixture="trace_capture"),
            },
        )
        unused(write(folder / "e", head="", body="pass", fixture="", tests=STRANGERS_TESTS))


if __name__ == "__main__":
    main()
