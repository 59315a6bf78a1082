"""The tables of docs/benchmarks.md, from what was measured and from nothing else.

The page has regions between markers; what lies between them is written here, whatever else the
page says stays as it is. So no figure stands outside of a region.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from _bench import BYTES_LEFT, in_unit, judge, median, more, ratio
from _paired import spelled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Taken = dict[str, Any]

REGION = re.compile(r"(<!-- measured: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


class Report(NamedTuple):
    """What was measured on one Python."""

    python: str  # 3.13
    runs: list[dict[str, Any]]

    @property
    def measures(self) -> list[Taken]:
        return [taken for run in self.runs for taken in run["measures"]]

    def of(self, group: str) -> dict[str, list[Taken]]:
        """Return the measures of a group, by what was measured: each in all its cases."""
        found: dict[str, list[Taken]] = {}
        for taken in self.measures:
            if taken["group"] == group:
                found.setdefault(taken["what"], []).append(taken)
        return found


def dumps(data: dict[str, Any]) -> str:
    """Write JSON with a measure a line, so that two files can be compared."""
    runs = []
    for run in data["runs"]:
        head = json.dumps({**run, "measures": []}, indent=1)
        lines = ",\n  ".join(json.dumps(taken) for taken in run["measures"])
        runs.append(head.replace('"measures": []', f'"measures": [\n  {lines}\n ]'))
    return '{"runs": [\n' + ",\n".join(runs) + "\n]}\n"


def load(files: list[Path]) -> list[Report]:
    """Read the files, the newest Python first."""
    reports = []
    for file in files:
        runs = json.loads(file.read_text(encoding="utf-8"))["runs"]
        reports.append(Report(".".join(runs[-1]["python"].split(".")[:2]), runs))
    return sorted(reports, key=lambda it: [int(n) for n in it.python.split(".")], reverse=True)


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["", *("| " + " | ".join(line) + " |" for line in lines), ""]


def _circumstances(report: Report) -> Iterator[str]:
    for run in report.runs:
        machine = run["machine"]
        versions = dict(run["versions"])
        ours = versions.pop("ctxtrace", "")
        others = ", ".join(f"{name} {number}" for name, number in versions.items())
        groups = sorted({taken["group"] for taken in run["measures"]})
        which = f" ({', '.join(groups)})" if len(report.runs) > 1 else ""
        yield (
            f"* {run['implementation']} {run['python']}{which}, {run['date']}, ctxtrace {ours} at "
            f"commit {run['commit']}, on {machine['processor']}, {machine['cores']} cores, "
            f"{machine['system']} {machine['architecture']}; it took {run['minutes']:g} minutes. "
            f"With {others}."
        )
        for peer, why in run["left_out"].items():
            yield f"  Without {peer}: {why}."
        if run["smoke"]:
            yield "  **A trial run: its figures say nothing.**"


def _rows_of_the_summary(report: Report) -> Iterator[list[str]]:
    for taken in report.measures:
        if not taken["headline"]:
            continue
        ours, baseline = taken["ours"], taken["baseline"]
        peers = sorted((ratio(taken, peer).median, peer) for peer in taken["peers"])
        beside = ""
        if peers:
            (least, cheapest), (most, dearest) = peers[0], peers[-1]
            beside = f"{spelled(least)} ({cheapest}) to {spelled(most)} ({dearest})"
        yield [
            taken["headline"],
            in_unit(taken, median(taken, baseline)),
            in_unit(taken, more(taken, ours)),
            str(ratio(taken, ours)),
            beside,
        ]


def summary(report: Report) -> Iterator[str]:
    head = ["", "bare", "ctxtrace adds", "times the bare one", "the peers"]
    yield from table(head, list(_rows_of_the_summary(report)))


def targets(report: Report) -> Iterator[str]:
    """One row for a thing and what is wanted of it, in whichever cases."""
    rows: dict[tuple[str, str, str, str], list[tuple[str, str, bool]]] = {}
    for taken in report.measures:
        for target in taken["targets"]:
            verdict = judge(taken, target)
            row = (taken["group"], taken["what"], target["subject"], verdict.wanted)
            rows.setdefault(row, []).append((taken["case"], verdict.measured, verdict.met))
    lines = []
    for (group, what, subject, wanted), cases in rows.items():
        of_a_case = [f"{case}: {figure}" if case else figure for case, figure, _ in cases]
        missed = [case for case, _, met in cases if not met]
        verdict = "met" if not missed else "missed"
        if missed and len(missed) < len(cases):
            verdict += f" with {' and '.join(missed)}"
        lines.append([f"{group}: {what}", subject, wanted, "; ".join(of_a_case), verdict])
    met = sum(line[-1] == "met" for line in lines)
    yield ""
    yield f"Python {report.python}: of {len(lines)} targets {met} are met."
    yield from table(["", "whose", "target", "measured", ""], lines)


def flat(report: Report) -> Iterator[str]:
    """Say between what the ratios lie, from few at once to many."""
    for what, cases in report.of("scale").items():
        if what.startswith("memory"):
            continue
        ratios = [ratio(taken, taken["ours"]).median for taken in cases]
        yield (
            f"* Python {report.python}, {what}, from {cases[0]['case']} to {cases[-1]['case']}: "
            f"{min(ratios):.2f} to {max(ratios):.2f} times the bare one."
        )


def _cell(taken: Taken, subject: str) -> str:
    if subject not in taken["values"]:
        return ""
    figure = in_unit(taken, median(taken, subject))
    if taken["unit"] == BYTES_LEFT or subject == taken["baseline"]:
        return figure
    return f"{ratio(taken, subject)}; {figure}"


def details(report: Report, group: str) -> Iterator[str]:
    """One table for a thing: its subjects, and its cases, the more of them downwards."""
    for what, cases in report.of(group).items():
        subjects = list(cases[0]["values"])
        yield ""
        rounds = sorted({taken["rounds"] for taken in cases})
        counts = " or ".join(map(str, rounds))
        per = cases[0]["per"]
        # Where the name of the thing does not say it.
        article = "an" if per[0] in "aeiou" else "a"
        each = "" if re.search(rf"\ba?n? ?{per}\b", what) else f", {article} {per}"
        yield f"**{what}**{each}; {counts} round{'s' * (rounds != [1])}"
        if len(cases) > len(subjects):
            rows = [[taken["case"], *(_cell(taken, name) for name in subjects)] for taken in cases]
            yield from table(["", *subjects], rows)
        else:
            rows = [[name, *(_cell(taken, name) for taken in cases)] for name in subjects]
            yield from table(["", *(taken["case"] or "measured" for taken in cases)], rows)


def region(name: str, reports: list[Report]) -> str:
    lines: list[str] = []
    for report in reports:
        if name == "machine":
            lines += _circumstances(report)
        elif name == "targets":
            lines += targets(report)
        elif name == "flat":
            lines += flat(report)
        elif name == "summary":
            lines += ["", f"### Python {report.python}", *summary(report)]
        elif report.of(name):
            lines += ["", f"### Python {report.python}"]
            lines += details(report, name)
    # One empty line at a time.
    return re.sub(r"\n{3,}", "\n\n", "\n".join(["", *lines, ""])) + "\n"


def with_figures(text: str, reports: list[Report]) -> str:
    """Return the text of a page with its regions written anew."""
    written = REGION.sub(lambda found: found[1] + region(found[2], reports) + found[3], text)
    return re.sub(r"\n{3,}", "\n\n", written)


def rewrite(page: Path, reports: list[Report]) -> None:
    """Write the regions of the page anew."""
    page.write_text(with_figures(page.read_text(encoding="utf-8"), reports), encoding="utf-8")
    print(f"written to {page}")
