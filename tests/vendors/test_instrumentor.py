"""ctxtrace under ``opentelemetry-instrument``: installed if the environment asks for it."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from vendors.crossings import LIMIT

from ctxtrace import patches
from ctxtrace._instrumentor import CtxtraceInstrumentor

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "CTXTRACE_INSTALL"
ROOT = Path(__file__).parents[2]

NESTS = """
import sys, threading
from contextvars import ContextVar

USER = ContextVar("user", default="nobody")
USER.set("ada")
thread = threading.Thread(target=lambda: print(USER.get()))
thread.start()
thread.join()
print(*sorted({"ctxtrace._instrumentor", "ctxtrace.patches"} & set(sys.modules)))
"""


@pytest.fixture(autouse=True)
def _nothing_stays_installed() -> Iterator[None]:
    yield
    CtxtraceInstrumentor().uninstrument()
    patches.uninstall()


@pytest.fixture
def thread_start() -> object:
    return threading.Thread.start


def entry_points() -> str:
    """What the package tells OpenTelemetry, as it stands in pyproject.toml."""
    group = "opentelemetry_instrumentor"
    found = re.search(
        rf'^\[project\.entry-points\.{group}\]\n(\w+) = "([\w.:]+)"$',
        (ROOT / "pyproject.toml").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert found
    return f"[{group}]\n{found[1]} = {found[2]}\n"


def test_opentelemetry_instrument_installs_where_the_environment_asks_for_it(
    tmp_path: Path,
) -> None:
    # As if it were installed, which it may be.
    installed = tmp_path / "installed" / "ctxtrace-0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: ctxtrace\nVersion: 0\n")
    (installed / "entry_points.txt").write_text(entry_points())
    program = tmp_path / "program.py"
    program.write_text(NESTS)
    path = os.pathsep.join(map(str, (installed.parent, ROOT)))
    command = Path(sys.executable).parent / "opentelemetry-instrument"
    running = [
        subprocess.Popen(
            [command, sys.executable, program],
            env={**os.environ, "PYTHONPATH": path, VARIABLE: value},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for value in ("1", "0")
    ]
    asked, not_asked = (process.communicate(timeout=LIMIT) for process in running)
    assert asked == ("ada\nctxtrace._instrumentor ctxtrace.patches\n", "")
    assert not_asked == ("nobody\nctxtrace._instrumentor\n", "")


def test_it_imports_nothing_of_weight_where_it_has_nothing_to_do() -> None:
    code = f"""
import sys
before = set(sys.modules)
from {CtxtraceInstrumentor.__module__} import CtxtraceInstrumentor
CtxtraceInstrumentor().instrument(skip_dep_check=True)
CtxtraceInstrumentor().uninstrument()
print(*sorted(set(sys.modules) - before - {{"__future__", "typing"}}))
"""
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    env.pop(VARIABLE, None)
    shown = subprocess.run(
        [sys.executable, "-c", "import typing\n" + code],
        env={**env, "PYTHONPATH": str(ROOT)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    assert shown == "ctxtrace ctxtrace._instrumentor\n"


@pytest.mark.parametrize("value", ["1", "true", "TRUE"])
def test_it_installs_when_told_to(
    value: str, monkeypatch: pytest.MonkeyPatch, thread_start: object
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    CtxtraceInstrumentor().instrument(skip_dep_check=True)
    assert CtxtraceInstrumentor().is_instrumented_by_opentelemetry
    assert threading.Thread.start is not thread_start


@pytest.mark.parametrize("value", [None, "", "0", "false", "False"])
def test_it_does_nothing_when_not_told_to(
    value: str | None,
    monkeypatch: pytest.MonkeyPatch,
    thread_start: object,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    CtxtraceInstrumentor().instrument(skip_dep_check=True)
    assert not CtxtraceInstrumentor().is_instrumented_by_opentelemetry
    assert threading.Thread.start is thread_start
    assert caplog.records == []


def test_it_does_nothing_and_says_so_when_told_something_it_does_not_know(
    monkeypatch: pytest.MonkeyPatch, thread_start: object, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(VARIABLE, "certainly")
    CtxtraceInstrumentor().instrument(skip_dep_check=True)
    assert threading.Thread.start is thread_start
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "CTXTRACE_INSTALL is neither 1 nor 0" in record.getMessage()
    assert "certainly" not in record.getMessage()


def test_it_is_taken_back_by_another_object_of_its_class(
    monkeypatch: pytest.MonkeyPatch, thread_start: object
) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    CtxtraceInstrumentor().instrument()
    CtxtraceInstrumentor().instrument()
    CtxtraceInstrumentor().uninstrument()
    assert threading.Thread.start is thread_start
    assert not CtxtraceInstrumentor().is_instrumented_by_opentelemetry


def test_what_was_installed_otherwise_stays_when_it_is_taken_back(
    monkeypatch: pytest.MonkeyPatch, thread_start: object
) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    with patches.install():
        CtxtraceInstrumentor().instrument()
        CtxtraceInstrumentor().uninstrument()
        assert threading.Thread.start is not thread_start


def test_a_failure_of_it_does_not_keep_other_instrumentors_from_their_work(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise LookupError("on purpose")

    monkeypatch.setenv(VARIABLE, "1")
    monkeypatch.setattr(patches, "install", fail)
    CtxtraceInstrumentor().instrument()
    assert not CtxtraceInstrumentor().is_instrumented_by_opentelemetry
    assert "the OpenTelemetry instrumentor failed" in caplog.text


def test_it_has_all_that_opentelemetry_may_ask_an_instrumentor_for() -> None:
    asked = {name for name in dir(BaseInstrumentor) if not name.startswith("_")}
    assert asked
    assert asked <= set(dir(CtxtraceInstrumentor))
