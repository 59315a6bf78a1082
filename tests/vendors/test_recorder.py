"""Recording LangSmith in memory."""

from __future__ import annotations

import asyncio
import gc
import importlib
import threading
import uuid
import warnings
import weakref
from datetime import datetime, timezone
from typing import Any

import langsmith
import pytest
from langsmith import run_trees, traceable
from vendors.programs import async_outer, in_a_raw_thread, inner, outer

from ctxtrace.testing import record


def test_nested_calls_are_recorded_as_a_tree() -> None:
    with record("langsmith") as recording:
        outer()
    assert recording.forest().shape == [("outer", [("inner", [])])]


def test_nested_coroutines_are_recorded_as_a_tree() -> None:
    with record("langsmith") as recording:
        asyncio.run(async_outer())
    assert recording.forest().shape == [("async_outer", [("async_inner", [])])]


def test_a_run_in_a_raw_thread_is_recorded_with_the_name_of_the_thread() -> None:
    with record("langsmith") as recording:
        in_a_raw_thread(outer)
    (root,) = recording.forest().roots
    assert (root.name, root.thread, root.task) == ("outer", "raw", None)


def test_runs_from_many_threads_at_once_are_all_recorded() -> None:
    with record("langsmith") as recording:
        threads = [threading.Thread(target=outer) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert recording.forest().shape == [("outer", [("inner", [])])] * 20


def test_a_run_of_a_coroutine_function_says_which_task_and_thread_called_it() -> None:
    async def main() -> None:
        await asyncio.create_task(async_outer(), name="mine")

    with record("langsmith") as recording:
        asyncio.run(main())
    (root,) = recording.forest().roots
    assert (root.thread, root.task) == (threading.current_thread().name, "mine")


def test_an_async_with_trace_block_says_which_task_opened_it() -> None:
    async def main() -> None:
        async with langsmith.trace("block"):
            pass

    with record("langsmith") as recording:
        asyncio.run(main())
    (root,) = recording.forest().roots
    assert root.task is not None
    assert root.thread == threading.current_thread().name


def test_a_run_that_failed_is_recorded_as_ended_with_an_error() -> None:
    @traceable
    def failing() -> None:
        raise KeyError("x")

    with record("langsmith") as recording, pytest.raises(KeyError):
        failing()
    (root,) = recording.forest().roots
    assert (root.ended, root.error) == (True, True)


def test_a_run_that_is_still_open_is_not_ended_until_it_ends() -> None:
    with record("langsmith") as recording:
        with langsmith.trace("open"):
            assert not recording.forest().roots[0].ended
        assert recording.forest().roots[0].ended


def test_a_run_that_ends_after_the_recording_is_still_followed() -> None:
    block = langsmith.trace("late")
    with record("langsmith") as recording:
        block.__enter__()
    assert not recording.forest().roots[0].ended
    block.__exit__(None, None, None)
    assert recording.forest().roots[0].ended


def test_a_child_posted_before_its_parent_is_judged_at_the_end() -> None:
    with record("langsmith") as recording:
        parent = run_trees.RunTree(name="parent")
        child = parent.create_child("child")
        child.post()
        assert [node.name for node in recording.forest().orphans] == ["child"]
        parent.post()
    assert recording.forest().shape == [("parent", [("child", [])])]
    assert recording.forest().orphans == []


def test_a_run_posted_twice_is_one_run() -> None:
    with record("langsmith") as recording:
        run = run_trees.RunTree(name="once")
        run.post()
        run.post()
    assert len(recording.forest().nodes) == 1


def test_a_run_has_the_name_it_had_at_its_end() -> None:
    with record("langsmith") as recording:
        run = run_trees.RunTree(name="GET")
        run.post()
        assert recording.tree == "GET\n"
        run.name = "GET /users"
        run.end()
        run.patch()
    assert recording.tree == "GET /users\n"


def test_a_time_without_a_zone_is_utc_as_langsmith_has_it() -> None:
    with record("langsmith") as recording:
        noon = datetime(2026, 1, 1, 12)
        client = run_trees.get_cached_client()
        client.create_run("naive", {}, "chain", start_time=noon)
        aware = noon.replace(tzinfo=timezone.utc)
        client.create_run("aware", {}, "chain", start_time=aware)
    first, second = recording.forest().nodes
    assert first.start == second.start


def test_langchain_runs_are_recorded_with_the_others() -> None:
    from langchain_core.runnables import RunnableLambda

    @traceable
    def outside() -> None:
        RunnableLambda(lambda _: inner()).with_config(run_name="chain").invoke(1)

    with record("langsmith") as recording:
        outside()
    assert recording.forest().shape == [("outside", [("chain", [("inner", [])])])]


def test_a_langchain_run_whose_input_is_a_stream_starts_before_its_children() -> None:
    from langchain_core.runnables import RunnableGenerator

    def doubled(numbers: Any) -> Any:
        for number in numbers:
            inner()
            yield number * 2

    stream = RunnableGenerator(doubled).with_config(run_name="doubled")
    with record("langsmith") as recording:
        assert list(stream.transform(iter([1, 2]))) == [2, 4]
    forest = recording.forest()
    assert forest.shape == [("doubled", [("inner", []), ("inner", [])])]
    assert forest.roots[0].ended


def test_langgraph_runs_are_recorded_with_the_others() -> None:
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")  # LangGraph warns of LangChain's defaults, on 3.9
        graph_module = importlib.import_module("langgraph.graph")
    graph = graph_module.StateGraph(dict)
    graph.add_node("node", lambda _: inner() or {})
    graph.add_edge(graph_module.START, "node")
    compiled = graph.compile()
    with record("langsmith") as recording:
        compiled.invoke({"x": 1})
    assert recording.forest().shape == [("LangGraph", [("node", [("inner", [])])])]


def test_each_of_two_recordings_that_overlap_has_the_runs_that_start_while_it_is_open() -> None:
    first, second = record("langsmith"), record("langsmith")
    first.start()
    inner()
    second.start()
    outer()
    first.stop()
    in_a_raw_thread(inner)
    second.stop()
    assert first.forest().shape == [("inner", []), ("outer", [("inner", [])])]
    assert second.forest().shape == [("inner", []), ("outer", [("inner", [])])]
    assert [root.thread for root in second.forest().roots][-1] == "raw"


def test_a_recording_inside_another_takes_nothing_from_it() -> None:
    with record("langsmith") as around:
        inner()
        with record("langsmith") as within:
            outer()
        inner()
    assert within.forest().shape == [("outer", [("inner", [])])]
    assert around.forest().shape == [
        ("inner", []),
        ("inner", []),
        ("outer", [("inner", [])]),
    ]


def test_recordings_that_begin_and_end_in_two_threads_at_once_lose_nothing() -> None:
    barrier = threading.Barrier(2)
    shapes: list[Any] = []

    def recorded_often() -> None:
        for _ in range(20):
            barrier.wait()
            with record("langsmith") as recording:
                outer()
                barrier.wait()
            shapes.append(recording.forest().shape)

    thread = threading.Thread(target=recorded_often)
    thread.start()
    recorded_often()
    thread.join()
    # Of the other thread's run it may have been too late to see a part.
    assert len(shapes) == 40
    assert all(("outer", [("inner", [])]) in shape for shape in shapes)


def test_a_run_that_is_open_between_two_recordings_is_the_parent_in_the_second() -> None:
    with record("langsmith") as first:
        block = langsmith.trace("fixture")
        block.__enter__()
    with record("langsmith") as second:
        outer()
        in_a_raw_thread(inner)
    block.__exit__(None, None, None)
    assert first.forest().shape == [("fixture", [])]
    assert second.forest().shape == [("fixture", [("outer", [("inner", [])])]), ("inner", [])]
    assert [node.name for node in second.forest().splits] == ["inner"]
    assert second.forest().roots[0].ended


def test_after_one_recording_comes_another() -> None:
    with record("langsmith") as first:
        outer()
    with record("langsmith") as second:
        inner()
    assert first.forest().shape == [("outer", [("inner", [])])]
    assert second.forest().shape == [("inner", [])]


def test_the_client_of_who_brings_none_sends_nothing_whatever_it_is_asked() -> None:
    with record("langsmith"):
        client = run_trees.get_cached_client()
        with pytest.raises(RuntimeError, match="sends nothing"):
            client.session.get("http://localhost/info")
        client.flush()


def test_a_run_with_the_recorders_client_is_dropped_when_nobody_records() -> None:
    with record("langsmith") as recording:
        client = run_trees.get_cached_client()
    run = run_trees.RunTree(name="late", ls_client=client)
    run.post()
    run.end()
    run.patch()
    assert recording.forest().nodes == []


def test_a_recording_starts_no_thread() -> None:
    before = set(threading.enumerate())
    with record("langsmith"):
        outer()
        assert set(threading.enumerate()) == before


def test_a_run_that_is_ended_but_was_never_posted_is_not_recorded() -> None:
    with record("langsmith") as recording:
        run_trees.get_cached_client().update_run(uuid.uuid4(), end_time=None)
    assert recording.forest().nodes == []


def test_a_recording_that_is_dropped_is_freed() -> None:
    with record("langsmith") as recording:
        outer()
    reference = weakref.ref(recording)
    del recording
    gc.collect()
    assert reference() is None
