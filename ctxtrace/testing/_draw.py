"""A forest as a picture, and as data."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ._forest import Forest, Node


class _Pen(NamedTuple):
    """The strokes of a drawing."""

    child: str
    last_child: str
    pass_by: str
    blank: str
    cross: str


_UNICODE = _Pen("├─ ", "└─ ", "│  ", "   ", "✗")
_ASCII = _Pen("|- ", "`- ", "|  ", "   ", "x")

# Beside the control characters proper: those that turn the direction of writing round,
# unpaired surrogates, which no encoding takes, and Unicode's own line ends.
_UNPRINTED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(text: str) -> str:
    """Return the text without control characters; a line end or tab becomes a space.

    A run's name may come from anywhere, a request included. It must not be able to move a
    terminal's cursor, draw a branch of its own or end a line of a report.
    """
    return "".join(
        " " if char in "\n\r\t" else char
        for char in text
        if char in "\n\r\t" or unicodedata.category(char) not in _UNPRINTED
    )


def draw(forest: Forest, *, ascii: bool, color: bool) -> str:
    pen = _ASCII if ascii else _UNICODE
    splits, orphans = set(forest.splits), set(forest.orphans)
    lines: list[str] = []
    for root in forest.roots:
        # What is still to be drawn: the node, what stands before it, what stands before its
        # children. A list of our own, as a deep tree must not run into the recursion limit.
        left: list[tuple[Node, str, str]] = [(root, "", "")]
        while left:
            node, before, below = left.pop()
            text = f"{before}{printable(node.name) or '?'}"
            marks = _marks(node, split=node in splits, orphan=node in orphans)
            if marks:
                text += _paint(f"  {pen.cross} {marks}", "31", color)
            lines.append(text)
            for child in reversed(node.children):
                last = child is node.children[-1]
                left.append(
                    (
                        child,
                        below + (pen.last_child if last else pen.child),
                        below + (pen.blank if last else pen.pass_by),
                    )
                )
    drawing = "\n".join(lines)
    return drawing.encode("ascii", "backslashreplace").decode() if ascii else drawing


def _marks(node: Node, *, split: bool, orphan: bool) -> str:
    """Say what is wrong with a node, or nothing."""
    marks = [
        mark
        for mark, holds in (
            ("split", split),
            ("orphan", orphan),
            ("error", node.error),
            ("unfinished", not node.ended),
        )
        if holds
    ]
    text = ", ".join(marks)
    if split or orphan:
        # The task says more than the thread, which is the loop's, whatever the task.
        if node.task is not None:
            text += f" (task {printable(node.task)})"
        elif node.thread is not None:
            text += f" (thread {printable(node.thread)})"
    return text


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
