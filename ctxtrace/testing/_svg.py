"""Forests as a picture for a page: SVG that needs nothing beside itself.

Each tree is a card, so that one sees how many traces there are before one has read a name. The
picture is for an `<img>`, which knows neither the page's colours nor its fonts: so it brings its
ground with it, is drawn once for light pages and once for dark ones, and names fonts that are
there. The same forest gives the same bytes.

Names come from the program that was watched. They are put in as text, and escaped; there is no
script, no link, and nothing that is loaded.
"""

from __future__ import annotations

import re
import unicodedata
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from ._draw import runs_by_start
from ._shape import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ._draw import DrawnRun
    from ._forest import Forest

# Those of the HTML report, diagnosis/_report/style.css, under its names; a test compares them.
LIGHT = {
    "ground": "#f4f5f7",
    "paper": "#ffffff",
    "ink": "#1a2230",
    "soft": "#566173",
    "line": "#dfe3e9",
    "bad": "#c3202f",
    "bad-soft": "#fdeeee",
    "good": "#1b7446",
    "good-soft": "#e6f4ec",
    "arrow": "#8792a3",
    "langsmith": "#e2ebfb",
    "langsmith-edge": "#6b93d6",
    "otel": "#ddf1ec",
    "otel-edge": "#46998a",
}
DARK = {
    "ground": "#0f1318",
    "paper": "#161b22",
    "ink": "#e3e8f0",
    "soft": "#9ba7b8",
    "line": "#2b333f",
    "bad": "#ff7d80",
    "bad-soft": "#3a1c22",
    "good": "#6fd29b",
    "good-soft": "#14301f",
    "arrow": "#78849a",
    "langsmith": "#20355c",
    "langsmith-edge": "#557fc9",
    "otel": "#153d37",
    "otel-edge": "#3f9484",
}

_STYLE = """\
text{{font:13px system-ui,-apple-system,"Segoe UI",sans-serif;fill:{ink}}}
.name{{font:14px ui-monospace,"SF Mono","Cascadia Mono",Consolas,"DejaVu Sans Mono",monospace}}
.name{{white-space:pre}}
.heading{{font-weight:600}}
.verdict{{font-weight:600;text-anchor:middle}}
.good{{fill:{good}}}
.bad{{fill:{bad}}}
.mark{{font-weight:600}}
.place{{fill:{soft}}}
.panel{{fill:{ground};stroke:{line}}}
.tree{{fill:{paper};stroke:{line}}}
.good-ground{{fill:{good-soft}}}
.bad-ground{{fill:{bad-soft}}}
.branch{{fill:none;stroke:{arrow};stroke-width:1.5}}
.run{{fill:{langsmith};stroke:{langsmith-edge};stroke-width:1.5}}
.otel{{fill:{otel};stroke:{otel-edge}}}
.lost{{fill:{bad};stroke:{bad}}}
"""

_ROW = 25  # from run to run
_STEP = 22  # from parent to child
_CARD = (14, 4)  # from a card's edge to its text
_PANEL = 16  # from a panel's edge to its cards
_HEAD = 46  # of a panel, until its first card
_GAP = 6  # between cards
_BETWEEN = 14  # between panels
_MARGIN = 1  # so that no stroke is cut in half

# What XML cannot say, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Panel(NamedTuple):
    """A forest of a picture, and what stands above it."""

    heading: str
    forest: Forest


def draw_svg(panels: Sequence[Panel], *, title: str, dark: bool = False) -> str:
    """Draw forests side by side, one line a run, in order of start, with marks.

    Args:
        panels: What to draw, from left to right.
        title: What the picture is called where it cannot be seen.
        dark: Draw for a dark page.
    """
    trees = [_trees(panel.forest) for panel in panels]
    widths = [_width(panel, of) for panel, of in zip(panels, trees)]
    height = max(map(_height, trees), default=0)
    across = sum(widths) + (len(panels) - 1) * _BETWEEN + 2 * _MARGIN
    down = height + 2 * _MARGIN
    size = f'width="{across}" height="{down}" viewBox="0 0 {across} {down}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}>',
        f"<title>{_text(title)}</title>",
        f"<desc>{_text(' '.join(_said(*pair) for pair in zip(panels, trees)))}</desc>",
        f"<style>\n{_STYLE.format_map(DARK if dark else LIGHT)}</style>",
    ]
    x = _MARGIN
    for panel, of, width in zip(panels, trees, widths):
        lines += _panel(panel, of, x, width, height)
        x += width + _BETWEEN
    return "\n".join([*lines, "</svg>", ""])


def _trees(forest: Forest) -> list[list[DrawnRun]]:
    trees: list[list[DrawnRun]] = []
    for run in runs_by_start(forest):
        if run.depth == 0:
            trees.append([])
        trees[-1].append(run)
    return trees


