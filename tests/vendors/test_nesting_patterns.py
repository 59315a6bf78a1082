"""The patterns of LangSmith's page "Troubleshoot trace nesting", without their hand-over.

There the parent is handed over: a config, a run tree, a pool of LangSmith's. Here each pattern
is written as if there were nothing to hand over. The controls are the same programs without
ctxtrace, and what they make on this Python with these versions stands beside each.
"""

from __future__ import annotations

import asyncio
import functools
import gc
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import tool
from langsmith import RunTree, get_current_run_tree, run_helpers, tracing_context
from vendors.crossings import LIMIT, OURS, STANDARD
from vendors.install_graphs import QUESTION, graph_of
from vendors.install_loops import LANGCHAIN_NESTS, LANGGRAPH_NESTS
from vendors.tracers import LANGSMITH_IS_WEAK

import ctxtrace
from ctxtrace.testing import record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    Program = Callable[[], Any]


class Pattern(NamedTuple):
    """What makes a program, what that returns, and the trees it makes with and without ctxtrace."""

    name: str
    build: Callable[[], Program]
    result: Any
    whole: list[Any]
    bare: list[Any]
    # The same with the tools of ctxtrace, where it uses tools.
    of_drop_ins: Callable[[], Program] | None = None


PATTERNS: list[Pattern] = []


def makes(result: Any, whole: list[Any], bare: list[Any] | None = None) -> Any:
    """Register what builds a program; `bare` is what it makes without ctxtrace, if not `whole`."""

    def register(build: Any) -> Any:
        rest = (result, whole, whole if bare is None else bare)
        PATTERNS.append(Pattern(build.__name__, build, *rest))
        return build

    return register


def crosses(result: Any, whole: list[Any], bare: list[Any]) -> Any:
    """Register what builds a program with a pool, a thread or a task, and is told whose."""

    def register(build: Any) -> Any:
        standard, ours = (functools.partial(build, tools) for tools in (STANDARD, OURS))
        PATTERNS.append(Pattern(build.__name__, standard, result, whole, bare, ours))
        return build

    return register


def traceable(function: Any) -> Any:
    """Decorate as a module would that is imported now: install() may have changed it."""
    return run_helpers.traceable(function)


async def collected(stream: AsyncIterator[str]) -> list[str]:
    return [chunk async for chunk in stream]


def in_a_pool(tools: Any, function: Any, words: str) -> str:
    with tools.ThreadPoolExecutor(2) as pool:
        return "".join(pool.map(function, words))


def in_a_thread(tools: Any, function: Any, word: str) -> str:
    said: list[str] = []
    thread = tools.Thread(target=lambda: said.append(function(word)))
    thread.start()
    thread.join(LIMIT)
    return said[0]


def outlived(parent: Any) -> Any:
    """Call a function that makes a task; let the task begin when its parent has ended and died.

    One that is not async: LangSmith ends the run of one that is in a thread, which may hold it
    for a moment longer.
    """

    async def main() -> Any:
        ended = asyncio.Event()
        task = parent(ended)
        gc.collect()
        ended.set()
        return await asyncio.wait_for(task, LIMIT)

    return asyncio.run(main())


CHILD: Any = ("child", [])
WHOLE = [("parent", [CHILD])]
SPLIT = [CHILD, ("parent", [])]
WHOLE_TWICE = [("parent", [CHILD, CHILD])]
SPLIT_TWICE = [CHILD, CHILD, ("parent", [])]


# LangChain in LangChain.


@makes("yes!", WHOLE)
def runnable_in_runnable() -> Program:
    def child(word: str) -> str:
        return word + "!"

    child_runnable = RunnableLambda(child)

    def parent(word: str) -> str:
        return child_runnable.invoke(word)

    return lambda: RunnableLambda(parent).invoke("yes")


