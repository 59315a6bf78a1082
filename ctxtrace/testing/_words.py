"""The words and paragraphs in which a verdict is given: what befell a run, and where."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ._shape import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._forest import Node

MOST_LINES = 200  # of a picture
_MOST_RUNS = 20  # of a kind


def stands(node: Node) -> str:
    if node.parent is not None:
        return f"is a child of '{printable(node.parent.name)}'"
    if node.parent_id is not None:
        return "orphan: its parent was never recorded"
    return "split: started a trace of its own"


def child_of(*names: str) -> str:
    return "should be a child of " + " or ".join(f"'{name}'" for name in names)


def never_recorded(names: Iterable[str]) -> list[str]:
    return [f"{printable(name) or '?'}  missing: never recorded" for name in names]


def entry(node: Node, said: str, *more: str) -> str:
    """Name a run, say what happened to it, and below that where, and what should have been."""
    where: list[str] = []
    if node.thread is not None:
        where.append(f"thread {printable(node.thread)}")
    if node.task is not None:
        where.append(f"task {printable(node.task)}")
    if node.position is not None:
        where.append(f"code at {in_source(*node.position)}")
    below = [", ".join(where), *more] if where else more
    return "\n    ".join([f"{printable(node.name) or '?'}  {said}", *below])


def in_source(file: str, line: int) -> str:
    """Name a line, by a path from the working directory where there is one."""
    # It may be elsewhere, or the working directory gone.
    with contextlib.suppress(OSError, ValueError):
        file = str(Path(file).relative_to(Path.cwd()))
    return f"{printable(file)}:{line}"


def body(drawing: str, *kinds: list[str]) -> str:
    """Return the picture, and each kind of entry in a paragraph of its own."""
    lines = picture(drawing)
    for entries in kinds:
        lines += block(entries)
    return "\n".join(lines)


def rows(drawing: str) -> list[str]:
    return drawing.split("\n") if drawing else []


def picture(drawing: str) -> list[str]:
    return ["", *(f"  {row}" for row in first(rows(drawing), MOST_LINES, "lines"))]


def block(entries: list[str]) -> list[str]:
    """Return a paragraph of entries; those that say the same say it once."""
    alike: list[str] = []
    for each, times in Counter(entries).items():
        what, end, where = each.partition("\n")
        alike.append(each if times == 1 else f"{what} ({times} runs){end}{where}")
    shown = first(alike, _MOST_RUNS, "runs")
    return ["", *(row for each in shown for row in each.split("\n"))] if shown else []


def first(items: list[str], most: int, what: str) -> list[str]:
    if len(items) <= most:
        return items
    return [*items[:most], f"and {len(items) - most} more {what}"]
