"""Say in plain words what is wrong with a forest, and with which run.

Knows no test framework: what is said here is a text, or None where all is well. It is for
somebody who did not write the test and has not heard of split traces: first how much is wrong,
then the picture, then run by run what happened, where, and what should have been.
"""

from __future__ import annotations

from collections import Counter
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from ._draw import draw_by_name, draw_by_start
from ._forest import Forest
from ._shape import Line, lines_of, printable, read
from ._words import (
    MOST_LINES,
    block,
    body,
    child_of,
    entry,
    first,
    never_recorded,
    picture,
    rows,
    stands,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from ._forest import Node

_NOTHING = "no run was recorded"
_AROUND = 20  # lines shown around those that differ


def complaint(
    forest: Forest,
    *,
    root: str | None = None,
    runs: Collection[str] = (),
    roots: int = 1,
    sources: Collection[str] = (),
    may_be_open: AbstractSet[str] = frozenset(),
    silent: Mapping[str, str] | None = None,
) -> str | None:
    """Say what keeps a test's forest from being the single trace it should be.

    Args:
        forest: What was recorded.
        root: What every root is to be named.
        runs: Names of which there is to be a run.
        roots: How many trees there are to be.
        sources: The sources to judge, each by itself and each with runs. Without any: those
            that have runs.
        may_be_open: Identifiers of runs that need not have ended.
        silent: What may be why nothing came, for each source that was listened to.

    Returns:
        The text, or None if all is well.
    """
    live = forest.sources
    texts: list[str] = []
    for source in sources or live or [""]:
        of_source = f" ({source})" if sources or len(live) > 1 else ""
        one = forest.only(source)
        if not one.nodes:
            why = [said for name, said in (silent or {}).items() if source in ("", name)]
            texts.append("\n".join([f"{_NOTHING}{of_source}", *why]))
        elif faults := _faults(one, root, runs, roots, may_be_open):
            summary, rest = faults
            texts.append(f"{summary}{of_source}\n{rest}")
    if texts and not sources and len(live) > 1:
        texts.append(
            "More than one source recorded runs, and each is judged by itself; "
            'source="..." restricts the test to one.'
        )
    return "\n\n".join(texts) or None


def _faults(
    forest: Forest,
    root: str | None,
    runs: Collection[str],
    roots: int,
    may_be_open: AbstractSet[str],
) -> tuple[str, str] | None:
    """Judge one source. Return the summary and all that follows it, or None."""
    # Where something else started first, the root that the test names is still the root.
    by_rank = sorted(forest.roots, key=lambda node: root is not None and not _is(node, root))
    surplus = set(by_rank[roots:])
    misnamed = {node for node in by_rank[:roots] if root is not None and not _is(node, root)}
    missing = forest.missing(runs)
    unfinished = left_open(forest, may_be_open)
    displaced: list[str] = []
    for node in forest.roots:
        if node in surplus or node.parent_id is not None:
            known = root is not None and not _is(node, root)
            should = [f"should be below '{printable(root or '')}'"] if known else []
            displaced.append(entry(node, stands(node), *should))
        elif node in misnamed:
            displaced.append(entry(node, f"is the root, expected '{printable(root or '')}'"))
    summary = [
        fact
        for fact, holds in (
            (f"{_many(len(forest.roots), 'trace')}, expected {roots}", len(by_rank) != roots),
            (f"{_many(len(misnamed), 'root')} not named '{printable(root or '')}'", misnamed),
            (_many(len(forest.orphans), "orphan"), forest.orphans),
            (f"{_many(len(missing), 'run')} missing", missing),
            (f"{_many(len(unfinished), 'run')} unfinished", unfinished),
        )
        if holds
    ]
    if not summary:
        return None
    return "; ".join(summary), body(
        draw_by_start(forest, splits=surplus, unfinished=unfinished),
        displaced,
        never_recorded(missing),
        [entry(node, "unfinished: its end was not recorded") for node in unfinished],
    )


def nesting_complaint(
    forest: Forest, chain: Sequence[str], may_be_open: AbstractSet[str] = frozenset()
) -> str | None:
    """Say what keeps runs of these names from being each directly below the one before.

    One such path is enough, but no run of the names after the first may be a root: of five
    children one that split is one too many.

    Args:
        forest: What was recorded.
        chain: The names, from the top.
        may_be_open: Identifiers of runs that need not have ended.

    Returns:
        The text, or None if all is well.
    """
    if not forest.nodes:
        return _NOTHING
    names = [printable(name) for name in chain]
    ends = [node for node in forest.nodes if _is(node, names[0])]
    for name in names[1:]:
        ends = [child for node in ends for child in node.children if _is(child, name)]
    # What heads the chain may stand anywhere, even if it comes again further down.
    parents: dict[str, list[str]] = {name: [] for name in names[1:] if name != names[0]}
    for parent, name in zip(names, names[1:]):
        if name in parents:
            parents[name].append(parent)
    lost = [root for root in forest.roots if printable(root.name) in parents]
    if ends and not lost:
        return None
    # Where the path exists, others of these names may well stand elsewhere too.
    suspects = lost if ends else [*lost, *(node for node in forest.nodes if node.parent)]
    displaced: list[str] = []
    for node in suspects:
        should = parents.get(printable(node.name), [])
        if should and not (node.parent and printable(node.parent.name) in should):
            displaced.append(entry(node, stands(node), child_of(*should)))
    path = " > ".join(names)
    summary = f"not every run nests as {path}" if ends else f"no run nests as {path}"
    other = [root for root in forest.splits if not _is(root, names[0])]
    rest = body(
        draw_by_start(forest, splits={*lost, *other}, unfinished=left_open(forest, may_be_open)),
        displaced,
        never_recorded(forest.missing(names)),
    )
    return f"{summary}\n{rest}"


def split_chain(text: str | Sequence[str]) -> list[str]:
    """Return the names of a path: ``"a > b"``, or a list of them.

    Raises:
        ValueError: These are not two names or more.
    """
    __tracebackhide__ = True
    names = [name.strip() for name in text.split(" > ")] if isinstance(text, str) else list(text)
    if len(names) < 2 or not all(isinstance(name, str) and name for name in names):
        raise ValueError(
            f"{text!r} is no path of runs. Valid are two names or more, parents first, with ' > ' "
            "between them ('parent > child') or as a list (['parent', 'child'])"
        )
    return names


def difference(forest: Forest, expected: Forest | str | dict[Any, Any]) -> list[str]:
    """Say in lines how a forest differs from what it was compared with.

    Args:
        forest: What was recorded.
        expected: What was expected: a drawing, a nested dict, or another forest.
    """
    try:
        wanted = lines_of(expected) if isinstance(expected, Forest) else read(expected)
    except (TypeError, ValueError) as error:
        return str(error).split("\n")
    found = lines_of(forest)
    lines = ["the trace trees differ (- expected, + recorded):", ""]
    lines += _compared(*(rows(draw_by_name(each, ascii=False)) for each in (wanted, found)))
    misplaced = _misplaced(forest, wanted)
    roots = Counter({line.name: line.times for line in wanted if line.depth == 0})
    # What was expected to be a root is one, though it started later than another.
    roots.subtract(printable(root.name) for root in forest.roots)
    splits = [root for root in forest.splits if roots[printable(root.name)] < 0]
    splits += [node for node, _ in misplaced if node.parent is None]
    if splits or forest.orphans or any(node.error or not node.ended for node in forest.nodes):
        drawing = draw_by_start(forest, splits=splits)
        lines += ["", "as recorded, in order of start:", *picture(drawing)]
    lines += block(
        [
            entry(node, stands(node), "should be a root" if goal is None else child_of(goal))
            for node, goal in misplaced
        ]
    )
    return lines + block(never_recorded(forest.missing(line.name for line in wanted)))


def _compared(wanted: list[str], found: list[str]) -> list[str]:
    """Mark what is only expected and what is only found.

    Not by difflib's own `ndiff`: looking for similar lines, it takes half a minute for 400
    lines that are all alike and all differ.
    """
    same = _same(wanted, found)
    wanted, found, before = wanted[same:], found[same:], wanted[:same]
    same = _same(wanted[::-1], found[::-1])
    after = wanted[len(wanted) - same :]
    wanted, found = wanted[: len(wanted) - same], found[: len(found) - same]
    # Much that differs is not compared further: it would take long, and is more than is shown.
    few = max(len(wanted), len(found)) <= 5 * MOST_LINES
    groups = SequenceMatcher(None, wanted, found).get_grouped_opcodes(_AROUND) if few else ()
    lines = ["  ..."] * (len(before) > _AROUND) + [f"  {row}" for row in before[-_AROUND:]]
    for number, group in enumerate(groups or [[("replace", 0, len(wanted), 0, len(found))]]):
        lines += ["  ..."] * (number > 0)
        for kind, start, end, start_found, end_found in group:
            if kind == "equal":
                lines += [f"  {row}" for row in wanted[start:end]]
            else:
                lines += [f"- {row}" for row in wanted[start:end]]
                lines += [f"+ {row}" for row in found[start_found:end_found]]
    lines += [f"  {row}" for row in after[:_AROUND]] + ["  ..."] * (len(after) > _AROUND)
    return first(lines, MOST_LINES, "lines")


def _same(one: list[str], other: list[str]) -> int:
    """Return how many lines are the same before the first that is not."""
    return next(
        (n for n, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other))
    )