@makes("yes!", WHOLE, WHOLE if LANGCHAIN_NESTS else SPLIT)
def runnable_in_runnable_async() -> Program:
    async def child(word: str) -> str:
        return word + "!"

    child_runnable = RunnableLambda(child)

    async def parent(word: str) -> str:
        return await child_runnable.ainvoke(word)

    return lambda: asyncio.run(RunnableLambda(parent).ainvoke("yes"))


@makes("yes!", WHOLE, WHOLE if LANGCHAIN_NESTS else SPLIT)
def sync_runnable_in_async_runnable() -> Program:
    def child(word: str) -> str:
        return word + "!"

    child_runnable = RunnableLambda(child)

    async def parent(word: str) -> str:
        return child_runnable.invoke(word)

    return lambda: asyncio.run(RunnableLambda(parent).ainvoke("yes"))


@makes("yes!", WHOLE, WHOLE if LANGCHAIN_NESTS else SPLIT)
def runnable_in_tool() -> Program:
    async def child(word: str) -> str:
        return word + "!"

    child_runnable = RunnableLambda(child)

    @tool
    async def parent(word: str) -> str:
        """Say a word."""
        return await child_runnable.ainvoke(word)

    return lambda: asyncio.run(parent.ainvoke({"word": "yes"}))


@makes("yes!", WHOLE, WHOLE if LANGCHAIN_NESTS else SPLIT)
def tool_in_runnable() -> Program:
    @tool
    async def child(word: str) -> str:
        """Say a word."""
        return word + "!"

    async def parent(word: str) -> Any:
        return await child.ainvoke({"word": word})

    return lambda: asyncio.run(RunnableLambda(parent).ainvoke("yes"))


@makes(["yes", "!"], WHOLE)
def runnable_in_runnable_stream() -> Program:
    def child(word: str) -> Iterator[str]:
        yield word
        yield "!"

    child_runnable = RunnableLambda(child)

    def parent(word: str) -> Iterator[str]:
        yield from child_runnable.stream(word)

    return lambda: list(RunnableLambda(parent).stream("yes"))


@makes(["yes", "!"], WHOLE, WHOLE if LANGCHAIN_NESTS else SPLIT)
def runnable_in_runnable_astream() -> Program:
    async def child(word: str) -> AsyncIterator[str]:
        yield word
        yield "!"

    child_runnable = RunnableLambda(child)

    async def parent(word: str) -> AsyncIterator[str]:
        async for chunk in child_runnable.astream(word):
            yield chunk

    return lambda: asyncio.run(collected(RunnableLambda(parent).astream("yes")))


@crosses("a!b!", WHOLE_TWICE, SPLIT_TWICE)
def runnable_in_runnable_pool(tools: Any) -> Program:
    def child(word: str) -> str:
        return word + "!"

    child_runnable = RunnableLambda(child)

    def parent(words: str) -> str:
        return in_a_pool(tools, child_runnable.invoke, words)

    return lambda: RunnableLambda(parent).invoke("ab")


@crosses("yes!", WHOLE, SPLIT)
def runnable_in_runnable_thread(tools: Any) -> Program:
    def child(word: str) -> str:
        return word + "!"

    child_runnable = RunnableLambda(child)

    def parent(word: str) -> str:
        return in_a_thread(tools, child_runnable.invoke, word)

    return lambda: RunnableLambda(parent).invoke("yes")


GRAPH = [("LangGraph", [("parent", [CHILD])])]


@makes(
    {"text": "yes!"},
    GRAPH,
    GRAPH if LANGGRAPH_NESTS else [("LangGraph", [("parent", [])]), CHILD],
)
def runnable_in_node() -> Program:
    async def child(word: str) -> str:
        return word + "!"

    child_runnable = RunnableLambda(child)

    async def parent(_: Any) -> Any:
        return {"text": await child_runnable.ainvoke("yes")}

    return lambda: asyncio.run(graph_of(parent).ainvoke(QUESTION))


# Traceable in traceable. Awaited, it has nested on every Python since LangSmith 0.4.27 at least.


