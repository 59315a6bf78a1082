"""What `ctxtrace demo` shows: one program, traced twice.

`program` is the program; it imports LangGraph and LangSmith, so it is loaded only when it
runs. This module runs it under both sets of tools and puts the two forests side by side.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from ..testing import record

if TYPE_CHECKING:
    from types import ModuleType

    from ..testing import Forest

# The whole difference between the two runs, as a user would write it.
REMOVED = (
    "from asyncio import create_task",
    "from concurrent.futures import ThreadPoolExecutor",
    "from threading import Thread",
)
ADDED = "from ctxtrace import Thread, ThreadPoolExecutor, create_task"


class Comparison(NamedTuple):
    """The two forests of the program, and what it ran on."""

    before: Forest
    after: Forest
    versions: dict[str, str]

    @property
    def whole(self) -> bool:
        """Whether ctxtrace kept everything in one tree, and no run is missing from it."""
        after = self.after
        return (
            len(after.roots) == 1
            and not after.orphans
            and len(after.nodes) == len(self.before.nodes)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all that the drawing shows, as data."""
        return {
            "versions": self.versions,
            "before": self.before.to_dict(),
            "change": {"removed": list(REMOVED), "added": [ADDED]},
            "after": self.after.to_dict(),
            "whole": self.whole,
        }


def load() -> ModuleType:
    """Import the program, and with it LangGraph and LangSmith.

    Raises:
        ImportError: One of them is not installed.
    """
    # What LangGraph and LangChain have to say of one another while they load is of no use to
    # somebody who looks at a demo of a third library. Caught and dropped, not ignored by a
    # filter: LangChain puts filters of its own in front of everybody's when it is imported.
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        from . import program
    return program


def compare() -> Comparison:
    """Run the program with the standard library's tools, then with those of ctxtrace.

    Nothing leaves the process: both runs are recorded in memory.

    Raises:
        ImportError: LangGraph or LangSmith is not installed.
    """
    program = load()

    import asyncio
    import concurrent.futures
    import platform
    import threading
    from importlib.metadata import version

    import ctxtrace

    forests: list[Forest] = []
    for tools in (
        program.Tools(concurrent.futures.ThreadPoolExecutor, threading.Thread, asyncio.create_task),
        program.Tools(ctxtrace.ThreadPoolExecutor, ctxtrace.Thread, ctxtrace.create_task),
    ):
        with record("langsmith") as recording:
            asyncio.run(program.handle_request(tools))
        forests.append(recording.forest())
    versions = {
        "Python": platform.python_version(),
        "LangSmith": version("langsmith"),
        "LangGraph": version("langgraph"),
    }
    return Comparison(forests[0], forests[1], versions)


def render(found: Comparison, *, ascii: bool = False, color: bool = False) -> str:
    """Draw the comparison for a terminal or a pipe.

    Args:
        found: What `compare` returned.
        ascii: Use nothing beyond ASCII.
        color: Use ANSI colours.
    """

    def paint(code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if color else text

    def section(whose: str, forest: Forest, code: str) -> list[str]:
        drawing = forest.draw(order="start", ascii=ascii, color=color)
        heading = f"{paint('1', whose)}: {paint(code, _traces(forest))}"
        return [heading, "", *(f"  {line}" for line in drawing.splitlines()), ""]

    good, bad = "1;32", "1;31"
    return "\n".join(
        [
            "An assistant built on LangGraph and LangSmith's @traceable, with a thread pool, a",
            "thread, a streaming node and a background task. It runs twice, recorded in memory:",
            "nothing is sent anywhere.",
            "",
            *section(
                "With the standard library's pool, thread and task",
                found.before,
                good if len(found.before.roots) == 1 else bad,
            ),
            paint("1", "The change"),
            "",
            *(paint("31", f"  - {line}") for line in REMOVED),
            paint("32", f"  + {ADDED}"),
            "",
            *section("With those of ctxtrace", found.after, good if found.whole else bad),
            *_closing(found),
        ]
    )


def _traces(forest: Forest) -> str:
    count = len(forest.roots)
    return f"{count} trace" if count == 1 else f"{count} traces"


def _closing(found: Comparison) -> list[str]:
    """Say what the pictures show, and what they do not."""
    if not found.whole:
        return ["This should have been one trace with every run in it. Please report it as a bug."]
    lines = [
        f"{_traces(found.before)} before, {_traces(found.after)} after.",
        "The stream itself (draft) holds together either way; what it hands to a pool splits.",
    ]
    if not any(node.name == "remember" for node in found.before.splits):
        lines.append(
            f"LangSmith {found.versions['LangSmith']} keeps the background task (remember) in its "
            "trace by itself;\nfrom 0.7.30 on it splits too."
        )
    lines.append(", ".join(f"{name} {number}" for name, number in found.versions.items()) + ".")
    return lines