def _misplaced(forest: Forest, wanted: list[Line]) -> list[tuple[Node, str | None]]:
    """Return each run that stands where it should not, and the parent that lacks it.

    Counted for each name by itself: of five runs that should have one parent and have two,
    those are meant that have the other one.
    """
    lacking: Counter[tuple[str, str | None]] = Counter()
    above: list[tuple[str, int]] = []
    for depth, name, times in wanted:
        del above[depth:]
        parent, parents = above[-1] if above else (None, 1)
        lacking[name, parent] += times * parents
        above.append((name, times * parents))
    places = {
        node: (printable(node.name), printable(node.parent.name) if node.parent else None)
        for node in forest.nodes
    }
    lacking.subtract(places.values())
    goals: dict[str, list[str | None]] = {}
    for (name, parent), many in lacking.items():
        if many > 0:
            goals.setdefault(name, []).append(parent)
    splits = set(forest.splits)
    found: list[tuple[Node, str | None]] = []
    for node, place in sorted(places.items(), key=lambda at: (at[0] not in splits, at[1][0])):
        name, _ = place
        if lacking[place] < 0 and goals.get(name):
            goal = goals[name][0]
            found.append((node, goal))
            lacking[place] += 1
            lacking[name, goal] -= 1
            if not lacking[name, goal]:
                del goals[name][0]
    return found


def left_open(forest: Forest, may_be_open: AbstractSet[str]) -> list[Node]:
    """Return the runs that should have ended by now."""
    return [node for node in forest.unfinished if node.id not in may_be_open]


def _is(node: Node, name: str) -> bool:
    return printable(node.name) == printable(name)


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
