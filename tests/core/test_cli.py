"""The command line as far as it needs no tracing library."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ctxtrace import _reporting, _run, _spawned, patches
from ctxtrace.cli import main
from ctxtrace.lifecycle import exits

if TYPE_CHECKING:
    from pathlib import Path


def test_no_command_is_an_error_that_shows_how_to_call_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("usage: ctxtrace")


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("ctxtrace ")


def test_python_dash_m_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ctxtrace", "--help"], capture_output=True, text=True
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.startswith("usage: ctxtrace")
    assert "demo" in done.stdout


def test_the_demo_without_langgraph_says_what_to_install() -> None:
    script = (
        "import sys\n"
        "sys.modules['langgraph'] = None\n"  # an import of it now fails, installed or not
        "from ctxtrace.cli import main\n"
        "sys.exit(main(['demo']))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.endswith("\nInstall them with:  pip install langgraph langsmith\n")
    assert "Traceback" not in done.stderr


# What `run` takes for its own, and what it leaves to the program.


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the command would have installed and run."""
    asked: list[Any] = []

    def install(**kwargs: Any) -> None:
        asked.append(kwargs)

    def runs(kind: str) -> Any:
        def run(name: str, arguments: list[str]) -> int:
            asked.extend([kind, name, arguments])
            return 0

        return run

    monkeypatch.setattr(patches, "install", install)
    monkeypatch.setattr(exits, "flush_on_exit", lambda: None)
    monkeypatch.setattr(_spawned, "_follow", lambda *_: None)
    monkeypatch.setattr(_run, "run_path", runs("path"))
    monkeypatch.setattr(_run, "run_module", runs("module"))
    return asked


DEFAULTS = {"variables": "all", "skip": []}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["s.py"], ["path", "s.py", []]),
        (["s.py", "--help", "--no-threads"], ["path", "s.py", ["--help", "--no-threads"]]),
        (["s.py", "--no", "-m", "x"], ["path", "s.py", ["--no", "-m", "x"]]),
        (["s.py", "--", "-x"], ["path", "s.py", ["--", "-x"]]),
        (["--", "s.py", "--", "-x"], ["path", "s.py", ["--", "-x"]]),
        (["--", "-s.py"], ["path", "-s.py", []]),
        (["-m", "mod"], ["module", "mod", []]),
        (["-mmod", "s.py"], ["module", "mod", ["s.py"]]),
        (["-m", "mod", "-m", "--help"], ["module", "mod", ["-m", "--help"]]),
        (["-m", "mod", "--", "-x"], ["module", "mod", ["--", "-x"]]),
        (["-m", "run", "run"], ["module", "run", ["run"]]),
    ],
)
def test_what_comes_after_the_program_is_the_programs(
    arguments: list[str], expected: list[Any], asked: list[Any]
) -> None:
    assert main(["run", *arguments]) == 0
    assert asked == [DEFAULTS, *expected]


@pytest.mark.parametrize(("options", "flushes"), [((), 1), (("--no-flush",), 0)])
def test_the_program_is_flushed_at_its_end_unless_it_is_not_to_be(
    options: tuple[str, ...], flushes: int, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[bool] = []
    monkeypatch.setattr(exits, "flush_on_exit", lambda: flushed.append(True))
    main(["run", *options, "s.py", "--no-flush"])
    assert len(flushed) == flushes
    assert asked == [DEFAULTS, "path", "s.py", ["--no-flush"]]


@pytest.mark.parametrize("variables", [["--variables=trace"], ["--variables", "trace"]])
def test_what_comes_before_the_program_is_for_install(
    variables: list[str], asked: list[Any]
) -> None:
    main(["run", "--no-thread-pools", *variables, "--no-timers", "s.py", "--no-threads"])
    assert asked[0] == {"variables": "trace", "skip": ["thread_pools", "timers"]}


@pytest.mark.parametrize("site", patches.SITES)
def test_every_site_can_be_switched_off_from_the_command_line(site: str, asked: list[Any]) -> None:
    main(["run", f"--no-{site.replace('_', '-')}", "s.py"])
    assert asked[0] == {"variables": "all", "skip": [site]}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "give a script, or -m and a module to run"),
        (["--no-threads"], "give a script, or -m and a module to run"),
        (["-m"], "give a module to run"),
        (["--no-threeds", "s.py"], "unrecognized arguments: --no-threeds"),
        (["--no-thr", "s.py"], "unrecognized arguments: --no-thr"),
        (["--variables", "some", "s.py"], "argument --variables: invalid choice: 'some'"),
        (["--variables"], "argument --variables: expected one argument"),
    ],
)
def test_arguments_that_cannot_be_meant_are_an_error_that_shows_how_to_call_it(
    arguments: list[str], complaint: str, asked: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["run", *arguments])
    assert stop.value.code == 2
    shown = capsys.readouterr().err
    assert shown.startswith("usage: ctxtrace run [options] script.py [argument ...]\n")
    assert f"\nctxtrace run: error: {complaint}" in shown
    assert asked == []


