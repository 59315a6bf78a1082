"""``ctxtrace run --report``: diagnose a program from its first line to its exit handlers.

The report is written by an exit handler, the first to be registered and so the last to run:
by then every thread that the interpreter waits for has ended, and the tracers have sent what
they had.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from ._errors import guard
from ._terminal import takes, wants_color
from .diagnosis import Diagnosis
from .testing._shape import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

WHO = "ctxtrace run --report"


class Files(NamedTuple):
    """Where to write what was seen, beside standard error."""

    json: str | None
    html: str | None


def check_files(json: str | None, html: str | None) -> Files:
    """Return the full paths of files, once it is certain that they can be written.

    Raises:
        OSError: One of them cannot. Before the program has run, not after.
    """
    paths = [None if path is None else os.path.abspath(path) for path in (json, html)]
    for path in paths:
        if path is not None:
            with open(path, "a", encoding="utf-8"):
                pass
    return Files(*paths)


class Reporting:
    """Diagnoses what runs in its block, and what runs after it until the process ends.

    What the program ends in is its own: its exit status, its exception, its signal. If it is to
    fail, what counts is what was lost before the exit handlers.
    """

    def __init__(self, title: str, files: Files, *, fail: bool) -> None:
        # Taken in full before the program changes directory: it may be "." or end in a slash.
        self._title = printable(os.path.basename(os.path.abspath(title)))
        self._files = files
        self._fail = fail
        self._ended_well = False
        self._process = os.getpid()
        self._diagnosis = Diagnosis()

    def __enter__(self) -> Self:
        self._diagnosis.start()
        atexit.register(self._at_exit)
        return self

    def outcome(self, status: int) -> int:
        """Take note of how the program ended."""
        self._ended_well = status == 0
        return status

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, SystemExit):
            self._ended_well = error.code in (None, 0)
        if self._fail and self._ended_well and os.getpid() == self._process:
            # The last moment at which an exit status can be given without taking from the
            # program how Python ends: an exit handler that calls os._exit() would take the rest
            # of the files that it has not closed.
            guard(WHO, _wait_for_threads)
            if self._diagnosis:
                raise SystemExit(1)

    def _at_exit(self) -> None:
        if os.getpid() != self._process:
            return  # a child that was forked, and is not the program
        # Each by itself: a disk may be full, a folder gone.
        guard(WHO, self._diagnosis.stop)
        guard(WHO, self._say)
        for path, what in ((self._files.json, _as_json), (self._files.html, _as_html)):
            if path is not None:
                guard(WHO, self._write, path, what)

    def _write(self, path: str, what: Callable[[dict[str, Any]], str]) -> None:
        text = what({"title": self._title, **self._diagnosis.to_dict()})
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def _say(self) -> None:
        if sys.__stderr__ is None:
            return  # it was closed before Python began
        # Not through sys.stderr, which may be closed by now, or be anything. Python leaves the
        # descriptor open when that is closed.
        with open(
            2, "w", encoding=sys.__stderr__.encoding, errors="backslashreplace", closefd=False
        ) as stream:
            stream.write(self._text(stream))

    def _text(self, stream: TextIO) -> str:
        ascii = not takes(stream, "├─└│✗")
        drawing = self._diagnosis.drawing(ascii=ascii, color=wants_color(stream))
        parts = [drawing or "ctxtrace: no run was seen." + _why_not()]
        if self._diagnosis:
            parts.append(self._diagnosis.explain())
        elif drawing:
            parts.append("ctxtrace: nothing was lost.")
        return "\n" + "\n\n".join(parts) + "\n"


def _as_json(seen: dict[str, Any]) -> str:
    return json.dumps(seen, indent=1) + "\n"


def _as_html(seen: dict[str, Any]) -> str:
    from .diagnosis._html import page

    return page(seen)


def _wait_for_threads() -> None:
    # What the interpreter itself calls, by this name. Called a second time it does nothing.
    # Interrupted, it waits no longer, and neither does the interpreter.
    with contextlib.suppress(KeyboardInterrupt):
        vars(threading)["_shutdown"]()


def _why_not() -> str:
    from .testing._recording import silent

    return "".join(f"\n  {why}" for why in silent())
