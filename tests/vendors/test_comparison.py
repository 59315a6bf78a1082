"""The rows of the tables of docs/explanation that rest on the standard library, as tests.

The programs are those of tests/comparison, and so is the verdict. The other rows, and what the
peers make of them, are run by `nox -s comparison`.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import pytest
from comparison import _pages
from comparison._cells import load_rows
from comparison._rows import Unavailable, outcome_of
from comparison._subjects import SUBJECTS, ctxtrace_tools
from comparison._tools import Tools
from comparison._tracers import LangSmith, OpenTelemetry, OwnVariable, Run
from vendors.tracers import LANGSMITH_IS_WEAK

from ctxtrace.testing import record

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = {row.key: row for row in load_rows()}
TRACERS = ("LangSmith", "OpenTelemetry", "a context variable")

# What becomes of the child where nothing carries the context, with each of the tracers.
LOST = {
    "submit": "split",
    "map": "split",
    "map-generator": "split",
    "given-pool": "split",
    "callback": "split",
    "submit-late": "split",
    "thread": "split",
    "timer": "split",
    "thread-pool": "split",
    "queue": "split",
    "run_in_executor": "split",
    "call_soon_threadsafe": "split",
    "asyncio-queue": "split",
    "generator-returned": "split",
    "generator-thread": "split",
    "async-generator-task": "split",
    "generator-closed": "split",
    "generator-leak": "wrong parent",
}
CELLS = [(key, tracer, outcome) for key, outcome in LOST.items() for tracer in TRACERS]
if sys.version_info < (3, 11):
    CELLS += [("create_task-context", tracer, "TypeError") for tracer in TRACERS]
    CELLS += [("TaskGroup", tracer, "not there") for tracer in TRACERS]
if LANGSMITH_IS_WEAK:  # in the context; the tables name the first version
    CELLS += [("create_task-late", "LangSmith", "split")]

# What needs nothing, and must not be lost by what ctxtrace has in its place.
NESTS = ["to_thread", "create_task", "gather", "create_task-late"]
if sys.version_info >= (3, 11):
    NESTS += ["create_task-context", "TaskGroup"]


class RecordedLangSmith(LangSmith):
    """LangSmith beside other tests: the recorder turns it on, and back."""

    def __init__(self, recording: Any) -> None:
        self._recording = recording

    def runs(self) -> list[Run]:
        nodes = self._recording.forest().nodes
        return [Run(node.id, node.parent_id, node.name) for node in nodes]


@contextlib.contextmanager
def tracing(name: str) -> Iterator[Any]:
    if name == "LangSmith":
        with record("langsmith") as recording:
            yield RecordedLangSmith(recording)
    elif name == "OpenTelemetry":
        tracer = OpenTelemetry()
        yield tracer
        tracer.provider.shutdown()
    else:
        yield OwnVariable()


def outcome_with(key: str, tracer_name: str, others: dict[str, Any]) -> str:
    with tracing(tracer_name) as tracer:
        try:
            return outcome_of(PROGRAMS[key], tracer, Tools(others))
        except Unavailable:
            return "not there"
        except TypeError:
            return "TypeError"


@pytest.mark.parametrize(("key", "tracer", "outcome"), CELLS)
def test_with_nothing_the_child_is_lost_as_the_table_says(
    key: str, tracer: str, outcome: str
) -> None:
    assert outcome_with(key, tracer, {}) == outcome


@pytest.mark.parametrize(("key", "tracer"), [cell[:2] for cell in CELLS])
def test_with_ctxtrace_in_its_place_the_child_is_nested(key: str, tracer: str) -> None:
    assert outcome_with(key, tracer, ctxtrace_tools(None)) == "nested"


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("key", NESTS)
def test_what_nests_by_itself_nests_with_ctxtrace_in_its_place(key: str, tracer: str) -> None:
    if (key, tracer, "split") not in CELLS:
        assert outcome_with(key, tracer, {}) == "nested"
    assert outcome_with(key, tracer, ctxtrace_tools(None)) == "nested"


def test_the_committed_results_say_the_same() -> None:
    results = list(_pages.committed().values())
    said = {
        (key, subject): {
            outcomes[subject] for result in results for outcomes in result["cells"][key].values()
        }
        for key in LOST
        for subject in ("bare", "ctxtrace")
    }
    assert len(results) == 5
    assert said == {
        **{(key, "bare"): {f"({outcome})"} for key, outcome in LOST.items()},
        **{(key, "ctxtrace"): {"nested"} for key in LOST},
    }


def test_the_pages_show_the_committed_results() -> None:
    shown = _pages.COMPARISON.read_text("utf-8") + _pages.WHERE.read_text("utf-8")
    parts = _pages.parts(_pages.committed(), load_rows(), SUBJECTS)
    assert [name for name, part in parts.items() if f"\n\n{part}\n\n" not in shown] == []
