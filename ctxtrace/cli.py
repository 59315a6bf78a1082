"""The command line: ``ctxtrace`` and ``python -m ctxtrace``.

One function a command, each adds its own parser and imports what it needs only when it runs.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Args:
        argv: The arguments without the program's name; by default those of the process.

    Returns:
        0 if all is well, 1 if the command found something wrong, 2 if it could not run.

    Raises:
        SystemExit: The arguments are wrong, or ask for help or the version. From argparse.
    """
    parser = argparse.ArgumentParser(
        prog="ctxtrace", description="Keep a trace whole across threads, pools and tasks."
    )
    parser.add_argument("--version", action="version", version=f"ctxtrace {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="command", required=True)
    _add_demo(commands)
    options = parser.parse_args(argv)
    status: int = options.run(options)
    return status


def _add_demo(commands: Any) -> None:
    description = (
        "Run one program twice, with the standard library's thread pool, thread and task, then "
        "with those of ctxtrace, and draw the traces of both. Needs no account, no key and no "
        'network; needs LangGraph and LangSmith: pip install "ctxtrace[cli]". '
        "The exit status is 1 if the second trace is not a single tree."
    )
    parser = commands.add_parser(
        "demo", help="see a trace fall apart, and stay whole", description=description
    )
    parser.add_argument("--json", action="store_true", help="print the same as JSON")
    parser.add_argument("--ascii", action="store_true", help="draw with ASCII characters alone")
    parser.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> int:
    from . import _demo as demo

    try:
        demo.load()
    except ImportError as error:
        print(
            f"ctxtrace demo runs on LangGraph and LangSmith, and cannot import them: {error}.\n"
            'Install them with:  pip install "ctxtrace[cli]"',
            file=sys.stderr,
        )
        return 2
    found = demo.compare()
    if options.json:
        import json

        print(json.dumps(found.to_dict(), indent=2))
    else:
        ascii = options.ascii or not _takes(sys.stdout, "├─└│✗")
        print(demo.render(found, ascii=ascii, color=_wants_color(sys.stdout)))
    return 0 if found.whole else 1


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("ctxtrace")
    except PackageNotFoundError:
        return "(not installed)"  # run from a source tree


def _takes(stream: TextIO, text: str) -> bool:
    """Whether the stream's encoding has these characters."""
    try:
        text.encode(stream.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def _wants_color(stream: TextIO) -> bool:
    """Decide as Python's own tracebacks do: NO_COLOR, then FORCE_COLOR, then the terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return os.environ.get("TERM") != "dumb" and stream.isatty()
