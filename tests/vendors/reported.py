"""Programs in processes of their own, under ``ctxtrace run --report`` and under ``python``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 30.0  # seconds; only ever reached by a failure
REPORT = ("-m", "ctxtrace", "run", "--report")

# Imported by the programs. Under Python alone, where nothing is to be seen of it, without what
# takes time.
TRACING = """
    import contextlib, os, threading

    if "UNTRACED" in os.environ:
        span = contextlib.nullcontext
    else:
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider

        trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
        span = trace.get_tracer("tests").start_as_current_span

    def inner(name):
        with span(name):
            print(name, "has run")

    def lose(name="inner"):
        with span("outer"):
            thread = threading.Thread(target=inner, args=(name,), name="worker")
            thread.start()
            thread.join()
"""

# What is said of a program that calls `lose`.
LOST = """
outer
inner  ✗ split (thread worker)

inner  started a trace of its own
    lost at tracing.py:20 in lose: Thread.start (thread worker)
    its caller was in: outer
    write: from ctxtrace import Thread
"""


class Ended(NamedTuple):
    """What a process printed, and how it ended."""

    output: str
    errors: str
    status: int


class Programs:
    """A folder of programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("tracing.py", TRACING)

    def write(self, name: str, code: str) -> None:
        (self.folder / name).write_text(textwrap.dedent(code), encoding="utf-8")

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONIOENCODING": "utf-8", **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def report(self, *arguments: str, **variables: str) -> Ended:
        return ended(self.start(*REPORT, *arguments, **variables))

    def both(self, *arguments: str, code: str = "") -> tuple[Ended, Ended]:
        """Run a program, the last argument, with a report and under Python alone, at once."""
        *options, program = arguments
        if code:
            self.write(program, code)
        reported, pythons = self.start_both(*options, program=program)
        return ended(reported), ended(pythons)

    def start_both(
        self, *options: str, program: str
    ) -> tuple[subprocess.Popen[str], subprocess.Popen[str]]:
        reported = self.start(*REPORT, *options, *program.split())
        return reported, self.start(*program.split(), UNTRACED="1")

    def read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")


def ended(process: subprocess.Popen[str]) -> Ended:
    output, errors = process.communicate(timeout=LIMIT)
    return Ended(output, errors, process.returncode)


class _Page(HTMLParser):
    """The data of a page, and the kinds of its elements."""

    def __init__(self) -> None:
        super().__init__()
        self.data = ""
        self.elements: set[str] = set()
        self._in_data = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self._in_data = ("type", "application/json") in attrs

    def handle_endtag(self, tag: str) -> None:
        self._in_data = False

    def handle_data(self, data: str) -> None:
        if self._in_data:
            self.data += data


def data_in(page: str) -> dict[str, Any]:
    """Return the data in a page, which has nothing that fetches or embeds."""
    parser = _Page()
    parser.feed(page)
    parser.close()
    assert not parser.elements & {"embed", "iframe", "img", "link", "object"}
    data: dict[str, Any] = json.loads(parser.data)
    return data
