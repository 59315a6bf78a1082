"""Trace trees as plain data: built from records, compared by shape.

Knows no tracing library and no test framework; the recorders beside it bring the records.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Record(NamedTuple):
    """What a recorder knows of one run. Never its inputs, outputs, metadata or tags."""

    id: str
    parent_id: str | None
    name: str
    start: float = 0.0
    ended: bool = False
    error: bool = False
    thread: str | None = None
    task: str | None = None


@dataclass(eq=False)
class Node:
    """One run or span of a trace tree.

    Attributes:
        id: The run's own identifier.
        parent_id: Identifier of the run it was started under, or None. The parent is in the
            forest too unless this node is an orphan.
        name: The run's name, as it was recorded.
        start: When it started, in seconds. Comparable within one forest.
        ended: Whether its end was recorded.
        error: Whether it was recorded as failed.
        thread: Name of the thread it started in, if known.
        task: Name of the asyncio task it started in, or None.
        children: The runs started under it, in order of start.
    """

    id: str
    parent_id: str | None
    name: str
    start: float
    ended: bool = False
    error: bool = False
    thread: str | None = None
    task: str | None = None
    children: list[Node] = field(default_factory=list["Node"])

    def __repr__(self) -> str:
        return f"<Node {self.name!r}, {len(self.children)} children>"


class Forest:
    """All trace trees of a recording.

    A program that starts one trace should leave a forest of one tree. Built by
    `from_records`; does not change afterwards.

    Attributes:
        nodes: Every node, in order of start.
        roots: The nodes without a recorded parent, in order of start, orphans among them.
        orphans: Those roots that name a parent, though it was never recorded.
    """

    def __init__(self, nodes: list[Node], roots: list[Node], orphans: list[Node]) -> None:
        self.nodes = nodes
        self.roots = roots
        self.orphans = orphans

    @classmethod
    def from_records(cls, records: Iterable[Record]) -> Forest:
        """Build the forest that the records describe.

        A child may come before its parent: some tracers post it first, so nothing is
        judged before the last record was read.

        Args:
            records: The runs. Where two started at the same time, their order here counts.

        Raises:
            ValueError: Two records share an identifier, or records are each other's
                ancestors: no forest can be made of these.
        """
        # sorted() is stable, which is what makes the order of recording break ties.
        nodes = [Node(**record._asdict()) for record in sorted(records, key=lambda r: r.start)]
        by_id: dict[str, Node] = {}
        for node in nodes:
            other = by_id.setdefault(node.id, node)
            if other is not node:
                raise ValueError(
                    f"two records have the id {node.id!r} ({other.name!r} and {node.name!r}); "
                    "record each run once"
                )
        roots: list[Node] = []
        orphans: list[Node] = []
        for node in nodes:
            parent = None if node.parent_id is None else by_id.get(node.parent_id)
            if parent is not None:
                parent.children.append(node)
                continue
            roots.append(node)
            if node.parent_id is not None:
                orphans.append(node)
        reached = {node.id for root in roots for node in descend(root)}
        if len(reached) < len(nodes):
            names = ", ".join(repr(node.name) for node in nodes if node.id not in reached)
            raise ValueError(f"records are each other's ancestors, or below such: {names}")
        return cls(nodes, roots, orphans)

    @property
    def splits(self) -> list[Node]:
        """Every root but the one that started first, which are children that became roots."""
        return self.roots[1:]

    @property
    def shape(self) -> list[Any]:
        """The names alone, as nested lists such as ``[("outer", [("inner", [])])]``.

        Canonical: siblings are sorted by name and then by their own shape, so that two
        runs of one concurrent program compare equal.
        """
        shapes: dict[Node, Any] = {}
        # Parents come before their children in `descend`, so backwards every child is ready
        # when its parent asks; no recursion, so no limit to the depth.
        for root in self.roots:
            for node in reversed(list(descend(root))):
                inner = sorted(shapes.pop(child) for child in node.children)
                shapes[node] = (node.name, inner)
        return sorted(shapes.values())

    def draw(self, *, ascii: bool = False, color: bool = False) -> str:
        """Draw the trees, in order of start, one line a run.

        Splits and orphans are marked, with the task or thread they started in; so are runs
        that failed or did not end. Names lose their control characters.

        Args:
            ascii: Use nothing beyond ASCII.
            color: Use ANSI colours.
        """
        from ._draw import draw

        return draw(self, ascii=ascii, color=color)

    def to_dict(self) -> dict[str, Any]:
        """Return the forest as data that `json.dumps` takes.

        Names lose their control characters, as in the drawing.
        """
        from ._draw import to_dict

        return to_dict(self)

    def __repr__(self) -> str:
        return f"<Forest: {len(self.roots)} traces, {len(self.nodes)} runs>"


def descend(root: Node) -> Iterator[Node]:
    """Walk a tree: each node before its children, siblings in order of start."""
    left = [root]
    while left:
        node = left.pop()
        yield node
        left.extend(reversed(node.children))
