"""install() and unedited programs of LangChain and LangGraph, on asyncio's loop and on uvloop's.

Before Python 3.11 LangGraph, and LangChain up to 1.4.7, give their async functions no context.
From then on, and where LangChain has found a way, a program makes the same tree with install()
and without.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import uvloop
from langchain_core.runnables import RunnableGenerator
from langsmith import traceable
from vendors.install_graphs import GRAPHS, LEAF, QUESTION, RUNNABLES, graph_of, leaf

import ctxtrace
from ctxtrace.testing import record_langsmith

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from vendors.install_graphs import Case

LANGGRAPH_NESTS = sys.version_info >= (3, 11)
_CORE = tuple(map(int, importlib.metadata.version("langchain-core").split(".")[:3]))
LANGCHAIN_NESTS = LANGGRAPH_NESTS or (sys.version_info >= (3, 10) and _CORE >= (1, 4, 8))

NEST_BY_THEMSELVES = [*(LANGGRAPH_NESTS * GRAPHS), *(LANGCHAIN_NESTS * RUNNABLES)]
# On LangChain's own account: LangGraph hands the config over to the tools of its ToolNode.
LOST = [
    *(not LANGGRAPH_NESTS) * [case for case in GRAPHS if case.main.__name__ != "a_node_of_tools"],
    *(not LANGCHAIN_NESTS) * RUNNABLES,
]


def on_asyncio(main: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(main)


def on_uvloop(main: Coroutine[Any, Any, Any]) -> Any:
    return uvloop.run(main)


def named(value: Any) -> str:
    return getattr(value, "main", value).__name__


LOOPS = pytest.mark.parametrize("run", [on_asyncio, on_uvloop], ids=named)


@pytest.fixture
def installed() -> Iterator[ctxtrace.Installation]:
    with ctxtrace.install() as installation:
        yield installation


def outcome(run: Callable[..., Any], main: Any) -> tuple[Any, list[Any]]:
    """What a program returns or raises, and what trees it makes."""
    with record_langsmith() as recording:
        try:
            result = run(main())
        except RuntimeError as error:
            result = error
    return result, recording.forest().shape


@LOOPS
@pytest.mark.parametrize("case", [*GRAPHS, *RUNNABLES], ids=named)
def test_an_unedited_program_is_one_tree(installed: Any, run: Any, case: Case) -> None:
    assert outcome(run, case.main) == (case.result, [case.tree])


@LOOPS
@pytest.mark.parametrize("case", [*GRAPHS, *RUNNABLES], ids=named)
def test_an_unedited_program_called_in_a_run_is_part_of_its_tree(
    installed: Any, run: Any, case: Case
) -> None:
    request = traceable(name="request")(case.main)
    assert outcome(run, request) == (case.result, [("request", [case.tree])])


if NEST_BY_THEMSELVES:

    @pytest.mark.parametrize("case", NEST_BY_THEMSELVES, ids=named)
    def test_without_install_the_program_makes_the_same_tree(case: Case) -> None:
        assert outcome(on_asyncio, case.main) == (case.result, [case.tree])


if LOST:

    @pytest.mark.parametrize("case", LOST, ids=named)
    def test_control_without_install_the_program_is_not_one_tree(case: Case) -> None:
        result, trees = outcome(on_asyncio, case.main)
        if isinstance(result, RuntimeError):
            assert str(result) == "Called get_config outside of a runnable context"
        else:
            assert len(trees) > 1
        if case.main.__name__.endswith("of_an_implicit_call"):
            assert result == []

    @pytest.mark.parametrize("case", LOST, ids=named)
    def test_control_without_install_the_program_called_in_a_run_has_it_for_every_runs_parent(
        case: Case,
    ) -> None:
        _, trees = outcome(on_asyncio, traceable(name="request")(case.main))
        assert trees != [("request", [case.tree])]


# What stands in the way, and what it takes.

if not LANGGRAPH_NESTS:

    @LOOPS
    @pytest.mark.parametrize("skip", ["uvloop", "langgraph_steps", "langchain_steps"])
    def test_graphs_nest_whatever_other_site_is_switched_off(run: Any, skip: str) -> None:
        with ctxtrace.install(skip=[skip]):
            for case in GRAPHS:
                assert outcome(run, case.main) == (case.result, [case.tree])

    def test_langgraph_is_left_alone_where_asyncio_is(caplog: pytest.LogCaptureFixture) -> None:
        case = GRAPHS[0]
        with ctxtrace.install(skip=["asyncio"]) as installation:
            assert states(installation)["langgraph"] == {"unknown version"}
            result, trees = outcome(on_asyncio, case.main)
        assert result == case.result
        assert len(trees) > 1
        assert "it needs the site 'asyncio'" in caplog.text

    def test_graphs_run_as_ever_when_asyncio_is_put_back_before_langgraph() -> None:
        case = GRAPHS[0]
        first = ctxtrace.install(skip=["langgraph", "langgraph_steps"])
        with ctxtrace.install() as second:
            assert states(second)["langgraph"] == {"patched"}
            first.uninstall()
            result, trees = outcome(on_asyncio, case.main)
        assert result == case.result
        assert len(trees) > 1

    def test_libraries_that_remember_what_asyncio_can_do_forget_it_with_us() -> None:
        from langchain_core.runnables.utils import asyncio_accepts_context as langchains
        from langsmith._internal._aiter import asyncio_accepts_context as langsmiths

        case = RUNNABLES[0]
        with ctxtrace.install():
            assert outcome(on_asyncio, case.main) == (case.result, [case.tree])
        assert (langchains(), langsmiths()) == (False, False)
        assert outcome(on_asyncio, case.main)[0] == case.result


def states(installation: ctxtrace.Installation) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for site in installation.sites:
        found.setdefault(site.name, set()).add(site.state)
    return found


def test_every_site_of_graphs_is_patched_or_not_needed(installed: Any) -> None:
    found = states(installed)
    needed = "not needed" if LANGGRAPH_NESTS else "patched"
    assert [found[name] for name in ("asyncio", "uvloop", "langgraph")] == [{needed}] * 3
    assert [found[name] for name in ("langchain_steps", "langgraph_steps")] == [{"patched"}] * 2


def attributes() -> list[Any]:
    places = [
        "asyncio.create_task",
        "asyncio.tasks.create_task",
        "asyncio.base_events.BaseEventLoop.create_task",
        "uvloop.Loop.create_task",
        "langsmith._internal._aiter.asyncio_accepts_context",
        "langchain_core.runnables.utils.asyncio_accepts_context",
        "langchain_core.runnables.utils.coro_with_context",
        "langchain_core.runnables.base.coro_with_context",
        "langchain_core.runnables.fallbacks.coro_with_context",
        "langchain_core.tools.base.coro_with_context",
        "langgraph._internal._runnable.ASYNCIO_ACCEPTS_CONTEXT",
        "langgraph._internal._runnable.asyncio",
    ]
    return [vars(owner).get(name, "inherited") for owner, name in map(_split, places)]


def _split(place: str) -> tuple[Any, str]:
    owner, _, name = place.rpartition(".")
    if owner in sys.modules:
        return sys.modules[owner], name
    module, _, attribute = owner.rpartition(".")
    return getattr(sys.modules[module], attribute), name


def test_after_uninstall_all_of_it_is_identical_to_what_it_was() -> None:
    before = attributes()
    ctxtrace.install().uninstall()
    assert all(now is then for now, then in zip(attributes(), before))


# In place: what LangChain and LangGraph start a task for.


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
