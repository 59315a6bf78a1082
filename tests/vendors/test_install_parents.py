"""install(): what outlives its LangSmith run has it for a parent.

From LangSmith 0.7.30 on a context refers to its run weakly; before, it holds the run itself, and
what outlives a run has it for a parent without ctxtrace.
"""

from __future__ import annotations

import concurrent.futures
import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import langsmith
import pytest
from langchain_core.runnables import RunnableLambda
from langsmith import traceable
from langsmith._internal import _context
from langsmith.run_helpers import get_current_run_tree, tracing_context
from vendors.crossings import LIMIT
from vendors.install_parents import (
    LOST,
    SPLIT,
    WAYS,
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

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["installed", "recording"]  # fixtures


@WAYS
def test_control_what_outlives_its_parent_splits_where_contexts_hold_it_weakly(
    recording: Any, start: Any
) -> None:
    outlive(start, late)
    assert recording.forest().shape == LOST


@WAYS
def test_what_outlives_its_parent_keeps_it(recording: Any, installed: Any, start: Any) -> None:
    outlive(start, late)
    assert recording.forest().shape == WHOLE


def test_a_run_of_langchain_in_a_task_that_outlives_its_parent_keeps_it(
    recording: Any, installed: Any
) -> None:
    chain = RunnableLambda(lambda _: None).with_config(run_name="late")
    outlive(create_task, lambda: chain.invoke(None))
    assert recording.forest().shape == WHOLE


def test_a_pool_that_a_task_submits_to_when_its_parent_is_gone_keeps_the_parent(
    recording: Any, installed: Any
) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        outlive(create_task, lambda: pool.submit(late).result(LIMIT))
    assert recording.forest().shape == WHOLE


def test_a_thread_that_a_task_starts_when_its_parent_is_gone_keeps_the_parent(
    recording: Any, installed: Any
) -> None:
    def work() -> None:
        thread = threading.Thread(target=late)
        thread.start()
        thread.join(LIMIT)

    outlive(create_task, work)
    assert recording.forest().shape == WHOLE


def test_what_is_started_below_the_late_run_nests_as_ever(recording: Any, installed: Any) -> None:
    @traceable(name="late")
    def deeper() -> None:
        with langsmith.trace("block"):
            late()

    @traceable
    def request(ended: Any, work: Any, group: Any) -> Any:
        return traceable(name="step")(create_task)(ended, work, group)

    outlive(create_task, deeper, request)
    below = [("block", [("late", [])])]
    assert recording.forest().shape == [("request", [("step", [("late", below)])])]


def test_a_block_that_changes_the_tracing_context_gives_the_gone_parent_back(
    recording: Any, installed: Any
) -> None:
    def work() -> None:
        with tracing_context(project_name="another"), tracing_context(tags=["tag"]):
            pass
        gc.collect()
        late()
        with langsmith.trace("block"):
            pass
        gc.collect()
        late()

    outlive(create_task, work)
    (request,) = recording.forest().shape
    assert request == ("request", [("block", []), ("late", []), ("late", [])])


def test_a_task_that_outlives_its_parent_can_be_detached_from_it(
    recording: Any, installed: Any
) -> None:
    def work() -> None:
        with ctxtrace.detached():
            late()

    outlive(create_task, work)
    assert recording.forest().shape == SPLIT


@pytest.mark.parametrize("carry", [ctxtrace.wrap, lambda f: ctxtrace.capture().wrap(f)])
def test_a_gone_parent_crosses_once_more(recording: Any, installed: Any, carry: Any) -> None:
    carried = context_of_an_ended_request().run(carry, late)
    gc.collect()
    carried()
    assert recording.forest().shape == WHOLE


def test_a_generator_that_the_garbage_collector_closes_keeps_the_gone_parent(
    recording: Any, installed: Any
) -> None:
    def numbers() -> Iterator[int]:
        try:
            yield 1
        finally:
            late()

    def start() -> None:
        cycle: list[Any] = []
        generator = ctxtrace.wrap(numbers)()
        cycle += [cycle, generator]
        assert next(generator) == 1

    context_of_an_ended_request().run(start)
    gc.collect()
    assert recording.forest().shape == WHOLE


# Where it goes, and whether it is traced.


def test_the_late_run_goes_where_its_parent_went(recording: Any, installed: Any) -> None:
    client = Outgoing()
    context = context_of_an_ended_request(client=client, project_name="of its own")
    context.run(late)
    assert client.created == [("request", False), ("late", True)]
    assert client.updated == ["request", "late"]
    assert recording.forest().shape == [("request", [("late", [])])]
    run = context.run(get_current_run_tree)
    assert run is not None
    assert run.session_name == "of its own"


def test_tracing_stays_on_for_what_outlives_a_parent_that_was_traced_on_demand(
    installed: Any,
) -> None:
    client = Outgoing()
    with tracing_context(enabled=True):
        context = context_of_an_ended_request(client=client)
    context.run(_context._TRACING_ENABLED.set, None)
    assert not langsmith.utils.tracing_is_enabled()
    assert context.run(langsmith.utils.tracing_is_enabled) is True
    context.run(late)
    assert client.created == [("request", False), ("late", True)]


@pytest.mark.parametrize("enabled", ["local", False])
def test_what_is_not_sent_of_the_parent_is_not_sent_of_the_late_run(
    installed: Any, enabled: Any
) -> None:
    client = Outgoing()
    with tracing_context(enabled=enabled, client=client):
        context_of_an_ended_request(client=client).run(late)
    assert client.created == []


if LANGSMITH_IS_WEAK:

    def test_a_client_that_is_gone_takes_its_runs_with_it(recording: Any, installed: Any) -> None:
        client = Outgoing()
        context = context_of_an_ended_request(client=client)
        gone = weakref.ref(client)
        del client
        gc.collect()
        assert gone() is None
        # Another client's server would not know the parent, nor is it to be told of it.
        assert context.run(get_current_run_tree) is None
        context.run(late)
        assert recording.forest().shape == [("late", []), ("request", [])]
