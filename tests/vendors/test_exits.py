"""Some of the ways that processes end, with real libraries and a server; all: `nox -s exits`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent.parent / "exits"))

from _cells import Cell
from _drive import run

# What arrives without ctxtrace by chance, or always, has its control among the others.
LOSES = [
    Cell("queue", "main", "sigterm"),
    Cell("queue", "main", "atexit-async"),
    Cell("queue", "fork", "end"),
    Cell("otel", "main", "sigterm"),
    Cell("otel", "process-fork", "end"),
]
CELLS = [
    *LOSES,
    Cell("queue", "main", "atexit"),
    Cell("queue", "main", "thread"),
    Cell("queue", "main", "sigint"),
    Cell("queue", "main", "end", refused=True),
    Cell("queue", "fork-open", "end"),
    Cell("queue", "pool-fork", "terminate"),
    Cell("compressed", "fork", "end"),
    Cell("otel", "main", "atexit-early"),
    Cell("otel", "main", "end", refused=True),
    Cell("otel", "fork-open", "end"),
]


def named(cells: list[Cell]) -> list[Any]:
    return [pytest.param(cell, id=cell.key) for cell in cells]


@pytest.mark.parametrize("cell", named(CELLS))
def test_what_was_recorded_arrives_once_and_the_process_ends_as_it_would(cell: Cell) -> None:
    outcome = run(cell, flushed=True)
    assert (outcome.lost, outcome.wrong) == ([], []), outcome.printed


@pytest.mark.parametrize("cell", named(LOSES))
def test_control_without_ctxtrace_some_of_it_is_lost(cell: Cell) -> None:
    assert run(cell, flushed=False).lost
