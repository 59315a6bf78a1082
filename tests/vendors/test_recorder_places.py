"""A run says where it started: the thread, the task, and the line of the user's own code."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import logging
import threading
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import langsmith
import pytest
import trio
from core.support import LIMIT
from langchain_core.runnables import RunnableLambda
from langsmith import run_trees, traceable
from vendors.programs import in_a_raw_thread

import ctxtrace
from ctxtrace.testing import record

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxtrace.testing import Node

HERE = __file__


@traceable
def plain() -> None:
    pass


@traceable
async def coroutine() -> None:
    pass


@traceable
def generator() -> Any:
    yield 1


def line_of(function: Any) -> tuple[str, int]:
    return HERE, inspect.unwrap(function).__code__.co_firstlineno


def this_line() -> tuple[str, int]:
    return HERE, inspect.currentframe().f_back.f_lineno  # type: ignore[union-attr]


def recorded(program: Callable[[], object]) -> list[Node]:
    with record("langsmith") as recording:
        program()
    return recording.forest().nodes


def test_a_run_of_a_function_says_where_the_function_is() -> None:
    (node,) = recorded(plain)
    assert node.position == line_of(plain)
    assert (node.thread, node.task) == (threading.current_thread().name, None)


def test_a_run_of_a_coroutine_function_says_where_the_function_is() -> None:
    (node,) = recorded(lambda: asyncio.run(coroutine()))
    assert node.position == line_of(coroutine)


def test_a_run_of_a_generator_function_says_where_the_function_is() -> None:
    (node,) = recorded(lambda: list(generator()))
    assert node.position == line_of(generator)


@pytest.mark.parametrize("pool_class", [ThreadPoolExecutor, ctxtrace.ThreadPoolExecutor])
def test_a_run_in_a_pool_where_no_frame_is_the_users_says_where_the_function_is(
    pool_class: type[ThreadPoolExecutor],
) -> None:
    def program() -> None:
        with pool_class(1, thread_name_prefix="mine") as pool:
            pool.submit(plain).result()

    (node,) = recorded(program)
    assert node.position == line_of(plain)
    assert node.thread == "mine_0"


def test_a_run_of_a_block_says_at_which_line_the_block_begins() -> None:
    lines = []
    with record("langsmith") as recording:
        lines.append(this_line())
        with langsmith.trace("block"):
            pass
    ((file, line),) = lines
    assert recording.forest().roots[0].position == (file, line + 1)


def test_a_run_of_an_async_block_says_at_which_line_the_block_begins() -> None:
    lines = []

    async def main() -> None:
        lines.append(this_line())
        async with langsmith.trace("block"):
            pass

    (node,) = recorded(lambda: asyncio.run(main()))
    ((file, line),) = lines
    assert node.position == (file, line + 1)


def test_a_run_of_a_runnable_says_where_its_function_is() -> None:
    def body(_: object) -> None:
        pass

    runnable = RunnableLambda(body)
    (here,) = recorded(lambda: runnable.invoke(None))
    (in_a_thread,) = recorded(lambda: in_a_raw_thread(partial(runnable.invoke, None)))
    assert here.position == in_a_thread.position == line_of(body)


def test_a_run_of_a_graphs_node_says_where_its_function_is() -> None:
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")  # LangGraph warns of LangChain's defaults, on 3.9
        graph_module = importlib.import_module("langgraph.graph")

    def body(_: object) -> dict[str, Any]:
        return {}

    async def async_body(_: object) -> dict[str, Any]:
        return {}

    graph = graph_module.StateGraph(dict)
    graph.add_node("first", body)
    graph.add_node("second", async_body)
    graph.add_edge(graph_module.START, "first")
    graph.add_edge("first", "second")
    compiled = graph.compile()
    nodes = recorded(lambda: asyncio.run(compiled.ainvoke({"x": 1})))
    positions = {node.name: node.position for node in nodes}
    assert positions["first"] == line_of(body)
    assert positions["second"] == line_of(async_body)


def test_no_position_is_in_what_is_installed() -> None:
    def program() -> None:
        with ctxtrace.ThreadPoolExecutor(1) as pool:
            pool.submit(RunnableLambda(lambda _: plain()).batch, [1, 2]).result()
            pool.submit(traceable(len, name="built in"), []).result()
            pool.submit(traceable(inspect.unwrap, name="of Python"), print).result()
            pool.submit(traceable(contextlib.nullcontext, name="a class")).result()

    nodes = recorded(program)
    assert len(nodes) == 7
    assert {node.position and node.position[0] for node in nodes} == {HERE, None}


def test_a_run_in_an_asyncio_task_says_its_name() -> None:
    async def main() -> None:
        await asyncio.create_task(coroutine(), name="mine")

    (node,) = recorded(lambda: asyncio.run(main()))
    assert (node.thread, node.task) == (threading.current_thread().name, "mine")


def test_a_run_in_a_trio_task_says_its_name() -> None:
    async def child() -> None:
        plain()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child, name="mine")

    (node,) = recorded(lambda: trio.run(main))
    assert node.task == "mine"


def test_a_run_in_a_thread_that_a_task_waits_for_is_in_no_task() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().run_in_executor(None, in_a_raw_thread, plain)

    (node,) = recorded(lambda: asyncio.run(main()))
    assert (node.thread, node.task) == ("raw", None)


class Hostile:
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"nobody asks for {name}")

    def __call__(self) -> None:
        pass


class Endless:
    @property
    def __wrapped__(self) -> Endless:
        return Endless()


# The frame of a tracer that has this function in a variable, as the frames of @traceable do.
IN_A_TRACERS_FRAME = """
def call(func, work):
    work()
"""


@pytest.mark.parametrize("make", [Hostile, Endless, MagicMock, str])
def test_a_run_of_whatever_pretends_to_be_a_function_is_recorded(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    function = make()
    namespace: dict[str, Any] = {"__name__": "langsmith.of_a_later_version"}
    exec(IN_A_TRACERS_FRAME, namespace)
    with caplog.at_level(logging.CRITICAL, "ctxtrace"):
        (node,) = recorded(
            lambda: namespace["call"](function, run_trees.RunTree(name="run", client=None).post)
        )
    assert node.name == "run"


def test_a_worker_keeps_nothing_of_the_work_that_was_recorded() -> None:
    class Given(list[int]):
        pass

    gone = threading.Event()
    given = Given()
    weakref.finalize(given, gone.set)
    measured = traceable(len, name="measured", process_inputs=lambda _: {})
    with record("langsmith") as recording, ThreadPoolExecutor(1) as pool:
        pool.submit(measured, given).result()
        del given
        assert gone.wait(LIMIT)
    assert [node.name for node in recording.forest().nodes] == ["measured"]
