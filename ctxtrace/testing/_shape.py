"""What is compared of a forest: the names, and which is below which.

Two runs of one concurrent program start their children in different order, and are to compare
equal. So whatever is compared (a forest, a drawing, a nested dict) becomes a list of `Line`
first, a node before what is below it, and `canonical` puts that into the one order that all
forests of this shape have. Everything here goes along such lists with stacks of its own: a
deep tree must not run into the recursion limit.
"""

from __future__ import annotations

import json
import re
import unicodedata
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ._forest import Forest

# Beside the control characters proper: those that turn the direction of writing round,
# unpaired surrogates, which no encoding takes, and Unicode's own line ends.
_UNPRINTED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(text: str) -> str:
    """Return the text without control characters; a line end or tab becomes a space.

    A run's name may come from anywhere, a request included. It must not be able to move a
    terminal's cursor, draw a branch of its own or end a line of a report.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        " " if char in "\n\r\t" else char
        for char in text
        if char in "\n\r\t" or unicodedata.category(char) not in _UNPRINTED
    )


class Line(NamedTuple):
    """So many runs of this name, side by side in this depth, with the same below each."""

    depth: int
    name: str
    times: int


_END = Line(-1, "", 0)


class _Tree:
    """A canonical tree without its count. Of those that look the same there is only one."""

    __slots__ = ("below", "name")

    def __init__(self, name: str, below: list[tuple[_Tree, int]]) -> None:
        self.name = name
        self.below = below

    def __lt__(self, other: _Tree) -> bool:
        # Line by line, and no further than the first that differs: there is always one, as
        # trees that look the same are the same. The one that ends first is the lesser.
        pairs = zip_longest(_unfold([(self, 1)]), _unfold([(other, 1)]), fillvalue=_END)
        return next(mine < its for mine, its in pairs if mine != its)


def canonical(lines: list[Line]) -> list[Line]:
    """Sort siblings by name and then by what is below them, and count equal ones together."""
    known: dict[tuple[str, frozenset[tuple[_Tree, int]]], _Tree] = {}
    # Backwards, so that every child is there when its parent asks; by depth, as those in the
    # depth below belong to the parent that comes next.
    waiting: dict[int, dict[_Tree, int]] = {}
    for depth, name, count in reversed(lines):
        below = waiting.pop(depth + 1, {})
        key = (name, frozenset(below.items()))
        if key not in known:
            known[key] = _Tree(name, _sorted(below))
        siblings = waiting.setdefault(depth, {})
        siblings[known[key]] = siblings.get(known[key], 0) + count
    return list(_unfold(_sorted(waiting.get(0, {}))))


def lines_of(forest: Forest) -> list[Line]:
    """Return the names of a forest, in canonical order: what is compared and drawn."""
    flat: list[Line] = []
    left = [(root, 0) for root in forest.roots]
    while left:
        node, depth = left.pop()
        flat.append(Line(depth, printable(node.name), 1))
        left.extend((child, depth + 1) for child in node.children)
    return canonical(flat)


def _sorted(counted: dict[_Tree, int]) -> list[tuple[_Tree, int]]:
    return sorted(counted.items(), key=lambda item: (item[0].name, item[0]))


def _unfold(trees: list[tuple[_Tree, int]]) -> Iterator[Line]:
    left = [(0, tree, count) for tree, count in reversed(trees)]
    while left:
        depth, tree, count = left.pop()
        yield Line(depth, tree.name, count)
        left.extend((depth + 1, child, times) for child, times in reversed(tree.below))


# --- Labels: NAME, or NAME x N --------------------------------------------------------------

_STROKES = "│├└─|`-+"
_COUNTED = re.compile(r"(.+) x ([0-9]{1,9})")
_COUNT_AFTER_QUOTES = re.compile(r"(?: x ([0-9]{1,9}))?")
_VALID_LABEL = (
    "NAME or NAME x N with N from 1; a name that begins with a stroke or a quote, or ends in "
    "a space or in x N itself, stands in double quotes, as in JSON"
)


def label(name: str, count: int, *, ascii: bool) -> str:
    """Write a name and its count so that `read_label` finds both again."""
    misread = (
        not name
        or name != name.strip()
        or name[0] in _STROKES + '"'
        or _COUNTED.fullmatch(name) is not None
        or (ascii and not name.isascii())
    )
    written = json.dumps(name, ensure_ascii=ascii) if misread else name
    return written if count == 1 else f"{written} x {count}"


def read_label(text: str) -> tuple[str, int]:
    """Read what `label` wrote, or a user in its way.

    Raises:
        ValueError: It cannot be read. Says why, and what is valid.
    """
    text = printable(text).strip(" ")
    if text.startswith('"'):
        try:
            name, end = json.JSONDecoder().raw_decode(text)
        except ValueError:
            raise ValueError(f"Its quotes are not as in JSON. Valid is {_VALID_LABEL}") from None
        counted = _COUNT_AFTER_QUOTES.fullmatch(text, end)
        if counted is None:
            raise ValueError(f"After its quotes comes {text[end:]!r}. Valid is {_VALID_LABEL}")
        count = counted[1] or "1"
    else:
        counted = _COUNTED.fullmatch(text)
        name, count = (counted[1].rstrip(" "), counted[2]) if counted else (text, "1")
        if not name:
            raise ValueError(f"There is no name. Valid is {_VALID_LABEL}")
    if not int(count):
        raise ValueError(f"It counts no run. Valid is {_VALID_LABEL}")
    return printable(name), int(count)


# --- Reading what a user expects ------------------------------------------------------------


def read(expected: str | dict[Any, Any]) -> list[Line]:
    """Read a drawing or a nested dict.

    Raises:
        ValueError: A line, or the key of a dict, cannot be read. Says which, why, and what is
            valid.
        TypeError: A dict holds something else than it may.
    """
    __tracebackhide__ = True  # pytest's word for a frame that says nothing
    return canonical(_read_drawing(expected) if isinstance(expected, str) else _read_dict(expected))


def _read_drawing(drawing: str) -> list[Line]:
    __tracebackhide__ = True
    lines: list[Line] = []
    columns: list[int] = []  # where the labels of the last line and of those it is below begin
    for number, line in enumerate(drawing.split("\n"), start=1):
        text = line.rstrip(" \t\r")
        if not text:
            continue
        start = text.lstrip(" \t" + _STROKES)
        try:
            _enter(columns, text[: len(text) - len(start)])
            name, count = read_label(start)
        except ValueError as error:
            raise ValueError(
                f"line {number} of the drawing cannot be read: {text!r}\n{error}.\nBefore a "
                f"name there may be spaces and strokes ({' '.join(_STROKES)}); the column it "
                "begins in says how deep it is."
            ) from None
        lines.append(Line(len(columns) - 1, name, count))
    return lines


def _enter(columns: list[int], before: str) -> None:
    """Go down or up to the column of the next label, as Python does with indentation."""
    column = len(before)
    if "\t" in before:
        # Counted as one column or as eight, it would put the name where nobody meant it.
        raise ValueError("A tab stands before its name. Valid are spaces")
    if not columns or column > columns[-1]:
        columns.append(column)
    elif column in columns:
        del columns[columns.index(column) + 1 :]
    else:
        raise ValueError(
            f"Its name begins in column {column + 1}, and no name it could stand beside does. "
            f"Valid are {', '.join(str(valid + 1) for valid in columns[-5:])} and any beyond"
        )


def _read_dict(expected: dict[Any, Any]) -> list[Line]:
    __tracebackhide__ = True
    lines: list[Line] = []
    path: list[str] = []
    left = [(0, key, below) for key, below in _entries(expected, path)]
    while left:
        depth, key, below = left.pop()
        del path[depth:]
        if not isinstance(key, str):
            raise TypeError(f"a name is a str, not {type(key).__name__} ({_where(path)})")
        try:
            name, count = read_label(key)
        except ValueError as error:
            raise ValueError(f"{key!r} cannot be read ({_where(path)}): {error}.") from None
        lines.append(Line(depth, name, count))
        path.append(name)
        left.extend((depth + 1, *entry) for entry in _entries(below, path))
    return lines


def _entries(below: Any, path: list[str]) -> Iterable[tuple[Any, Any]]:
    """Return the names in one place of a dict, each with what is below it."""
    __tracebackhide__ = True
    if below is None:
        return ()
    if isinstance(below, str):
        return ((below, None),)
    if isinstance(below, dict):
        return cast("dict[Any, Any]", below).items()
    items = cast("list[Any]", below) if isinstance(below, list) else [below]
    if wrong := [item for item in items if not isinstance(item, (str, dict))]:
        raise TypeError(
            "what is below a run is a dict, None, a str (an only child) or a list of str and "
            f"dict, not {'a list with ' if isinstance(below, list) else ''}"
            f"{type(wrong[0]).__name__} ({_where(path)})"
        )
    return [entry for item in items for entry in _entries(item, path)]


def _where(path: list[str]) -> str:
    return f"below {' > '.join(path)}" if path else "at the top"
