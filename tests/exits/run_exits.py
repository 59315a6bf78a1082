"""End processes in every way, and count what of their runs and spans arrives.

    python tests/exits/run_exits.py [--quick] [--control] [--only PATTERN] [--at-once N]

Each cell of the tables is a real program that sends with LangSmith's own client, or with
OpenTelemetry's own exporter, to a server of ours; and it is run twice, without ctxtrace and with.

Prints a Markdown report. Exits with status 1 if with ctxtrace something that can be saved is lost,
if anything arrives twice, if a process ends with another status than it would, prints what it would
not, or hangs; and with status 1, too, if without ctxtrace nothing is lost, for then nothing was
tested. With ``--control`` ctxtrace is in neither, to show that the checks can fail.

``--only`` runs the cells whose name has the pattern, like ``queue/fork/*``, and shows what their
programs printed. A program that hangs is aborted, and shows where its threads were.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import datetime
import fnmatch
import os
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version

from _cells import HOPELESS, TRACERS, Cell, cells
from _drive import DEADLINE, SLACK, Outcome, run

PACKAGES = (
    "ctxtrace",
    "langsmith",
    "opentelemetry-sdk",
    "opentelemetry-exporter-otlp-proto-http",
    "requests",
    "zstandard",
)
# Where nothing but a flush can save what was recorded: the control must lose.
LOSES = ("sigterm", *HOPELESS)


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def _shown(cell: Cell, outcome: Outcome) -> str:
    if cell.refused:
        return "hangs" if outcome.hung else f"{outcome.seconds:.1f} s"
    text = f"{outcome.arrived} of {outcome.recorded}"
    if any("times" in what for what in outcome.wrong):
        text += ", doubled"
    if outcome.hung:
        text += ", hangs"
    elif any("exit status" in what for what in outcome.wrong):
        text += ", other status"
    if any("printed" in what for what in outcome.wrong):
        text += ", complains"
    return text


def _table(tracer: str, rows: list[tuple[Cell, Outcome, Outcome]]) -> None:
    print(f"\n## {TRACERS[tracer]}\n")
    print("| process | ends by | without ctxtrace | with | |")
    print("| --- | --- | --- | --- | --- |")
    for cell, without, with_ in rows:
        print(
            f"| {' | '.join(cell.words)} | {_shown(cell, without)} | {_shown(cell, with_)} "
            f"| {'' if with_.good else 'BAD'} |"
        )


def _details(cell: Cell, outcome: Outcome) -> None:
    said = [f"lost {', '.join(outcome.lost)}"] * bool(outcome.lost) + outcome.wrong
    print(f"* `--only '{cell.key}'`: {'; '.join(said)[:600]}")
    if outcome.hung:
        print("\n".join(["  ```", *outcome.printed.splitlines()[:80], "  ```"]))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a few cells of each kind")
    parser.add_argument(
        "--control", action="store_true", help="leave ctxtrace out: the checks must fail"
    )
    parser.add_argument("--only", default="*", help="only the cells whose name is like this")
    parser.add_argument("--at-once", type=int, default=max(2, os.cpu_count() or 2))
    arguments = parser.parse_args()
    chosen = [
        cell for cell in cells(quick=arguments.quick) if fnmatch.fnmatch(cell.key, arguments.only)
    ]
    if not chosen:
        parser.error(f"no cell is like {arguments.only}")

    began = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(arguments.at_once) as pool:
        started = [
            (
                cell,
                pool.submit(run, cell, flushed=False),
                pool.submit(run, cell, flushed=True) if not arguments.control else None,
            )
            for cell in chosen
        ]
        rows = [
            (cell, without.result(), (with_ or without).result())
            for cell, without, with_ in started
        ]
    took = time.perf_counter() - began

    print(
        f"# How processes end{', ctxtrace left out (control)' if arguments.control else ''}, "
        f"{datetime.date.today()}\n"
    )
    programs = len(rows) * (1 if arguments.control else 2)
    print(f"{len(rows)} cells, {programs} programs run in {took:.0f} s.\n")
    print(
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores, {arguments.at_once} programs at once; "
        f"{', '.join(map(_version, PACKAGES))}.\n"
    )
    print(
        "A cell says how many of the runs that were recorded arrived, created once and ended once. "
        "Where the server refuses, it says how long the end took; with ctxtrace the deadline was "
        f"{DEADLINE:.0f} s, and up to {DEADLINE + SLACK:.0f} s are good."
    )
    for tracer in TRACERS:
        if of_tracer := [row for row in rows if row[0].tracer == tracer]:
            _table(tracer, of_tracer)

    bad = [(cell, with_) for cell, _, with_ in rows if not with_.good]
    spared = [
        cell
        for cell, without, _ in rows
        if cell.exit in LOSES and not cell.refused and without.arrived == without.recorded
    ]
    if bad:
        print("\n## What is not as it must be\n")
        for cell, outcome in bad:
            _details(cell, outcome)
    if spared:
        print("\n## Nothing lost without ctxtrace, so nothing tested\n")
        for cell in spared:
            print(f"* `--only '{cell.key}'`")
    if arguments.only != "*":
        for cell, without, with_ in rows:
            for name, outcome in (("without", without), ("with", with_)):
                print(f"\n## {cell.key}, {name}: {outcome.seconds:.2f} s\n\n{outcome.printed}")
                _details(cell, outcome)
    lost = sum(not without.good for _, without, _ in rows)
    print(
        f"\nWithout ctxtrace {lost} cells of {len(rows)} are not sound, with it {len(bad)}."
        if not arguments.control
        else f"\nNOT SOUND: {lost} cells of {len(rows)}."
    )
    return 1 if bad or spared else 0


if __name__ == "__main__":
    sys.exit(main())
