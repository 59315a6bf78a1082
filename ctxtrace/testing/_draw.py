"""A forest as a picture, and as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ._shape import label, printable

if TYPE_CHECKING:
    from collections.abc import Collection

    from ._forest import Forest, Node
    from ._shape import Line


class _Pen(NamedTuple):
    """The strokes of a drawing."""

    child: str
    last_child: str
    pass_by: str
    blank: str
    cross: str


class DrawnRun(NamedTuple):
    """What a picture says of a run.

    Attributes:
        depth: How many runs are above it.
        name: Its name, as it may be shown.
        marks: What is wrong with it: split, orphan, error, unfinished.
        place: The task or the thread in which a split began, or "".
        source: Who recorded it.
    """

    depth: int
    name: str
    marks: list[str]
    place: str
    source: str


_UNICODE = _Pen("├─ ", "└─ ", "│  ", "   ", "✗")
_ASCII = _Pen("|- ", "`- ", "|  ", "   ", "x")


def draw_by_name(lines: list[Line], *, ascii: bool) -> str:
    strokes = _strokes([line.depth for line in lines], _ASCII if ascii else _UNICODE)
    return "\n".join(
        f"{before}{label(line.name, line.times, ascii=ascii)}"
        for before, line in zip(strokes, lines)
    )


def draw_by_start(
    forest: Forest,
    *,
    ascii: bool = False,
    color: bool = False,
    splits: Collection[Node] | None = None,
    unfinished: Collection[Node] | None = None,
) -> str:
    """Draw one line a run, in order of start, with marks.

    Args:
        forest: What to draw.
        ascii: Use nothing beyond ASCII.
        color: Use ANSI colours for the marks.
        splits: What to mark as such, if not the splits of the forest.
        unfinished: What to mark as such, if not the unfinished runs of the forest.
    """
    pen = _ASCII if ascii else _UNICODE
    runs = runs_by_start(forest, splits=splits, unfinished=unfinished)
    lines: list[str] = []
    for before, run in zip(_strokes([run.depth for run in runs], pen), runs):
        text = f"{before}{run.name}"
        if run.marks:
            place = f" ({run.place})" if run.place else ""
            text += _paint(f"  {pen.cross} {', '.join(run.marks)}{place}", "31", color)
        lines.append(text)
    drawing = "\n".join(lines)
    return drawing.encode("ascii", "backslashreplace").decode() if ascii else drawing


def runs_by_start(
    forest: Forest,
    *,
    splits: Collection[Node] | None = None,
    unfinished: Collection[Node] | None = None,
) -> list[DrawnRun]:
    """Return what a picture says of each run, a run before what is below it."""
    marked = {
        "split": set(forest.splits if splits is None else splits),
        "orphan": set(forest.orphans),
        "error": {node for node in forest.nodes if node.error},
        "unfinished": set(forest.unfinished if unfinished is None else unfinished),
    }
    # A list of our own, as a deep tree must not run into the recursion limit.
    left = [(root, 0) for root in reversed(forest.roots)]
    runs: list[DrawnRun] = []
    while left:
        node, depth = left.pop()
        marks = [mark for mark, those in marked.items() if node in those]
        place = _place(node) if {"split", "orphan"} & set(marks) else ""
        runs.append(DrawnRun(depth, printable(node.name) or "?", marks, place, node.source))
        left.extend((child, depth + 1) for child in reversed(node.children))
    return runs


def _strokes(depths: list[int], pen: _Pen) -> list[str]:
    """Return what stands before each node, given their depths, parents before children."""
    last: list[bool] = []
    later: set[int] = set()  # the depths in which a sibling is still to come
    for depth in reversed(depths):
        last.append(depth not in later)
        later.add(depth)
        later.discard(depth + 1)
    strokes: list[str] = []
    below = [""]  # what stands before the strokes of a line in this depth
    for depth, is_last in zip(depths, reversed(last)):
        if depth == 0:
            strokes.append("")
            del below[1:]
            below.append("")
            continue
        del below[depth + 1 :]
        strokes.append(below[depth] + (pen.last_child if is_last else pen.child))
        below.append(below[depth] + (pen.blank if is_last else pen.pass_by))
    return strokes


def _place(node: Node) -> str:
    # The task says more than the thread, which is the loop's, whatever the task.
    if node.task is not None:
        return f"task {printable(node.task)}"
    return "" if node.thread is None else f"thread {printable(node.thread)}"


def _paint(text: str, code: str, color: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if color else text


def to_dict(forest: Forest) -> dict[str, Any]:
    splits, orphans = set(forest.splits), set(forest.orphans)
    made: dict[Node, dict[str, Any]] = {}
    for node in forest.nodes:
        made[node] = {
            "name": printable(node.name),
            "id": node.id,
            "parent_id": node.parent_id,
            "start": node.start,
            "thread": None if node.thread is None else printable(node.thread),
            "task": None if node.task is None else printable(node.task),
            "source": node.source,
            "position": _position(node),
            "ended": node.ended,
            "error": node.error,
            "split": node in splits,
            "orphan": node in orphans,
            "children": [],
        }
    for node in forest.nodes:
        made[node]["children"] = [made[child] for child in node.children]
    return {
        "traces": len(forest.roots),
        "runs": len(forest.nodes),
        "splits": len(forest.splits),
        "orphans": len(forest.orphans),
        "roots": [made[root] for root in forest.roots],
    }


def _position(node: Node) -> dict[str, Any] | None:
    if node.position is None:
        return None
    file, line = node.position
    return {"file": printable(file), "line": line}
