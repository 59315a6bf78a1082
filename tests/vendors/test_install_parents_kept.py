"""install(): what a context keeps of a LangSmith run that it outlives, and the site that does it.

From LangSmith 0.7.30 on a context refers to its run weakly, and under install() by a stand-in.
"""

from __future__ import annotations

import contextvars
import gc
import importlib
import importlib.util
import logging
import uuid
import weakref
from datetime import datetime, timezone
from typing import Any

import langsmith
import pytest
from langsmith import run_helpers, traceable
from langsmith._internal import _context
from langsmith.run_helpers import get_current_run_tree, tracing_context
from langsmith.run_trees import RunTree
from vendors.install_parents import (
    SPLIT,
    WHOLE,
    Outgoing,
    context_of_an_ended_request,
    create_task,
    installed,
    late,
    outlive,
    recording,
)
from vendors.tracers import LANGSMITH_IS_WEAK

import ctxtrace

__all__ = ["installed", "recording"]  # fixtures

SITE = "langsmith_parents"


def runs_alive() -> int:
    gc.collect()
    return sum(isinstance(thing, RunTree) for thing in gc.get_objects())


class Payload:
    pass


def test_control_a_context_that_outlives_its_run_keeps_the_data_where_it_holds_the_run(
    recording: Any,
) -> None:
    check_that_a_context_keeps(the_run=not LANGSMITH_IS_WEAK)


def test_a_context_that_outlives_its_run_keeps_no_more_than_it_does_without(
    recording: Any, installed: Any
) -> None:
    check_that_a_context_keeps(the_run=not LANGSMITH_IS_WEAK)


def check_that_a_context_keeps(*, the_run: bool) -> None:
    before = runs_alive()
    payload = Payload()
    seen = weakref.ref(payload)

    @traceable(metadata={"data": "abc"}, tags=["tag"])
    def request(data: Payload) -> tuple[contextvars.Context, Payload]:
        return contextvars.copy_context(), data

    context, _ = request(payload)
    context.run(late)
    del payload, _
    assert (runs_alive() > before, seen() is not None) == (the_run, the_run)


NAMES = {
    "address",
    "dangerously_allow_filesystem",
    "dotted_order",
    "id",
    "ls_client",
    "name",
    "parent_run_id",
    "replicas",
    "run_type",
    "session_id",
    "session_name",
    "start_time",
    "trace_id",
}

if LANGSMITH_IS_WEAK:

    @pytest.fixture
    def context(recording: Any, installed: Any) -> contextvars.Context:
        return context_of_an_ended_request(tags=["tag"], metadata={"data": "abc"})

    def test_a_gone_run_is_named_again_without_its_data(context: contextvars.Context) -> None:
        run = context.run(get_current_run_tree)
        assert isinstance(run, RunTree)
        assert run.name == "request"
        assert str(run.id) in run.dotted_order
        assert run.trace_id == run.id
        for data in (run.inputs, run.outputs, run.metadata, run.tags, run.events):
            assert not data
        assert run.model_dump(exclude_none=True)["id"] == run.id
        assert run.to_headers()["langsmith-trace"] == run.dotted_order

    def test_a_gone_run_is_named_again_by_all_that_a_child_goes_by(installed: Any) -> None:
        patched: Any = vars(run_helpers)["weakref"]
        client = Outgoing()
        run = RunTree(
            name="one",
            run_type="tool",
            parent_run=RunTree(name="above", client=client),
            start_time=datetime(2026, 1, 1, tzinfo=timezone.utc),
            project_id=uuid.uuid4(),
            replicas=[{"project_name": "a copy of it", "updates": None}],
            dangerously_allow_filesystem=True,
            client=client,
        )
        names = NAMES.intersection(RunTree.model_fields)
        if "address" in names:
            run.address = "an agent"
        reference = patched.ref(run)
        expected = {name: getattr(run, name) for name in names}
        del run
        gc.collect()
        again = reference()
        assert {name: getattr(again, name) for name in names} == expected
        assert expected["parent_run_id"] != expected["id"] != expected["trace_id"]

    def test_a_gone_run_is_the_same_for_as_long_as_somebody_holds_it(
        context: contextvars.Context,
    ) -> None:
        run = context.run(get_current_run_tree)
        assert context.run(get_current_run_tree) is run
        seen = weakref.ref(run)
        del run
        gc.collect()
        assert seen() is None

    def test_a_gone_run_sends_nothing_itself(installed: Any) -> None:
        client = Outgoing()
        with tracing_context(enabled=True):
            run = context_of_an_ended_request(client=client).run(get_current_run_tree)
        assert run is not None
        run.end(outputs={"output": "of somebody else"})
        run.post()
        run.patch()
        assert client.created == [("request", False)]
        assert client.updated == ["request"]

    def test_a_gone_run_that_is_held_collects_no_children(
        recording: Any, context: contextvars.Context
    ) -> None:
        run = context.run(get_current_run_tree)
        assert run is not None
        for _ in range(3):
            context.run(late)
        assert run.child_runs == []
        assert recording.forest().shape == [("request", [("late", [])] * 3)]

    def test_a_run_that_lives_is_itself_and_collects_its_children(
        recording: Any, installed: Any
    ) -> None:
        @traceable
        def request() -> None:
            run = get_current_run_tree()
            assert run is not None
            assert run is get_current_run_tree()
            assert run.inputs == {}
            child = run.create_child("child")
            assert type(run.child_runs) is list
            assert child.parent_run_id == run.id

        request()


