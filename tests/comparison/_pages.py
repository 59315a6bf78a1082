"""The tables, out of the results of all Pythons, and where they stand in the pages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comparison._rows import Row
    from comparison._subjects import Subject

    Result = dict[str, Any]

DOCS = Path(__file__).resolve().parents[2] / "docs"
MEASURED = DOCS / "measured"
COMPARISON = DOCS / "explanation" / "comparison.md"
WHERE = DOCS / "explanation" / "where-context-gets-lost.md"
NAME = "2026-11-22-comparison"

_HEAD = (
    "What `nox -s comparison` (`tests/comparison/run_comparison.py`) printed. What the words mean "
    "stands in docs/explanation/comparison.md. The same as JSON lies beside this file."
)


def committed() -> dict[str, Result]:
    """Return the results that were committed, by Python."""
    results = {}
    for path in MEASURED.glob(f"{NAME}-*.json"):
        result = json.loads(path.read_text(encoding="utf-8"))
        results[path.stem.rpartition("-")[2]] = result
    return dict(sorted(results.items(), key=lambda item: _key(item[0])))


def commit(python: str, result: Result) -> None:
    path = MEASURED / f"{NAME}-{python}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _key(python: str) -> tuple[int, ...]:
    return tuple(map(int, python.split(".")))


def _markdown(heading: list[str], lines: list[list[str]]) -> str:
    table = [heading, ["---"] * len(heading), *lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in table)


def _shown(outcome: str) -> str:
    """Write what was tried and lost in bold."""
    word = outcome.strip("()")
    text = f"`{word}`" if word.endswith("Error") else word
    if outcome.startswith("("):
        return f"({text})"
    return text if word in {"nested", "not there"} else f"**{text}**"


def table(result: Result, rows: list[Row], subjects: list[Subject], tracer: str) -> str:
    """Return the table of one tracer: a row a boundary, a column a subject that has anything."""
    chosen = [row for row in rows if row.shown and tracer in result["cells"].get(row.key, {})]
    columns = [
        subject
        for subject in subjects
        if subject.shown
        and subject.key != "bare"
        and any(
            not result["cells"][row.key][tracer].get(subject.key, "(").startswith("(")
            for row in chosen
        )
    ]
    return _markdown(
        ["boundary", "nothing", *(subject.title for subject in columns)],
        [
            [
                row.title,
                _shown(result["cells"][row.key][tracer]["bare"]).strip("()"),
                *(_shown(result["cells"][row.key][tracer][subject.key]) for subject in columns),
            ]
            for row in chosen
        ],
    )


def tables(result: Result, rows: list[Row], subjects: list[Subject]) -> str:
    tracers = dict.fromkeys(tracer for row in rows for tracer in row.tracers)
    return "\n\n".join(
        f"### {tracer[:1].upper()}{tracer[1:]}\n\n{table(result, rows, subjects, tracer)}"
        for tracer in tracers
    )


def tested_with(result: Result) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    return f"Python {result['python']}: {versions}."


def differences(results: dict[str, Result], rows: list[Row], subjects: list[Subject]) -> str:
    """Return a table of what is not the same on all Pythons."""
    lines = []
    for row in rows:
        if not row.shown:
            continue
        # What is the same for several tracers and subjects stands in one line.
        same: dict[tuple[str, ...], dict[str, list[str]]] = {}
        for tracer in row.tracers:
            for subject in subjects:
                if not subject.shown:
                    continue
                series = tuple(
                    _of(result, row, tracer, subject.key, absent="") for result in results.values()
                )
                if subject.key == "bare":
                    series = tuple(outcome.strip("()") for outcome in series)
                elif all(not outcome or outcome.startswith("(") for outcome in series):
                    continue  # nothing is offered: that is the line of nothing
                if len({outcome.strip("()") for outcome in series if outcome}) > 1:
                    same.setdefault(series, {}).setdefault(subject.title, []).append(tracer)
        for series, of in same.items():
            by_tracers: dict[tuple[str, ...], list[str]] = {}
            for title, tracers in of.items():
                by_tracers.setdefault(tuple(tracers), []).append(title)
            lines += [
                [
                    row.title,
                    "all" if len(tracers) == len(row.tracers) > 1 else ", ".join(tracers),
                    ", ".join(titles),
                    *(_shown(outcome) if outcome else "" for outcome in series),
                ]
                for tracers, titles in by_tracers.items()
            ]
    return _markdown(["boundary", "tracer", "with", *results], lines)


def _of(result: Result, row: Row, tracer: str, subject: str, absent: str) -> str:
    outcome: str = result["cells"].get(row.key, {}).get(tracer, {}).get(subject, absent)
    return outcome


def where(results: dict[str, Result], rows: list[Row]) -> str:
    """Return the table of what becomes of a child where nothing carries the context."""
    lines = []
    for row in rows:
        cells = []
        for result in results.values():
            outcomes = {
                tracer: _of(result, row, tracer, "bare", "").strip("()") for tracer in row.tracers
            }
            cells.append(_of_tracers(outcomes))
        lines.append([row.title, row.mechanism, *cells])
    return _markdown(["boundary", "why", *results], lines)


def _of_tracers(outcomes: dict[str, str]) -> str:
    by_outcome: dict[str, list[str]] = {}
    for tracer, outcome in outcomes.items():
        by_outcome.setdefault(outcome, []).append(tracer)
    if len(by_outcome) == 1:
        return _loss(next(iter(by_outcome)))
    return ", ".join(
        f"{_loss(outcome)} ({', '.join(tracers)})"
        for outcome, tracers in by_outcome.items()
        if outcome != "nested"
    )


def _loss(outcome: str) -> str:
    return outcome if outcome in {"nested", "not there"} else _shown(outcome)


def versions(results: dict[str, Result]) -> str:
    names = list(dict.fromkeys(name for result in results.values() for name in result["versions"]))
    return _markdown(
        ["", *(result["python"] for result in results.values())],
        [
            [name, *(result["versions"].get(name, "") for result in results.values())]
            for name in names
        ],
    )


def beside(results: dict[str, Result], subject: str) -> str:
    """Say in how many cells a subject that is not shown differs from nothing."""
    cells = [
        (outcomes["bare"], outcomes[subject])
        for result in results.values()
        for tracers in result["cells"].values()
        for outcomes in tracers.values()
        if subject in outcomes
    ]
    differ = sum(bare.strip("()") != its.strip("()") for bare, its in cells)
    return f"{differ} of {len(cells)}"


def parts(results: dict[str, Result], rows: list[Row], subjects: list[Subject]) -> dict[str, str]:
    """Return what the pages show, by the names of the places."""
    newest = list(results.values())[-1]
    return {
        "tables": tables(newest, rows, subjects),
        "differences": differences(results, rows, subjects),
        "versions": versions(results),
        "where": where(results, rows),
    }


def write(results: dict[str, Result], rows: list[Row], subjects: list[Subject]) -> None:
    """Make what both pages show, and the record of the runs, anew."""
    results = dict(sorted(results.items(), key=lambda item: _key(item[0])))
    for page in (COMPARISON, WHERE):
        text = page.read_text(encoding="utf-8")
        for name, part in parts(results, rows, subjects).items():
            text = _between(text, name, part)
        page.write_text(text, encoding="utf-8")
    _record(results, rows, subjects)


def _between(text: str, name: str, part: str) -> str:
    begin, end = f"<!-- {name}: made by run_comparison.py -->", f"<!-- end of {name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    return pattern.sub(lambda _: f"{begin}\n\n{part}\n\n{end}", text)


def _record(results: dict[str, Result], rows: list[Row], subjects: list[Subject]) -> None:
    sections = [f"# What carries a trace over which boundary, {newest_date(results)}", _HEAD]
    for python, result in reversed(list(results.items())):
        cells = sum(
            len(outcomes) for tracers in result["cells"].values() for outcomes in tracers.values()
        )
        sections += [
            f"## Python {python}",
            _on(result, cells),
            tables(result, rows, subjects),
        ]
    sections.append(
        "## OpenTelemetry's AsyncioInstrumentor\n\nThe outcome differs from that with nothing in "
        f"{beside(results, 'otel-asyncio')} cells of all Pythons."
    )
    (MEASURED / f"{NAME}.md").write_text("\n\n".join(sections) + "\n", encoding="utf-8")


def _on(result: Result, cells: int) -> str:
    return (
        f"{result['date']}, {result['machine']}: {cells} cells in {result['seconds']} s. "
        f"{tested_with(result)}"
    )


def newest_date(results: dict[str, Result]) -> str:
    return max(str(result["date"]) for result in results.values())
