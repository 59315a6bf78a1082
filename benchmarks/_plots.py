"""The plots of docs/benchmarks.md, one for a question, for the newest Python measured.

SVG without a background and in greys and two colours that can be read on light and on dark, and
the same bytes for the same figures.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("svg")
from _bench import median, ratio
from matplotlib import pyplot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from _tables import Report, Taken

TEXT, BARE, PEER, OURS = "#777777", "#999999", "#8aa4c0", "#d9822b"

LAYOUT: dict[str, Any] = {"layout": "constrained"}

mpl.rcParams.update(
    {
        "svg.hashsalt": "ctxtrace",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 10,
        "text.color": TEXT,
        "axes.labelcolor": TEXT,
        "axes.edgecolor": TEXT,
        "xtick.color": TEXT,
        "ytick.color": TEXT,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "savefig.transparent": True,
    }
)


def _plain(name: str) -> str:
    return name.replace("`", "")


def _colour(taken: Taken, subject: str) -> str:
    if subject == taken["baseline"]:
        return BARE
    return PEER if subject in taken["peers"] else OURS


def _bars(axes: Any, taken: Taken, value: Callable[[str], float], spell: str) -> None:
    subjects = list(taken["values"])
    for row, subject in enumerate(subjects):
        figure = value(subject)
        axes.barh(row, figure, color=_colour(taken, subject))
        axes.annotate(
            spell.format(figure), (figure, row), (3, 0), textcoords="offset points", va="center"
        )
    axes.set_yticks(range(len(subjects)), [_plain(subject) for subject in subjects])
    axes.set_ylim(len(subjects) - 0.5, -0.5)  # the first on top
    axes.set_title(textwrap.fill(taken["what"], 24))


def _first(report: Report, group: str) -> list[Taken]:
    """Return what was measured in a group, each in its first case."""
    return [cases[0] for cases in report.of(group).values()]


def pools(report: Report) -> Any:
    measured = _first(report, "pools")
    figure, axes = pyplot.subplots(
        1, len(measured), sharex=True, sharey=True, squeeze=False, figsize=(11, 3.4), **LAYOUT
    )
    for each, taken in zip(axes[0], measured):
        _bars(each, taken, lambda subject, it=taken: ratio(it, subject).median, "{:.2f}")
        each.axvline(1, color=TEXT, linewidth=0.8)
        each.margins(x=0.25)
    figure.supxlabel("times the bare pool, or its memory", fontsize=10)
    return figure


def streams(report: Report) -> Any:
    measured = [taken for taken in _first(report, "streams") if taken["per"] == "chunk"]
    figure, axes = pyplot.subplots(
        1, len(measured), sharex=True, sharey=True, squeeze=False, figsize=(11, 3.4), **LAYOUT
    )
    most = max(median(taken, name) for taken in measured for name in taken["values"])
    for each, taken in zip(axes[0], measured):
        _bars(each, taken, lambda subject, it=taken: 1e9 * median(it, subject), "{:,.0f}")
        each.set_xscale("log")
        each.set_xlim(10, 1e10 * most)  # with room for the figure beside the longest bar
    figure.supxlabel("nanoseconds; each mark is ten times the one before", fontsize=10)
    return figure


def scale(report: Report) -> Any:
    measured = [
        cases for what, cases in report.of("scale").items() if not what.startswith("memory")
    ]
    figure, axes = pyplot.subplots(
        1, len(measured), sharey=True, squeeze=False, figsize=(9, 3), **LAYOUT
    )
    most = 1.0
    for each, cases in zip(axes[0], measured):
        counts = [int(taken["case"].replace(",", "")) for taken in cases]
        ours = [name for name in cases[0]["values"] if name != cases[0]["baseline"]]
        for subject, style in zip(ours, ("-o", "--s")):
            ratios = [ratio(taken, subject) for taken in cases]
            each.plot(counts, [it.median for it in ratios], style, color=OURS, label=subject)
            most = max(most, *(it.median for it in ratios))
        each.axhline(1, color=BARE, linewidth=0.8, label="bare")
        each.set_xscale("log")
        each.set_title(cases[0]["what"])
        each.set_xlabel("how many")
    axes[0][0].set_ylim(0, 1.1 * most)
    axes[0][0].set_ylabel("times the bare one")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=3)
    return figure


PLOTS = {"pools": pools, "streams": streams, "scale": scale}


def draw(folder: Path, reports: list[Report]) -> None:
    """Draw each from the newest Python that has what it shows."""
    folder.mkdir(exist_ok=True)
    for name, plot in PLOTS.items():
        report = next((report for report in reports if report.of(name)), None)
        if report is None:
            continue
        figure = plot(report)
        figure.suptitle(f"Python {report.python}", x=0.01, ha="left", fontsize=10)
        path = folder / f"{name}.svg"
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
        # Without the blanks at the ends of lines, which git complains of.
        lines = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join(map(str.rstrip, lines)) + "\n", encoding="utf-8")
        print(f"written to {path}")
