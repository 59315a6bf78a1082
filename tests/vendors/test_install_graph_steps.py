"""install() and what LangChain and LangGraph start a task for: it is done in the caller's own.

Without it that is so only where they give it no context at all.
"""

from __future__ import annotations

import asyncio
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from langchain_core.runnables import RunnableGenerator
from vendors.install_graphs import LEAF, QUESTION, graph_of, leaf
from vendors.install_loops import (
    LANGCHAIN_NESTS,
    LANGGRAPH_NESTS,
    LOOPS,
    on_asyncio,
    outcome,
)

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator


@pytest.fixture
def installed() -> Iterator[ctxtrace.Installation]:
    with ctxtrace.install() as installation:
        yield installation


def streamed(function: Callable[[AsyncIterator[Any]], AsyncIterator[Any]]) -> Any:
    return RunnableGenerator(function).astream("")


async def tasks_of_a_stream() -> tuple[set[Any], set[Any]]:
    """The tasks that a stream's steps are taken in, and the one that consumes it."""
    seen: set[Any] = set()

    async def chunks(_: AsyncIterator[str]) -> AsyncIterator[str]:
        for chunk in "abc":
            await asyncio.sleep(0)
            seen.add(asyncio.current_task())
            yield chunk

    assert [chunk async for chunk in streamed(chunks)] == ["a", "b", "c"]
    return seen, {asyncio.current_task()}


@LOOPS
def test_a_streams_steps_are_taken_in_the_task_that_consumes_it(installed: Any, run: Any) -> None:
    seen, consumer = run(tasks_of_a_stream())
    assert seen == consumer


async def hold_a_cancel_scope() -> list[str]:
    async def chunks(_: AsyncIterator[str]) -> AsyncIterator[str]:
        with anyio.CancelScope():
            for chunk in "abc":
                yield chunk

    return [chunk async for chunk in streamed(chunks)]


@LOOPS
def test_a_cancel_scope_may_be_held_over_a_yield(installed: Any, run: Any) -> None:
    assert run(hold_a_cancel_scope()) == ["a", "b", "c"]


REQUEST: ContextVar[str] = ContextVar("request", default="none")


async def hold_a_variable() -> list[str]:
    async def chunks(_: AsyncIterator[str]) -> AsyncIterator[str]:
        token = REQUEST.set("ada")
        for _chunk in "ab":
            yield REQUEST.get()
        REQUEST.reset(token)
        yield REQUEST.get()

    seen = [chunk async for chunk in streamed(chunks)]
    return [*seen, REQUEST.get()]


@LOOPS
def test_a_variable_may_be_held_over_a_yield_and_stays_inside(installed: Any, run: Any) -> None:
    assert run(hold_a_variable()) == ["ada", "ada", "none", "none"]


@LOOPS
def test_cancelling_the_consumer_reaches_the_stream_inside_its_run(
    installed: Any, run: Any
) -> None:
    async def main() -> None:
        waits = asyncio.Event()

        async def chunks(_: AsyncIterator[str]) -> AsyncIterator[str]:
            yield "a"
            try:
                waits.set()
                await asyncio.Event().wait()
            finally:
                await leaf()

        async def consume() -> None:
            async for _ in streamed(chunks):
                pass

        task = asyncio.create_task(consume())
        await waits.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert outcome(run, main) == (None, [("chunks", [LEAF])])


@LOOPS
def test_cancelling_a_graph_reaches_its_node_inside_its_run(installed: Any, run: Any) -> None:
    async def main() -> None:
        waits = asyncio.Event()

        async def node(_: Any) -> Any:
            try:
                waits.set()
                await asyncio.Event().wait()
            finally:
                await leaf()

        task = asyncio.create_task(graph_of(node).ainvoke(QUESTION))
        await waits.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert outcome(run, main) == (None, [("LangGraph", [("node", [LEAF])])])


@LOOPS
def test_an_error_in_a_node_comes_out_of_the_graph(installed: Any, run: Any) -> None:
    async def node(_: Any) -> Any:
        await leaf()
        raise KeyError("on purpose")

    async def main() -> None:
        with pytest.raises(KeyError, match="on purpose"):
            await graph_of(node).ainvoke(QUESTION)

    assert outcome(run, main) == (None, [("LangGraph", [("node", [LEAF])])])


async def tasks_started_by_a_graph() -> list[str]:
    """The coroutines that are tasks while a graph with one node runs."""
    started: list[str] = []

    def factory(loop: Any, coro: Any, **kwargs: Any) -> Any:
        started.append(coro.__qualname__)
        return asyncio.Task(coro, loop=loop, **kwargs)

    async def node(state: Any) -> Any:
        return state

    asyncio.get_running_loop().set_task_factory(factory)
    await graph_of(node).ainvoke(QUESTION)
    return started


STEP = "RunnableCallable.ainvoke"


@LOOPS
def test_a_node_is_run_in_the_task_that_langgraph_starts_for_it(installed: Any, run: Any) -> None:
    assert STEP not in run(tasks_started_by_a_graph())


if LANGGRAPH_NESTS:

    def test_control_without_install_a_node_is_run_in_a_task_of_its_own() -> None:
        assert STEP in on_asyncio(tasks_started_by_a_graph())


if LANGCHAIN_NESTS:

    def test_control_without_install_each_step_of_a_stream_is_a_task() -> None:
        seen, consumer = on_asyncio(tasks_of_a_stream())
        assert len(seen - consumer) == 3

    def test_control_without_install_no_cancel_scope_may_be_held_over_a_yield() -> None:
        with pytest.raises(RuntimeError, match="different task"):
            on_asyncio(hold_a_cancel_scope())


if LANGCHAIN_NESTS and not LANGGRAPH_NESTS:

    def test_control_without_install_no_variable_may_be_held_over_a_yield() -> None:
        with pytest.raises(ValueError, match="was created in a different Context"):
            on_asyncio(hold_a_variable())


if sys.version_info >= (3, 11):

    async def hold_a_timeout() -> None:
        async def chunks(_: AsyncIterator[str]) -> AsyncIterator[str]:
            async with asyncio.timeout(0):
                yield "a"
                await asyncio.Event().wait()

        async for _ in streamed(chunks):
            pass

    async def has_ended(main: Coroutine[Any, Any, Any]) -> bool:
        task = asyncio.create_task(main)
        for _ in range(100):
            await asyncio.sleep(0)
        ended = task.done()
        task.cancel()
        await asyncio.wait([task])
        assert isinstance(task.exception(), TimeoutError)
        return ended

    @LOOPS
    def test_a_timeout_may_be_held_over_a_yield(installed: Any, run: Any) -> None:
        assert run(has_ended(hold_a_timeout())) is True

    def test_control_without_install_a_timeout_held_over_a_yield_never_fires() -> None:
        assert on_asyncio(has_ended(hold_a_timeout())) is False