@makes("yes!", WHOLE)
def traceable_in_traceable() -> Program:
    @traceable
    def child(word: str) -> str:
        return word + "!"

    @traceable
    def parent(word: str) -> Any:
        return child(word)

    return lambda: parent("yes")


@makes("yes!", WHOLE)
def traceable_in_traceable_async() -> Program:
    @traceable
    async def child(word: str) -> str:
        return word + "!"

    @traceable
    async def parent(word: str) -> Any:
        return await child(word)

    return lambda: asyncio.run(parent("yes"))


@makes(["yes", "!"], WHOLE)
def traceable_in_traceable_stream() -> Program:
    @traceable
    def child(word: str) -> Iterator[str]:
        yield word
        yield "!"

    @traceable
    def parent(word: str) -> Iterator[str]:
        yield from child(word)

    return lambda: list(parent("yes"))


@makes(["yes", "!"], WHOLE)
def traceable_in_traceable_astream() -> Program:
    @traceable
    async def child(word: str) -> AsyncIterator[str]:
        yield word
        yield "!"

    @traceable
    async def parent(word: str) -> AsyncIterator[str]:
        async for chunk in child(word):
            yield chunk

    return lambda: asyncio.run(collected(parent("yes")))


@crosses("a!b!", WHOLE_TWICE, SPLIT_TWICE)
def traceable_in_traceable_pool(tools: Any) -> Program:
    @traceable
    def child(word: str) -> str:
        return word + "!"

    @traceable
    def parent(words: str) -> str:
        return in_a_pool(tools, child, words)

    return lambda: parent("ab")


@crosses("yes!", WHOLE, SPLIT)
def traceable_in_traceable_thread(tools: Any) -> Program:
    @traceable
    def child(word: str) -> str:
        return word + "!"

    @traceable
    def parent(word: str) -> str:
        return in_a_thread(tools, child, word)

    return lambda: parent("yes")


@crosses("yes!", WHOLE, SPLIT)
def traceable_in_traceable_executor_of_the_loop(tools: Any) -> Program:
    @traceable
    def child(word: str) -> str:
        return word + "!"

    @traceable
    async def parent(word: str) -> str:
        return await tools.run_in_executor(None, lambda: child(word))

    return lambda: asyncio.run(parent("yes"))


@crosses("yes!", WHOLE, SPLIT if LANGSMITH_IS_WEAK else WHOLE)
def traceable_in_traceable_late_task(tools: Any) -> Program:
    @traceable
    async def child(word: str) -> str:
        return word + "!"

    async def later(ended: asyncio.Event) -> Any:
        await ended.wait()
        return await child("yes")

    @traceable
    def parent(ended: asyncio.Event) -> Any:
        return tools.create_task(later(ended))

    return lambda: outlived(parent)


# Mixed: a traceable calls a runnable that calls a traceable that calls a runnable.

INNER: Any = ("child", [("grandchild", [])])
MIXED = [("parent", [("runnable", [INNER])])]
# Without a config the inner function finds the outer one, and no runnable between them.
PAST_THE_RUNNABLE = [("parent", [INNER, ("runnable", [])])]


@makes("yes!", MIXED)
def mixed() -> Program:
    def grandchild(word: str) -> str:
        return word + "!"

    grandchild_runnable = RunnableLambda(grandchild)

    @traceable
    def child(word: str) -> str:
        return grandchild_runnable.invoke(word)

    def runnable(word: str) -> Any:
        return child(word)

    child_runnable = RunnableLambda(runnable)

    @traceable
    def parent(word: str) -> str:
        return child_runnable.invoke(word)

    return lambda: parent("yes")


@makes("yes!", MIXED, MIXED if LANGCHAIN_NESTS else PAST_THE_RUNNABLE)
def mixed_async() -> Program:
    async def grandchild(word: str) -> str:
        return word + "!"

    grandchild_runnable = RunnableLambda(grandchild)

    @traceable
    async def child(word: str) -> str:
        return await grandchild_runnable.ainvoke(word)

    async def runnable(word: str) -> Any:
        return await child(word)

    child_runnable = RunnableLambda(runnable)

    @traceable
    async def parent(word: str) -> str:
        return await child_runnable.ainvoke(word)

    return lambda: asyncio.run(parent("yes"))


