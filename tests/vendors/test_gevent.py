"""gevent: where it has replaced threads by greenlets, install() leaves everything as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from vendors.crossings import LIMIT

import ctxtrace

if TYPE_CHECKING:
    from pathlib import Path

SHOWS = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
import gevent
from gevent import monkey

{patch}
before = (threading.Thread.start, threading.Timer.start, ThreadPoolExecutor.submit)
finders = list(sys.meta_path)
import ctxtrace
installation = ctxtrace.install()
after = (threading.Thread.start, threading.Timer.start, ThreadPoolExecutor.submit)
print([old is new for old, new in zip(before, after)], finders == sys.meta_path)
print({{site.state for site in installation.sites if site.target.startswith("threading")}})
print({{site.state for site in installation.sites}} == {{"off"}})
ctxtrace.uninstall()
"""


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    # From a source tree, too, where the package is not installed.
    root = os.path.dirname(os.path.dirname(ctxtrace.__file__))
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )


def test_install_changes_nothing_under_gevents_monkey_patching_and_says_so() -> None:
    ended = run("-c", SHOWS.format(patch="monkey.patch_all()"))
    assert ended.stdout == "[True, True, True] True\n{'off'}\nTrue\n"
    (line,) = ended.stderr.splitlines()
    assert line.startswith("install() changes nothing: gevent has patched threading")


@pytest.mark.parametrize("patch", ["", "monkey.patch_socket()"])
def test_install_is_as_ever_where_gevent_leaves_threads_alone(patch: str) -> None:
    ended = run("-c", SHOWS.format(patch=patch))
    assert ended.stdout == "[False, False, False] False\n{'patched'}\nFalse\n"
    assert ended.stderr == ""


LATER = """
from gevent import monkey
monkey.patch_all()

import threading
from concurrent.futures import ThreadPoolExecutor

def work(name):
    print(name, type(threading.current_thread()).__name__)

thread = threading.Thread(target=work, args=("thread",))
thread.start()
thread.join()
timer = threading.Timer(0, work, ("timer",))
timer.start()
timer.join()
with ThreadPoolExecutor(1) as pool:
    pool.submit(print, "pool").result()
"""


def test_a_program_that_patches_after_install_runs_as_it_does_without(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(LATER)
    ours, pythons = run("-m", "ctxtrace", "run", program), run(program)
    assert pythons.stdout.startswith("thread Thread\ntimer Timer\npool")
    assert (ours.stdout, ours.stderr, ours.returncode) == (pythons.stdout, "", 0)
