"""The command line as far as it needs no tracing library."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ctxtrace.cli import main


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
    assert 'pip install "ctxtrace[cli]"' in done.stderr
    assert "Traceback" not in done.stderr