@makes(["yes", "!"], MIXED)
def mixed_stream() -> Program:
    def grandchild(word: str) -> Iterator[str]:
        yield word
        yield "!"

    grandchild_runnable = RunnableLambda(grandchild)

    @traceable
    def child(word: str) -> Iterator[str]:
        yield from grandchild_runnable.stream(word)

    def runnable(word: str) -> Iterator[str]:
        yield from child(word)

    child_runnable = RunnableLambda(runnable)

    @traceable
    def parent(word: str) -> Iterator[str]:
        yield from child_runnable.stream(word)

    return lambda: list(parent("yes"))


@makes(["yes", "!"], MIXED, MIXED if LANGCHAIN_NESTS else PAST_THE_RUNNABLE)
def mixed_astream() -> Program:
    async def grandchild(word: str) -> AsyncIterator[str]:
        yield word
        yield "!"

    grandchild_runnable = RunnableLambda(grandchild)

    @traceable
    async def child(word: str) -> AsyncIterator[str]:
        async for chunk in grandchild_runnable.astream(word):
            yield chunk

    async def runnable(word: str) -> AsyncIterator[str]:
        async for chunk in child(word):
            yield chunk

    child_runnable = RunnableLambda(runnable)

    @traceable
    async def parent(word: str) -> AsyncIterator[str]:
        async for chunk in child_runnable.astream(word):
            yield chunk

    return lambda: asyncio.run(collected(parent("yes")))


@crosses(
    "a!b!",
    [("parent", [("runnable", [INNER, INNER])])],
    [INNER, INNER, ("parent", [("runnable", [])])],
)
def mixed_pool(tools: Any) -> Program:
    def grandchild(word: str) -> str:
        return word + "!"

    grandchild_runnable = RunnableLambda(grandchild)

    @traceable
    def child(word: str) -> str:
        return grandchild_runnable.invoke(word)

    def runnable(words: str) -> str:
        return in_a_pool(tools, child, words)

    child_runnable = RunnableLambda(runnable)

    @traceable
    def parent(words: str) -> str:
        return child_runnable.invoke(words)

    return lambda: parent("ab")


@crosses("yes!", MIXED, [INNER, ("parent", [("runnable", [])])])
def mixed_thread(tools: Any) -> Program:
    def grandchild(word: str) -> str:
        return word + "!"

    grandchild_runnable = RunnableLambda(grandchild)

    @traceable
    def child(word: str) -> str:
        return grandchild_runnable.invoke(word)

    def runnable(word: str) -> str:
        return in_a_thread(tools, child, word)

    child_runnable = RunnableLambda(runnable)

    @traceable
    def parent(word: str) -> str:
        return child_runnable.invoke(word)

    return lambda: parent("yes")


@crosses("yes!", WHOLE, SPLIT if LANGSMITH_IS_WEAK else WHOLE)
def mixed_late_task(tools: Any) -> Program:
    async def child(word: str) -> str:
        return word + "!"

    child_runnable = RunnableLambda(child)

    async def later(ended: asyncio.Event) -> str:
        await ended.wait()
        return await child_runnable.ainvoke("yes")

    @traceable
    def parent(ended: asyncio.Event) -> Any:
        return tools.create_task(later(ended))

    return lambda: outlived(parent)


MIXED_GRAPH = [("parent", [("LangGraph", [("runnable", [CHILD])])])]


@makes(
    {"text": "yes!"},
    MIXED_GRAPH,
    MIXED_GRAPH if LANGGRAPH_NESTS else [("parent", [("LangGraph", [("runnable", [])]), CHILD])],
)
def mixed_with_a_graph() -> Program:
    @traceable
    async def child(word: str) -> str:
        return word + "!"

    async def runnable(_: Any) -> Any:
        return {"text": await child("yes")}

    @traceable
    async def parent() -> Any:
        return await graph_of(runnable).ainvoke(QUESTION)

    return lambda: asyncio.run(parent())


