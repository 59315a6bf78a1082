"""The rows of the tables: a boundary, how the context gets lost there, and a program.

A program starts the run `parent`, crosses the boundary, and starts `child` on its far side. What it
crosses it with it takes from `tools`: the standard library's and the libraries' own, or what one of
those that are compared has in its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from comparison._tracers import TRACERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from comparison._tracers import Run, Tracer

    Program = Callable[[Any, Any], "list[Run] | None"]

LIMIT = 30.0  # seconds; only ever reached by a failure


class Row(NamedTuple):
    key: str
    title: str
    mechanism: str
    program: Program
    tracers: tuple[str, ...]
    parent: str
    """Below which run the child belongs."""
    direct: bool
    """Whether directly, and not below a run that the tool opens for itself."""
    shown: bool
    """Whether in the comparison, too."""


class Unavailable(Exception):
    """This Python has no such thing."""


ROWS: list[Row] = []


def row(
    key: str,
    title: str,
    mechanism: str,
    *,
    tracers: tuple[str, ...] = tuple(TRACERS),
    parent: str = "parent",
    direct: bool = False,
    shown: bool = True,
) -> Callable[[Program], Program]:
    def register(program: Program) -> Program:
        ROWS.append(Row(key, title, mechanism, program, tracers, parent, direct, shown))
        return program

    return register


def outcome_of(row: Row, tracer: Tracer, tools: Any) -> str:
    """Run the row's program, and say what became of the child."""
    elsewhere = row.program(tools, tracer) or []
    return judged(tracer.paths(elsewhere), row)


def judged(paths: list[tuple[str, ...]], row: Row) -> str:
    """Say what became of a child, by the names from its root down to it."""
    if not paths:
        return "missing"
    # Of several children, the first that is not where it belongs.
    outcomes = [_judged(path, row) for path in paths]
    return next((outcome for outcome in outcomes if outcome != "nested"), "nested")


def _judged(path: tuple[str, ...], row: Row) -> str:
    if path[0] == "?":
        return "orphan"
    if path[0] != "parent":
        return "split"
    if (path[-2] == row.parent) if row.direct else (row.parent in path[:-1]):
        return "nested"
    return "wrong parent"