def _panel(
    panel: Panel, trees: list[list[DrawnRun]], x: int, width: int, height: int
) -> Iterator[str]:
    yield f'<rect class="panel" x="{x}" y="{_MARGIN}" width="{width}" height="{height}" rx="10"/>'
    y = _MARGIN + _HEAD // 2
    yield f'<text class="heading" x="{x + _PANEL}" y="{y + 6}">{_text(panel.heading)}</text>'
    kind = "bad" if panel.forest.splits or panel.forest.orphans else "good"
    count = _count(trees)
    wide = _wide(count, 13) + 18
    left = x + width - _PANEL - wide
    yield f'<rect class="{kind}-ground" x="{left}" y="{y - 9}" width="{wide}" height="21" rx="10"/>'
    yield f'<text class="verdict {kind}" x="{left + wide // 2}" y="{y + 6}">{count}</text>'
    y = _MARGIN + _HEAD
    for tree in trees:
        yield from _card(tree, x + _PANEL, y, width - 2 * _PANEL)
        y += _tall(tree) + _GAP


def _card(tree: list[DrawnRun], x: int, y: int, width: int) -> Iterator[str]:
    tall = _tall(tree)
    yield f'<rect class="tree" x="{x}" y="{y}" width="{width}" height="{tall}" rx="6"/>'
    if {"split", "orphan"} & set(tree[0].marks):
        yield f'<path class="bad" d="M{x + 4} {y}h-1a3 6 0 0 0-3 6v{tall - 12}a3 6 0 0 0 3 6h1z"/>'
    # Of the runs above, from the root down: where the branch to the next child begins.
    above: list[tuple[int, int]] = []
    shapes: list[str] = []
    for number, run in enumerate(tree):
        across = x + _CARD[0] + 5 + run.depth * _STEP
        down = y + _CARD[1] + number * _ROW + _ROW // 2
        del above[run.depth :]
        if above:
            left, top = above[-1]
            yield f'<path class="branch" d="M{left} {top}V{down - 5}q0 5 5 5H{across}"/>'
            above[-1] = (left, down - 5)
        above.append((across, down))
        shapes.append(_run(run, across, down))
    # Above the branches, each of which ends in the middle of a dot.
    yield from shapes


def _run(run: DrawnRun, x: int, y: int) -> str:
    kind = "run lost" if run.marks else "run otel" if run.source == "otel" else "run"
    said = f'<tspan class="name">{_text(run.name)}</tspan>'
    if run.marks:
        said += f'<tspan class="mark bad" dx="12">✗ {", ".join(run.marks)}</tspan>'
    if run.place:
        said += f'<tspan class="place" dx="8">{_text(run.place)}</tspan>'
    dot = f'<circle class="{kind}" cx="{x}" cy="{y}" r="4.5"/>'
    return f'{dot}<text x="{x + 12}" y="{y + 5}">{said}</text>'


def _said(panel: Panel, trees: list[list[DrawnRun]]) -> str:
    """Say in words what a panel shows."""
    runs = [run for tree in trees for run in tree]
    marked = [
        f"{run.name} ({', '.join([*run.marks, *filter(None, [run.place])])})"
        for run in runs
        if run.marks
    ]
    wrong = f" Not as they should be: {', '.join(marked)}." if marked else ""
    return f"{panel.heading}: {_count(trees)}.{wrong}"


def _count(trees: list[list[DrawnRun]]) -> str:
    return f"{len(trees)} trace" if len(trees) == 1 else f"{len(trees)} traces"


def _height(trees: list[list[DrawnRun]]) -> int:
    return _HEAD + sum(_tall(tree) + _GAP for tree in trees) - _GAP + _PANEL


def _tall(tree: list[DrawnRun]) -> int:
    return len(tree) * _ROW + 2 * _CARD[1]


def _width(panel: Panel, trees: list[list[DrawnRun]]) -> int:
    head = _wide(panel.heading, 13) + 16 + _wide(_count(trees), 13) + 18
    card = 0
    for run in (run for tree in trees for run in tree):
        marks = 12 + _wide(f"x {', '.join(run.marks)}", 13) if run.marks else 0
        place = 8 + _wide(run.place, 13) if run.place else 0
        text = _wide(run.name, 14) + marks + place
        card = max(card, _CARD[0] + 5 + run.depth * _STEP + 12 + text + _CARD[0])
    return 2 * _PANEL + max(head, card)


def _wide(text: str, size: int) -> int:
    """Return about how wide a text is, rather too much: who looks has a font of their own."""
    cells = sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
    return round(cells * size * 0.61)


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("", printable(text)))