# The tests.


def outcome(program: Program) -> tuple[Any, list[Any]]:
    with record("langsmith") as recording:
        result = program()
    return result, recording.forest().shape


def named(pattern: Any) -> str:
    return pattern.name


LOST = [pattern for pattern in PATTERNS if pattern.bare != pattern.whole]
NOT_LOST = [pattern for pattern in PATTERNS if pattern.bare == pattern.whole]
OF_DROP_INS = [pattern for pattern in PATTERNS if pattern.of_drop_ins]


@pytest.mark.parametrize("pattern", PATTERNS, ids=named)
def test_a_pattern_without_hand_over_is_one_tree(pattern: Pattern) -> None:
    with ctxtrace.install():
        assert outcome(pattern.build()) == (pattern.result, pattern.whole)


@pytest.mark.parametrize("pattern", PATTERNS, ids=named)
def test_a_pattern_of_functions_decorated_before_install_is_one_tree(pattern: Pattern) -> None:
    program = pattern.build()
    with ctxtrace.install():
        assert outcome(program) == (pattern.result, pattern.whole)


@pytest.mark.parametrize("pattern", PATTERNS, ids=named)
def test_a_pattern_is_one_tree_where_the_trace_alone_is_carried(pattern: Pattern) -> None:
    with ctxtrace.install(variables="trace"):
        assert outcome(pattern.build()) == (pattern.result, pattern.whole)


@pytest.mark.parametrize("pattern", OF_DROP_INS, ids=named)
def test_a_pattern_with_the_drop_ins_is_one_tree_without_install(pattern: Pattern) -> None:
    assert pattern.of_drop_ins
    assert outcome(pattern.of_drop_ins()) == (pattern.result, pattern.whole)


@pytest.mark.parametrize("pattern", LOST, ids=named)
def test_control_without_ctxtrace_the_pattern_is_not_one_tree(pattern: Pattern) -> None:
    assert outcome(pattern.build()) == (pattern.result, pattern.bare)


@pytest.mark.parametrize("pattern", NOT_LOST, ids=named)
def test_without_ctxtrace_the_pattern_nests_by_itself(pattern: Pattern) -> None:
    assert outcome(pattern.build()) == (pattern.result, pattern.whole)


@pytest.mark.parametrize("pattern", LOST, ids=named)
def test_after_uninstall_the_pattern_is_as_it_was(pattern: Pattern) -> None:
    ctxtrace.install().uninstall()
    assert outcome(pattern.build()) == (pattern.result, pattern.bare)


# Hand-over that is left in the program changes nothing under install(), and what is handed wins.

HANDED: list[Pattern] = []


def hands_over(result: Any, whole: list[Any], bare: list[Any] | None = None) -> Any:
    def register(build: Any) -> Any:
        rest = (result, whole, whole if bare is None else bare)
        HANDED.append(Pattern(build.__name__, build, *rest))
        return build

    return register


@hands_over(["yes", "!"], WHOLE)
def a_config_to_a_runnable() -> Program:
    async def child(word: str) -> AsyncIterator[str]:
        yield word
        yield "!"

    child_runnable = RunnableLambda(child)

    async def parent(word: str, config: RunnableConfig) -> AsyncIterator[str]:
        async for chunk in child_runnable.astream(word, config):
            yield chunk

    return lambda: asyncio.run(collected(RunnableLambda(parent).astream("yes")))


@hands_over("a!b!", WHOLE_TWICE)
def a_config_into_a_pool() -> Program:
    def child(word: str) -> str:
        return word + "!"

    child_runnable = RunnableLambda(child)

    def parent(words: str, config: RunnableConfig) -> str:
        return in_a_pool(STANDARD, lambda word: child_runnable.invoke(word, config), words)

    return lambda: RunnableLambda(parent).invoke("ab")


