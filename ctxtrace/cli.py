"""The command line: ``ctxtrace`` and ``python -m ctxtrace``.

One function a command, each adds its own parser and imports what it needs only when it runs.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from ._terminal import takes, wants_color

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._demo import Comparison


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
    _add_run(commands)
    _add_doctor(commands)
    ours, program = _split(sys.argv[1:] if argv is None else list(argv))
    options, unknown = parser.parse_known_args(ours)
    if unknown:
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    options.program = program
    status: int = options.run(options)
    return status


def _add_demo(commands: Any) -> None:
    description = (
        "Run one program twice, with the standard library's thread pool, thread and task, then "
        "with those of ctxtrace, and draw the traces of both. Needs no account, no key and no "
        "network; needs LangGraph and LangSmith: pip install langgraph langsmith. "
        "The exit status is 1 if the second trace is not a single tree."
    )
    parser = commands.add_parser(
        "demo", help="see a trace fall apart, and stay whole", description=description
    )
    parser.add_argument("--json", action="store_true", help="print the same as JSON")
    parser.add_argument("--ascii", action="store_true", help="draw with ASCII characters alone")
    parser.add_argument(
        "--svg",
        metavar="FOLDER",
        help="also write both as one picture, before-and-after.light.svg and .dark.svg",
    )
    parser.set_defaults(run=_demo, parser=parser)


def _demo(options: argparse.Namespace) -> int:
    from . import _demo as demo

    try:
        demo.load()
    except ImportError as error:
        print(
            f"ctxtrace demo runs on LangGraph and LangSmith, and cannot import them: {error}.\n"
            "Install them with:  pip install langgraph langsmith",
            file=sys.stderr,
        )
        return 2
    found = _compared(options)
    if options.json:
        import json

        print(json.dumps(found.to_dict(), indent=2))
    else:
        ascii = options.ascii or not takes(sys.stdout, "├─└│✗")
        print(demo.render(found, ascii=ascii, color=wants_color(sys.stdout)))
    return 0 if found.whole else 1


def _compared(options: argparse.Namespace) -> Comparison:
    """Run the demo's program, and write its picture if there is to be one."""
    from . import _demo as demo

    if options.svg is None:
        return demo.compare()
    from ._demo import _pictures

    try:
        folder = _pictures.make_folder(options.svg)
    except OSError as error:
        _cannot_write(options, error)
    found = demo.compare()
    try:
        _pictures.write(found, folder)
    except OSError as error:
        _cannot_write(options, error)
    return found


# Those of `run` whose value may be the next argument.
_TAKE_A_VALUE = ("--html", "--json", "--variables")


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Split off the program that `run` is to run, and its arguments.

    Not left to argparse, which looks at all arguments before it hands any on, and takes what
    looks like an option of ours, or ``--``, for that, wherever it stands.
    """
    if arguments[:1] != ["run"]:
        return arguments, []
    is_value = False
    for index, argument in enumerate(arguments[1:], 1):
        if argument == "--":
            return arguments[:index], arguments[index + 1 :]
        if not is_value and (argument.startswith("-m") or not argument.startswith("-")):
            return arguments[:index], arguments[index:]
        is_value = argument in _TAKE_A_VALUE
    return arguments, []


def _add_run(commands: Any) -> None:
    from .patches import SITES

    parser = commands.add_parser(
        "run",
        help="run a program as it is, with ctxtrace.install() or with a report of what is lost",
        usage="ctxtrace run [options] script.py [argument ...]\n"
        "       ctxtrace run [options] -m module [argument ...]",
        description=(
            "Run a program as python does, after ctxtrace.install(); or, with --report, as it is, "
            "and say at its end where its traces were lost. What comes after the script or the "
            "module is the program's own."
        ),
        allow_abbrev=False,
    )
    group = parser.add_argument_group("to find out where traces are lost")
    group.add_argument(
        "--report",
        action="store_true",
        help="do not install(); at the end draw the traces, on standard error, and say where each "
        "run was lost and what to write there instead. Each of the next three does that too",
    )
    group.add_argument("--json", metavar="FILE", help="write what was seen to a file, as JSON")
    group.add_argument("--html", metavar="FILE", help="write it to a file, as a page to look at")
    group.add_argument(
        "--fail-on-split",
        action="store_true",
        help="exit with 1 if a run was lost and the program itself ended well",
    )
    group.add_argument(
        "--install",
        action="store_true",
        help="call install() all the same, and report what is lost then",
    )
    parser.add_argument(
        "--variables",
        choices=("all", "trace"),
        help="what pools, threads and timers carry: the whole context (the default), or the "
        "variables of the tracing libraries alone",
    )
    group = parser.add_argument_group("to leave something alone")
    for site in SITES:
        group.add_argument(
            f"--no-{site.replace('_', '-')}",
            action="append_const",
            const=site,
            dest="skip",
        )
    group.add_argument(
        "--no-flush",
        action="store_false",
        dest="flush",
        help="do not flush_on_exit()",
    )
    parser.set_defaults(run=_run, parser=parser, skip=[])


def _cannot_write(options: argparse.Namespace, error: OSError) -> NoReturn:
    options.parser.error(f"cannot write {error.filename!r}: {error.strerror}")
    raise AssertionError("argparse has ended the process")


def _run(options: argparse.Namespace) -> int:
    from ._reporting import Reporting, check_files
    from ._run import run_module, run_path
    from ._spawned import begin

    program: list[str] = options.program
    with_m = bool(program) and program[0].startswith("-m")
    if with_m:
        # The module may be the next argument or the rest of this one, as with python.
        program[:1] = [program[0][2:]] if program[0] != "-m" else []
    if not program:
        what = "a module" if with_m else "a script, or -m and a module"
        options.parser.error(f"give {what} to run")
    name, *arguments = program
    reports = bool(options.report or options.json or options.html or options.fail_on_split)
    if options.install and not reports:
        options.parser.error("--install goes with --report; without it, install() is called")
    installs = options.install or not reports
    if not installs and (options.variables or options.skip):
        options.parser.error("--report runs the program without install(); to have both, --install")
    try:
        files = check_files(json=options.json, html=options.html)
    except OSError as error:
        _cannot_write(options, error)
    if installs:
        begin(options.variables or "all", options.skip, options.flush)
    run = run_module if with_m else run_path
    if not reports:
        return run(name, arguments)
    with Reporting(name, files, fail=options.fail_on_split) as reporting:
        return reporting.outcome(run(name, arguments))


def _add_doctor(commands: Any) -> None:
    description = (
        "Look at this Python, at the tracers and frameworks that are installed and at what the "
        "environment says to them, and say what is known to go wrong with these versions. Imports "
        "none of them, and shows no value, path or name of yours. The exit status is 1 if "
        "something needs attention."
    )
    parser = commands.add_parser(
        "doctor", help="say what is known to go wrong here", description=description
    )
    parser.add_argument("--json", action="store_true", help="print the same as JSON")
    parser.set_defaults(run=_doctor, parser=parser)


def _doctor(options: argparse.Namespace) -> int:
    from ._doctor import examine

    found = examine()
    if options.json:
        import json

        print(json.dumps(found.to_dict(), indent=2))
    else:
        print(found.render(color=wants_color(sys.stdout)))
    return 1 if found.needs_attention else 0


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("ctxtrace")
    except PackageNotFoundError:
        return "(not installed)"  # run from a source tree
