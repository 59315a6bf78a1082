"""Cross every boundary with every tool, and say what became of the child.

    python tests/comparison/run_comparison.py [--write] [--only ROW ...]

A row is a boundary with a small program that crosses it; a column is what carries a trace over it,
used as its documentation shows; and each program runs with LangSmith, with OpenTelemetry and with a
context variable. Every cell is a process of its own.

Prints the tables of this Python, and exits with status 1 if ctxtrace loses what the committed
results say that it carries. With ``--write`` it commits the results to docs/measured, and what both
pages show is made anew from those of all Pythons: docs/explanation/comparison.md and
docs/explanation/where-context-gets-lost.md.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import datetime
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))  # as pyproject.toml has it for pytest

from comparison import _pages  # noqa: E402
from comparison._cells import load_rows  # noqa: E402
from comparison._subjects import SUBJECTS  # noqa: E402

PACKAGES = (
    "ctxtrace",
    "langsmith",
    "langchain-core",
    "langgraph",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-threading",
    "opentelemetry-instrumentation-asyncio",
    "logfire",
    "langfuse",
    "asgiref",
    "anyio",
    "trio",
    "starlette",
)


def _versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _cells_of(subject: str, only: list[str]) -> dict[str, dict[str, str]]:
    """Run the cells of a column, each in a child of one process."""
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("LANG", "OTEL_", "CTXTRACE"))},
        "PYTHONPATH": str(TESTS),
        # That a process with threads is forked is the business of one of the rows.
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        [sys.executable, "-m", "comparison._cells", subject, *only],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment,
        timeout=900,
    )
    if done.returncode:
        sys.exit(f"{subject} failed:\n{done.stderr}")
    cells: dict[str, dict[str, str]] = json.loads(done.stdout)
    return cells


def run(only: list[str]) -> dict[str, Any]:
    subjects = [subject.key for subject in SUBJECTS if sys.version_info[:2] >= subject.oldest]
    began = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        columns = dict(zip(subjects, pool.map(_cells_of, subjects, [only] * len(subjects))))
    rows = columns["bare"]
    return {
        "python": platform.python_version(),
        "date": str(datetime.date.today()),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "seconds": round(time.perf_counter() - began),
        "versions": _versions(),
        "cells": {
            row: {
                tracer: {subject: columns[subject][row][tracer] for subject in subjects}
                for tracer in rows[row]
            }
            for row in rows
        },
    }


def _lost_since(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Say where ctxtrace carried a child, and does no more."""
    return [
        f"{row}, {tracer}, {subject}: {outcomes[subject]}"
        for row, tracers in now["cells"].items()
        for tracer, outcomes in tracers.items()
        for subject in ("ctxtrace", "install")
        if before["cells"].get(row, {}).get(tracer, {}).get(subject) == "nested"
        and outcomes[subject] != "nested"
    ]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="commit the results, and the pages")
    parser.add_argument(
        "--pages", action="store_true", help="only make the pages anew, from what was committed"
    )
    parser.add_argument("--only", nargs="+", default=[], help="only these rows, by their keys")
    arguments = parser.parse_args()
    if arguments.write and arguments.only:
        parser.error("a part of the results is not to be committed")
    rows = load_rows()
    if arguments.pages:
        _pages.write(_pages.committed(), rows, SUBJECTS)
        return 0
    if unknown := set(arguments.only) - {row.key for row in rows}:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")

    result = run(arguments.only)
    python = ".".join(result["python"].split(".")[:2])
    committed = _pages.committed()
    print(_pages.tables(result, rows, SUBJECTS))
    print(f"\n{_pages.tested_with(result)} {result['seconds']} s.")
    lost = _lost_since(committed[python], result) if python in committed else []
    for line in lost:
        print(f"LOST {line}")
    if arguments.write and not lost:
        _pages.commit(python, result)
        _pages.write({**committed, python: result}, rows, SUBJECTS)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
