"""All cells of one subject: a process that imports, and a child of it for each cell.

    python -m comparison._cells SUBJECT

What a subject patches is patched in the child alone, and nothing of one cell is left in another.
Prints one JSON object: row, tracer, and what came of it, in parentheses if the subject has nothing
for the boundary.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import traceback
from importlib import import_module
from typing import Any

from comparison._rows import ROWS, Row, Unavailable, outcome_of
from comparison._subjects import SUBJECTS, Subject
from comparison._tools import Tools
from comparison._tracers import TRACERS

MODULES = ("_in_threads", "_in_asyncio", "_in_anyio", "_in_streams", "_in_graphs")
LIMIT = 60
"""Seconds for a cell. A hang is an outcome."""
# What takes long to import, and does nothing when it is.
WARM = (
    "langsmith",
    "langchain_core.runnables",
    "langchain_core.tracers.langchain",
    "langgraph.graph",
    "opentelemetry.sdk.trace.export.in_memory_span_exporter",
    "starlette.applications",
    "anyio._backends._asyncio",
    "anyio._backends._trio",
)


def load_rows() -> list[Row]:
    """Return the rows in the order of the tables, whatever was imported first."""
    names = [import_module(f"comparison.{module}").__name__ for module in MODULES]
    return [row for name in names for row in ROWS if row.program.__module__ == name]


def _cell(row: Row, tracer_name: str, subject: Subject) -> str:
    tracer = TRACERS[tracer_name]()
    tools = Tools(subject.tools(tracer))
    subject.set_up(tracer)
    try:
        outcome = outcome_of(row, tracer, tools)
    except Unavailable:
        return "(not there)"
    except Exception as error:  # of the program's: that is an outcome
        if os.environ.get("COMPARISON_TRACEBACKS"):
            traceback.print_exc()
        outcome = type(error).__name__
    covered = row.key in subject.covers and tracer_name in subject.covers_tracers
    return outcome if tools.used or covered else f"({outcome})"


def in_a_child(row: Row, tracer: str, subject: Subject) -> str:
    """Run one cell in a forked child, and return what it says."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            signal.alarm(LIMIT)
            os.write(writing, _cell(row, tracer, subject).encode())
        except BaseException:
            traceback.print_exc()
        finally:
            # Also where a thread of the program still runs.
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    if status == signal.SIGALRM:
        return "hangs"
    if not said:
        raise RuntimeError(f"{subject.key}, {row.key}, {tracer}: no outcome, status {status}")
    return said


def main() -> None:
    (subject,) = (subject for subject in SUBJECTS if subject.key == sys.argv[1])
    only = sys.argv[2:]
    rows = [row for row in load_rows() if not only or row.key in only]
    for module in WARM:
        import_module(module)
    if subject.key not in {"ctxtrace", "install"}:
        assert "ctxtrace" not in sys.modules
    gc.collect()
    gc.freeze()
    found: dict[str, Any] = {
        row.key: {tracer: in_a_child(row, tracer, subject) for tracer in row.tracers}
        for row in rows
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
