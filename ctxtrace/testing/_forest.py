"""Trace trees as plain data: built from records, compared by shape.

Knows no tracing library and no test framework; the recorders beside it bring the records.
How a forest is compared stands in `_shape`, how it is drawn in `_draw`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from ._shape import lines_of, printable, read

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
    source: str = ""
    position: tuple[str, int] | None = None


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
        source: Who recorded it: ``"langsmith"`` or ``"otel"``.
        position: File and line of the function it is a run of, or of the code that opened
            it, if known.
        children: The runs started under it, in order of start.
        parent: The run it was started under; None for a root, orphans among them.
    """

    id: str
    parent_id: str | None
    name: str
    start: float
    ended: bool = False
    error: bool = False
    thread: str | None = None
    task: str | None = None
    source: str = ""
    position: tuple[str, int] | None = None
    children: list[Node] = field(default_factory=list["Node"])
    parent: Node | None = None

    def __repr__(self) -> str:
        return f"<Node {self.name!r}, {len(self.children)} children>"


def record_of(node: Node) -> Record:
    """Return the record that a node was made from."""
    return Record(*(getattr(node, field) for field in Record._fields))


class Forest:
    """All trace trees of a recording.

    A program that starts one trace should leave a forest of one tree. Built by
    `from_records`; does not change afterwards.

    Equal to another forest, to a drawing (`str`) and to a nested `dict` that show the same
    trees of names, in whatever order the runs started::

        forest == '''
            outer
            ├─ child x 200
            └─ last
        '''
        forest == {"outer": {"child x 200": None, "last": None}}

    In a drawing the column in which a name begins says how deep it is; the strokes before it
    may be left out. In a dict the values are what is below: a dict, None, the name of an only
    child, or a list of names and dicts. In both, ``NAME x N`` are N runs that look the same,
    and a name that would be misread is written in double quotes, as JSON does. Comparing with
    a drawing or a dict that cannot be read raises `ValueError`, or `TypeError` where a dict
    holds something else than these.

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
                No run has its parent in another source.

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
                node.parent = parent
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
        """Every root but the one that started first, which are children that became roots.

        Each source is judged by itself: two libraries that record one program make a tree each.
        """
        first: dict[str, Node] = {}
        return [root for root in self.roots if first.setdefault(root.source, root) is not root]

    @property
    def unfinished(self) -> list[Node]:
        """The nodes whose end was not recorded."""
        return [node for node in self.nodes if not node.ended]

    @property
    def sources(self) -> list[str]:
        """The names of the sources that have nodes, sorted."""
        return sorted({node.source for node in self.nodes})

    @property
    def traces(self) -> list[Trace]:
        """Each tree as a forest of its own, in order of start."""
        nodes: dict[Node, list[Node]] = {root: [] for root in self.roots}
        root_of = {node: root for root in self.roots for node in descend(root)}
        for node in self.nodes:
            nodes[root_of[node]].append(node)
        return [
            Trace(nodes[root], [root], [] if root.parent_id is None else [root])
            for root in self.roots
        ]

    def only(self, source: str) -> Forest:
        """Return the forest that one source recorded; an empty one if it recorded nothing."""
        return Forest(
            *(
                [node for node in nodes if node.source == source]
                for nodes in (self.nodes, self.roots, self.orphans)
            )
        )

    def missing(self, names: Iterable[str]) -> list[str]:
        """Return those of the names of which there is no run."""
        recorded = {printable(node.name) for node in self.nodes}
        return [name for name in dict.fromkeys(names) if printable(name) not in recorded]

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

    def __eq__(self, other: object) -> bool:
        __tracebackhide__ = True
        if isinstance(other, Forest):
            return lines_of(self) == lines_of(other)
        if isinstance(other, (str, dict)):
            return lines_of(self) == read(cast("str | dict[Any, Any]", other))
        return NotImplemented

    @property
    def tree(self) -> str:
        """The canonical drawing as text of lines, for ``assert forest.tree == ...``.

        Each line has its end, the last one too, as a text in triple quotes has them.
        """
        drawing = self.draw()
        return f"{drawing}\n" if drawing else ""

    def draw(
        self,
        *,
        order: Literal["canonical", "start"] = "canonical",
        ascii: bool = False,
        color: bool = False,
    ) -> str:
        """Draw the trees.

        Names lose their control characters.

        Args:
            order: ``"canonical"`` draws names alone. Siblings are sorted by name and then by
                their own drawing, and those that look the same share a line
                (``child x 200``), so that two runs of one concurrent program draw the same
                picture. A name that would be misread is drawn in double quotes: the forest
                is always equal to its drawing. ``"start"`` draws one line a run, in order of
                start, and marks splits and orphans, with the task or thread they started in,
                and runs that failed or did not end.
            ascii: Use nothing beyond ASCII.
            color: Use ANSI colours for the marks.

        Raises:
            ValueError: There is no such order.
        """
        from ._draw import draw_by_name, draw_by_start

        if order == "canonical":
            return draw_by_name(lines_of(self), ascii=ascii)
        if order == "start":
            return draw_by_start(self, ascii=ascii, color=color)
        raise ValueError(f"there is no order {order!r}: use 'canonical' or 'start'")

    def to_dict(self) -> dict[str, Any]:
        """Return the forest as data that `json.dumps` takes.

        Names lose their control characters, as in the drawing.
        """
        from ._draw import to_dict

        return to_dict(self)

    def __repr__(self) -> str:
        return f"<Forest: {len(self.roots)} traces, {len(self.nodes)} runs>"


class Trace(Forest):
    """A forest of exactly one tree.

    Attributes:
        root: Its root.

    Raises:
        ValueError: There are more trees, or none.
    """

    def __init__(self, nodes: list[Node], roots: list[Node], orphans: list[Node]) -> None:
        if len(roots) != 1:
            raise ValueError(f"a Trace is exactly one tree, and these are {len(roots)}")
        super().__init__(nodes, roots, orphans)
        self.root: Node = roots[0]

    def __repr__(self) -> str:
        return f"<Trace {self.root.name!r}, {len(self.nodes)} runs>"


def descend(root: Node) -> Iterator[Node]:
    """Walk a tree: each node before its children, siblings in order of start."""
    left = [root]
    while left:
        node = left.pop()
        yield node
        left.extend(reversed(node.children))
