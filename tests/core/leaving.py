"""Programs that end, and what of what they recorded arrived.

A program is Python code with a tracer: `record(name)` keeps a name, and a flush prints those that
were kept. What is printed has been sent.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, NamedTuple

from core.support import LIMIT

if TYPE_CHECKING:
    from pathlib import Path

TRACER = """\
import atexit, os, signal, sys, threading
import ctxtrace

class Tracer(ctxtrace.Carrier):
    name = "tracer"
    def __init__(self):
        self.kept = []
    def clear(self):
        pass
    def flush(self, timeout):
        while self.kept:
            os.write(1, (self.kept.pop(0) + "\\n").encode())
    def after_fork(self):
        self.kept = []  # as libraries do: the parent's are the parent's
        return lambda: os.write(1, b"taken back\\n")

tracer = Tracer()
def record(name):
    tracer.kept.append(name)
ctxtrace.register_carrier(tracer)
"""


class Ended(NamedTuple):
    """What arrived, what was said, and how it ended."""

    arrived: list[str]
    errors: str
    status: int


def start(code: str, *, under: tuple[str, ...] = (), folder: Path | None = None) -> Running:
    """Start a program of a tracer and this code."""
    return Running(TRACER + textwrap.dedent(code), under, folder)


def run(code: str, *, folder: Path | None = None) -> Ended:
    """Run a program to its end."""
    return start(code, folder=folder).ended()


class Running:
    """A program that was started."""

    def __init__(self, code: str, under: tuple[str, ...], folder: Path | None) -> None:
        if folder is None:
            program = ["-c", code]
        else:
            (folder / "program.py").write_text(code, encoding="utf-8")
            program = ["program.py"]
        self._process = subprocess.Popen(
            [sys.executable, *under, *program],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._read: list[str] = []

    def wait_for(self, line: str) -> None:
        """Wait until the program has printed a line."""
        assert self._process.stdout is not None
        for printed in self._process.stdout:
            if printed.rstrip("\n") == line:
                return
            self._read.append(printed.rstrip("\n"))
        raise AssertionError(f"it ended without {line!r}: {self.ended()}")

    def send(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def ended(self) -> Ended:
        """Wait for its end."""
        try:
            output, errors = self._process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            output, errors = self._process.communicate()
            raise AssertionError(f"it does not end; so far: {output}{errors}") from None
        return Ended([*self._read, *output.splitlines()], errors, self._process.returncode)
