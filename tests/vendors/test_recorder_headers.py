"""A parent that came by headers may be another process's, and need not have been recorded."""

from __future__ import annotations

import uuid

import langsmith
import pytest
from langsmith import run_trees
from vendors.programs import outer

from ctxtrace.testing import _langsmith_clients, _tape, record


@pytest.fixture(autouse=True)
def _no_run_is_open() -> None:
    """End what other tests left open: until then the recorder remembers what came by headers."""
    for key in list(_tape._known):
        _tape.updated(key, ended=True, error=False)


def headers_of_another_process() -> dict[str, str]:
    return {"langsmith-trace": f"20260101T000000000000Z{uuid.uuid4()}"}


def test_a_child_of_a_run_in_another_process_is_a_root_and_no_orphan() -> None:
    with record("langsmith") as recording:
        with langsmith.tracing_context(parent=headers_of_another_process()):
            outer()
        assert _langsmith_clients._remote
    forest = recording.forest()
    assert forest.shape == [("outer", [("inner", [])])]
    assert forest.orphans == []
    recording.assert_single_trace("outer")
    assert not _langsmith_clients._remote


def test_a_child_of_a_recorded_run_is_its_child_also_by_headers() -> None:
    with record("langsmith") as recording:
        with langsmith.trace("client") as run:
            headers = run.to_headers()
        with langsmith.tracing_context(parent=headers):
            outer()
    assert recording.forest().shape == [("client", [("outer", [("inner", [])])])]
    recording.assert_single_trace("client")


def test_control_a_child_of_a_run_that_was_not_recorded_and_came_by_no_headers_is_an_orphan() -> (
    None
):
    with record("langsmith") as recording:
        run = run_trees.RunTree(name="lost", parent_run_id=uuid.uuid4())
        run.post()
        run.end()
        run.patch()
    assert [node.name for node in recording.forest().orphans] == ["lost"]