@hands_over(["yes", "!"], WHOLE)
def a_run_tree_to_a_traceable() -> Program:
    @traceable
    async def child(word: str) -> AsyncIterator[str]:
        yield word
        yield "!"

    @traceable
    async def parent(word: str, run_tree: RunTree) -> AsyncIterator[str]:
        async for chunk in child(word, langsmith_extra={"parent": run_tree}):
            yield chunk

    return lambda: asyncio.run(collected(parent("yes")))


@hands_over("a!b!", WHOLE_TWICE)
def a_run_tree_into_a_pool() -> Program:
    @traceable
    def child(word: str) -> str:
        return word + "!"

    @traceable
    def parent(words: str) -> str:
        run = get_current_run_tree()
        return in_a_pool(STANDARD, lambda word: child(word, langsmith_extra={"parent": run}), words)

    return lambda: parent("ab")


@hands_over("yes!", WHOLE)
def a_run_tree_from_a_config_into_a_thread() -> Program:
    @traceable
    def child(word: str) -> str:
        return word + "!"

    def parent(word: str, config: RunnableConfig) -> str:
        run = RunTree.from_runnable_config(config)
        return in_a_thread(
            STANDARD, lambda word: child(word, langsmith_extra={"parent": run}), word
        )

    return lambda: RunnableLambda(parent).invoke("yes")


# LangSmith's page passes langsmith_extra={"config": config}. No release from 0.4.27 to 0.15.0
# looks there.
@hands_over(["yes", "!"], MIXED, MIXED if LANGCHAIN_NESTS else PAST_THE_RUNNABLE)
def a_combination() -> Program:
    async def grandchild(word: str) -> AsyncIterator[str]:
        yield word
        yield "!"

    grandchild_runnable = RunnableLambda(grandchild)

    @traceable
    async def child(word: str, run_tree: RunTree) -> AsyncIterator[str]:
        with tracing_context(parent=run_tree):
            async for chunk in grandchild_runnable.astream(word):
                yield chunk

    async def runnable(word: str, config: RunnableConfig) -> AsyncIterator[str]:
        async for chunk in child(word, langsmith_extra={"config": config}):
            yield chunk

    child_runnable = RunnableLambda(runnable)

    @traceable
    async def parent(word: str, run_tree: RunTree) -> AsyncIterator[str]:
        with tracing_context(parent=run_tree):
            async for chunk in child_runnable.astream(word):
                yield chunk

    return lambda: asyncio.run(collected(parent("yes")))


@hands_over("yes!", WHOLE, SPLIT)
def a_config_to_a_traceable_in_a_thread() -> Program:
    @traceable
    def child(word: str) -> str:
        return word + "!"

    def parent(word: str, config: RunnableConfig) -> str:
        extra = {"config": config}
        return in_a_thread(STANDARD, lambda word: child(word, langsmith_extra=extra), word)

    return lambda: RunnableLambda(parent).invoke("yes")


@pytest.mark.parametrize("pattern", HANDED, ids=named)
def test_a_pattern_that_keeps_its_hand_over_makes_the_same_tree(pattern: Pattern) -> None:
    with ctxtrace.install():
        assert outcome(pattern.build()) == (pattern.result, pattern.whole)


@pytest.mark.parametrize("pattern", HANDED, ids=named)
def test_control_what_the_hand_over_does_without_ctxtrace(pattern: Pattern) -> None:
    assert outcome(pattern.build()) == (pattern.result, pattern.bare)


def test_a_parent_that_is_handed_over_wins_over_the_one_that_is_carried() -> None:
    @traceable
    def child(word: str) -> str:
        return word

    runs: list[Any] = []

    @traceable
    def other() -> None:
        runs.append(get_current_run_tree())

    @traceable
    def parent() -> str:
        extra = {"parent": runs[0]}
        return in_a_thread(STANDARD, lambda word: child(word, langsmith_extra=extra), "yes")

    with ctxtrace.install(), record("langsmith") as recording:
        other()
        parent()
    assert recording.forest().shape == [("other", [CHILD]), ("parent", [])]