# The site.

INTEGRATIONS = [
    name
    for name in (
        "langsmith.integrations.claude_agent_sdk._client",
        "langsmith.integrations.openai_agents_sdk._openai_agents",
    )
    if importlib.util.find_spec(name.rpartition(".")[0])
]


def states(installation: Any) -> dict[str, tuple[str, str]]:
    return {
        site.target: (site.state, site.detail)
        for site in installation.sites
        if site.name == SITE and site.state != "absent"
    }


if LANGSMITH_IS_WEAK:

    def test_every_module_that_refers_to_runs_in_contexts_is_patched_when_it_is_imported(
        installed: Any,
    ) -> None:
        modules = [
            importlib.import_module(name) for name in ["langsmith.run_helpers", *INTEGRATIONS]
        ]
        assert len(modules) == 3
        assert set(states(installed).values()) == {("patched", "")}
        assert [vars(module)["weakref"] is weakref for module in modules] == [False] * 3
        installed.uninstall()
        assert [vars(module)["weakref"] is weakref for module in modules] == [True] * 3

    def test_what_is_under_way_at_uninstall_ends_as_it_began(recording: Any) -> None:
        with ctxtrace.install():
            before = context_of_an_ended_request()
            replacement = vars(run_helpers)["weakref"]
        after = context_of_an_ended_request()
        before.run(late)
        after.run(late)
        whole, split = WHOLE, SPLIT
        assert recording.forest().shape == sorted(whole + split)
        assert type(replacement.ref(RunTree(name="held by name"))) is weakref.ref

    def test_skipping_the_site_leaves_everything_as_it_is(recording: Any) -> None:
        with ctxtrace.install(skip=[SITE]) as installation:
            assert vars(run_helpers)["weakref"] is weakref
            assert set(states(installation).values()) == {("off", "skipped")}
            outlive(create_task, late)
        assert recording.forest().shape == SPLIT

    def test_to_whatever_is_no_run_weakref_is_as_ever(
        installed: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        patched: Any = vars(run_helpers)["weakref"]
        thing, called = Payload(), []
        reference = patched.ref(thing, called.append)
        assert type(reference) is weakref.ref
        assert patched.WeakKeyDictionary is weakref.WeakKeyDictionary
        assert dir(patched) == dir(weakref)
        del thing
        assert called == [reference]
        assert not caplog.records

    def test_a_reference_to_a_run_compares_and_calls_back_as_a_weak_one_does(
        installed: Any,
    ) -> None:
        patched: Any = vars(run_helpers)["weakref"]
        client = Outgoing()
        run = RunTree(name="one", client=client)
        called: list[Any] = []
        one, other = patched.ref(run, called.append), weakref.ref(run)
        assert isinstance(one, weakref.ref)
        assert one == other
        assert one() is run
        del run
        gc.collect()
        assert called == [one]
        assert one != other
        assert one().name == "one"

    def test_a_run_that_cannot_be_named_is_held_as_without_ctxtrace(
        recording: Any, installed: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Slotted:
            __slots__ = ()

        patched: Any = vars(run_helpers)["weakref"]
        run = RunTree(name="one", client=Slotted())
        with caplog.at_level(logging.WARNING, "ctxtrace"):
            reference = patched.ref(run)
        assert type(reference) is weakref.ref
        assert reference() is run
        (record,) = caplog.records
        assert "site 'langsmith_parents' failed" in record.getMessage()

    @pytest.mark.parametrize("change", ["another variable", "another RunTree"])
    def test_a_langsmith_that_is_not_as_it_is_known_is_left_alone(
        monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, change: str
    ) -> None:
        if change == "another variable":
            monkeypatch.delattr(_context, "_PARENT_RUN_TREE_REF")
            why = "langsmith._internal._context has no _PARENT_RUN_TREE_REF"
        else:
            monkeypatch.setattr(langsmith.run_trees, "RunTree", object)
            why = "RunTree has no id, trace_id, dotted_order,"
        with ctxtrace.install() as installation:
            assert vars(run_helpers)["weakref"] is weakref
            state, detail = states(installation)["langsmith.run_helpers.weakref"]
            assert state == "unknown version"
            assert detail.startswith(why)

else:

    def test_a_langsmith_whose_contexts_hold_their_run_needs_nothing(installed: Any) -> None:
        for name in INTEGRATIONS:
            importlib.import_module(name)
        found = states(installed)
        assert found["langsmith.run_helpers.weakref"] == (
            "not needed",
            "the contexts of this LangSmith hold the run itself",
        )
        assert set(found.values()) == {found["langsmith.run_helpers.weakref"]}
        assert vars(run_helpers).get("weakref", weakref) is weakref