# The report.


@pytest.fixture
def reports(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the command would have reported, and how; and what it would have run, in `asked`."""
    reports: list[Any] = []

    class Reporting(contextlib.nullcontext["Reporting"]):
        def __init__(self, title: str, files: _reporting.Files, *, fail: bool) -> None:
            super().__init__(self)
            reports.append((title, files, fail))

        def outcome(self, status: int) -> int:
            return status

    monkeypatch.setattr(_reporting, "Reporting", Reporting)
    return reports


NO_FILES = _reporting.Files(None, None)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--report", "s.py", "--json", "x"], ("s.py", NO_FILES, False)),
        (["--fail-on-split", "s.py"], ("s.py", NO_FILES, True)),
        (["--report", "--fail-on-split", "--", "s.py"], ("s.py", NO_FILES, True)),
        (["--report", "-m", "mod"], ("mod", NO_FILES, False)),
    ],
)
def test_a_program_that_is_reported_runs_without_install(
    arguments: list[str], expected: Any, asked: list[Any], reports: list[Any]
) -> None:
    assert main(["run", *arguments]) == 0
    assert reports == [expected]
    assert asked[:2] in (["path", "s.py"], ["module", "mod"])


@pytest.mark.parametrize("asks", ["--report", "--fail-on-split"])
def test_with_install_it_is_reported_as_install_makes_it(
    asks: str, asked: list[Any], reports: list[Any]
) -> None:
    main(["run", asks, "--install", "--variables=trace", "--no-threads", "s.py"])
    assert asked == [{"variables": "trace", "skip": ["threads"]}, "path", "s.py", []]
    assert len(reports) == 1


@pytest.mark.parametrize("option", ["--json", "--html"])
@pytest.mark.parametrize("joined", [True, False], ids=["joined", "apart"])
def test_naming_a_file_asks_for_a_report_and_the_file_is_that_of_the_first_directory(
    option: str,
    joined: bool,
    asked: list[Any],
    reports: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["run", *([f"{option}=s.py"] if joined else [option, "s.py"]), "t.py", option, "u"])
    path = str(tmp_path / "s.py")
    files = NO_FILES._replace(**{option[2:]: path})
    assert reports == [("t.py", files, False)]
    assert asked == ["path", "t.py", [option, "u"]]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--report"], "give a script, or -m and a module to run"),
        (["--json", "s.py"], "give a script, or -m and a module to run"),
        (["--json"], "argument --json: expected one argument"),
        (["--html", "--report", "s.py"], "argument --html: expected one argument"),
        (["--rep", "s.py"], "unrecognized arguments: --rep"),
        (["--install", "s.py"], "--install goes with --report; without it, install() is called"),
        (
            ["--report", "--variables", "all", "s.py"],
            "--report runs the program without install(); to have both, --install",
        ),
        (
            ["--fail-on-split", "--no-threads", "s.py"],
            "--report runs the program without install(); to have both, --install",
        ),
        (["--json=", "s.py"], "cannot write "),
        (["--json=.", "s.py"], "cannot write "),
        (["--html=not/there", "s.py"], "cannot write "),
        (["--install", "--report", "--json=not/there", "s.py"], "cannot write "),
    ],
)
def test_a_report_that_cannot_be_is_an_error_before_anything_runs(
    arguments: list[str],
    complaint: str,
    asked: list[Any],
    reports: list[Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["run", *arguments])
    assert stop.value.code == 2
    assert f"\nctxtrace run: error: {complaint}" in capsys.readouterr().err
    assert asked == reports == []


def test_the_help_of_run_names_every_site(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["run", "--no-threads", "--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"--no-{site.replace('_', '-')}" in shown for site in patches.SITES)


def test_an_unknown_argument_of_another_command_is_an_error_of_that_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--jsn"])
    assert stop.value.code == 2
    assert "ctxtrace demo: error: unrecognized arguments: --jsn" in capsys.readouterr().err
