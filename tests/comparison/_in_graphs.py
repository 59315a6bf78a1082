"""LangChain inside LangChain, and the nodes of LangGraph. Their runs arrive in LangSmith."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

from comparison._rows import row

OLD = "before Python 3.11 asyncio's tasks take no `context=`"


@row(
    "runnable",
    "a `RunnableLambda` inside an async one",
    f"{OLD}, and LangChain sets none",
    tracers=("LangSmith",),
)
def runnable(tools: Any, tracer: Any) -> None:
    from langchain_core.runnables import RunnableLambda

    async def child(word: str) -> str:
        return word

    async def parent(word: str, config) -> str:  # type: ignore[no-untyped-def]
        inner = RunnableLambda(child)
        return await inner.ainvoke(word, *tools.handed_config(config))

    asyncio.run(RunnableLambda(parent).ainvoke("yes"))


def _graph(node: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LangGraph warns of LangChain's defaults, on 3.9
        from langgraph.graph import START, StateGraph

    builder = StateGraph(dict)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    return builder.compile()


@row(
    "graph-sync",
    "a sync node of LangGraph under `ainvoke`",
    f"{OLD}: the node's thread has the context that is around the graph",
    tracers=("LangSmith",),
    parent="node",
)
def graph_sync(tools: Any, tracer: Any) -> None:
    def node(state, config):  # type: ignore[no-untyped-def]
        with tools.below_config(config):
            tracer.child()
        return state

    _run_graph(tracer, node)


@row(
    "graph-async",
    "an async node of LangGraph",
    f"{OLD}: the node's task has the context that is around the graph",
    tracers=("LangSmith",),
    parent="node",
)
def graph_async(tools: Any, tracer: Any) -> None:
    async def node(state, config):  # type: ignore[no-untyped-def]
        with tools.below_config(config):
            await tracer.achild()
        return state

    _run_graph(tracer, node)


def _run_graph(tracer: Any, node: Any) -> None:
    graph = _graph(node)

    async def parent() -> None:
        await graph.ainvoke({"text": "?"})

    asyncio.run(tracer.acall("parent", parent))
