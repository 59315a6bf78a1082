"""The pytest plugin: a suite that uses it, and one that does not.

Whole runs of pytest, taken in turns. Of the suites that use the fixture the loop over the tests
is timed, so that neither the start of Python nor the imports hide what a test pays; that is done
with a suite of tests that do nothing, which is the worst case, and with one whose tests trace
two runs, with LangSmith on either way. Of the suite that does not use the plugin it is the
processor time of the whole process.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from _bench import Measure, Plan, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = 1_000
STRANGERS_TESTS = 100

WITHOUT, WITH = "without the fixture", "with `trace_capture`"
ABSENT, INSTALLED = "without the plugin", "with the plugin, unused"

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

PLUGIN = ("-p", "ctxtrace.pytest_plugin")


def write(folder: Path, head: str, body: str, fixture: str, tests: int) -> Path:
    folder.mkdir()
    (folder / "conftest.py").write_text(CONFTEST)
    functions = (f"def test_{n}({fixture}):\n    {body}\n" for n in range(tests))
    (folder / "test_suite.py").write_text(head + "\n" + "\n".join(functions))
    return folder


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    # Other plugins may take seconds.
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return done


def loop_seconds(folder: Path, tests: int) -> float:
    return float(run(folder, *PLUGIN).stderr) / tests


def processor_seconds(folder: Path, *options: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(folder, *options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measures(plan: Plan) -> Iterator[Measure]:
    tests = plan.count(TESTS)
    traced = TRACED.format(benchmarks=str(Path(__file__).parent))
    kinds = (
        ("a test that does nothing", "", "pass"),
        ("a test that traces two runs", traced, "outer()"),
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, (what, head, body) in enumerate(plan.cases(kinds)):
            without = write(folder / f"without{number}", head, body, "", tests)
            having = write(folder / f"with{number}", head, body, "trace_capture", tests)
            yield Measure(
                what,
                {
                    WITHOUT: partial(loop_seconds, without, tests),
                    WITH: partial(loop_seconds, having, tests),
                },
                per="test",
                baseline=WITHOUT,
                ours=WITH,
                targets=(Target(WITH, at_most=1.3, of=(WITHOUT,)),),
                rounds=5,
            )
        suite = write(folder / "strangers", "", "pass", "", plan.count(STRANGERS_TESTS))
        yield Measure(
            f"processor time of {STRANGERS_TESTS} tests that do not use the plugin",
            {
                ABSENT: partial(processor_seconds, suite),
                INSTALLED: partial(processor_seconds, suite, *PLUGIN),
            },
            per="run of pytest",
            baseline=ABSENT,
            ours=INSTALLED,
            targets=(Target(INSTALLED, at_most=0.010, minus=ABSENT),),
        )
