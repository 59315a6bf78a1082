"""Programs of LangChain and LangGraph as people write them, none of which knows of ctxtrace.

Each returns something to compare, and what tree its runs are to make is said beside it.
"""

from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableGenerator, RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from langsmith import traceable

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # LangGraph warns of LangChain's defaults, on 3.9
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.config import get_config, get_stream_writer
    from langgraph.func import entrypoint, task
    from langgraph.graph import START, StateGraph
    from langgraph.prebuilt import ToolNode
    from langgraph.types import Command, Send, interrupt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Program = Callable[[], Awaitable[Any]]

State = dict
LEAF: Any = ("leaf", [])
SYNC_LEAF: Any = ("sync_leaf", [])
MODEL: Any = ("GenericFakeChatModel", [])
QUESTION = {"text": "?"}


@traceable
async def leaf() -> str:
    await asyncio.sleep(0)
    return "leaf"


@traceable
def sync_leaf() -> str:
    return "leaf"


def model() -> Any:
    return GenericFakeChatModel(messages=iter([AIMessage("yes no")]))


def graph_of(*nodes: Any, saver: Any = None, **named: Any) -> Any:
    builder = StateGraph(State)
    before = START
    for name, node in {**{node.__name__: node for node in nodes}, **named}.items():
        builder.add_node(name, node)
        builder.add_edge(before, name)
        before = name
    return builder.compile(checkpointer=saver)


async def first(_: Any) -> Any:
    await leaf()
    return {"text": sync_leaf()}


async def second(state: Any) -> Any:
    return {"text": state["text"] + await leaf()}


FIRST: Any = ("first", [LEAF, SYNC_LEAF])
SECOND: Any = ("second", [LEAF])


class Case(NamedTuple):
    """A program, what it is to return, and the one tree that it is to make."""

    main: Program
    result: Any
    tree: Any


GRAPHS: list[Case] = []
RUNNABLES: list[Case] = []


def graph(result: Any, tree: Any) -> Callable[[Program], Program]:
    return _registered(GRAPHS, result, tree)


def runnable(result: Any, tree: Any) -> Callable[[Program], Program]:
    return _registered(RUNNABLES, result, tree)


def _registered(cases: list[Case], result: Any, tree: Any) -> Callable[[Program], Program]:
    def register(main: Program) -> Program:
        cases.append(Case(main, result, tree))
        return main

    return register


# LangGraph: what is lost in its async nodes.


@graph({"text": "leafleaf"}, ("LangGraph", [FIRST, SECOND]))
async def async_nodes() -> Any:
    return await graph_of(first, second).ainvoke(QUESTION)


@graph([{"first": {"text": "leaf"}}], ("LangGraph", [FIRST]))
async def a_streamed_graph() -> Any:
    return [item async for item in graph_of(first).astream(QUESTION, stream_mode="updates")]


@graph({"text": "leaf"}, ("LangGraph", [("inner", [("LangGraph", [FIRST])])]))
async def a_graph_for_a_node() -> Any:
    return await graph_of(inner=graph_of(first)).ainvoke(QUESTION)


@graph({"text": "leaf"}, ("LangGraph", [("calls", [("LangGraph", [FIRST])])]))
async def a_graph_called_in_a_node() -> Any:
    inner = graph_of(first)

    async def calls(state: Any) -> Any:
        return await inner.ainvoke(state)

    return await graph_of(calls).ainvoke(QUESTION)


@graph({"text": "leafleaf"}, ("LangGraph", [("gathers", [LEAF, LEAF])]))
async def gather_in_a_node() -> Any:
    async def gathers(_: Any) -> Any:
        return {"text": "".join(await asyncio.gather(leaf(), leaf()))}

    return await graph_of(gathers).ainvoke(QUESTION)


@graph({"text": "leaf"}, ("LangGraph", [("starts", [LEAF])]))
async def a_task_in_a_node() -> Any:
    async def starts(_: Any) -> Any:
        return {"text": await asyncio.create_task(leaf())}

    return await graph_of(starts).ainvoke(QUESTION)


@graph({"text": "leaf"}, ("LangGraph", [("plain", [SYNC_LEAF])]))
async def a_sync_node() -> Any:
    def plain(_: Any) -> Any:
        return {"text": sync_leaf()}

    return await graph_of(plain).ainvoke(QUESTION)


@tool
async def look_up(word: str) -> str:
    """Look up a word."""
    return word + await leaf()


@graph({"text": "a-leaf"}, ("LangGraph", [("uses", [("look_up", [LEAF])])]))
async def a_tool_called_in_a_node() -> Any:
    async def uses(_: Any) -> Any:
        return {"text": await look_up.ainvoke({"word": "a-"})}

    return await graph_of(uses).ainvoke(QUESTION)


@graph(
    ["a-leaf", "b-leaf"],
    ("LangGraph", [("tools", [("look_up", [LEAF]), ("look_up", [LEAF])])]),
)
async def a_node_of_tools() -> Any:
    calls = [
        {"name": "look_up", "args": {"word": word}, "id": word, "type": "tool_call"}
        for word in ("a-", "b-")
    ]
    state = {"messages": [AIMessage("", tool_calls=calls)]}
    done = await graph_of(tools=ToolNode([look_up])).ainvoke(state)
    return [message.content for message in done["messages"]]


async def asks(_: Any) -> Any:
    await leaf()
    return {"text": (await model().ainvoke("?")).content}


ASKS: Any = ("LangGraph", [("asks", [MODEL, LEAF])])


@graph(["yes", " ", "no"], ASKS)
async def tokens_of_an_implicit_call() -> Any:
    stream = graph_of(asks).astream(QUESTION, stream_mode="messages")
    return [message.content async for message, _ in stream if message.content]


@graph(["yes", " ", "no"], ASKS)
async def events_of_an_implicit_call() -> Any:
    events = graph_of(asks).astream_events(QUESTION, version="v2")
    chunks = [
        event["data"]["chunk"].content
        async for event in events
        if event["event"] == "on_chat_model_stream"
    ]
    return [chunk for chunk in chunks if chunk]


@graph([{"said": "a-leaf"}], ("LangGraph", [("writes", [("steps", [LEAF])])]))
async def a_writer_and_a_config() -> Any:
    @traceable
    async def steps() -> str:
        return get_config()["configurable"]["prefix"] + await leaf()

    async def writes(_: Any) -> Any:
        get_stream_writer()({"said": await steps()})
        return QUESTION

    config: Any = {"configurable": {"prefix": "a-"}}
    stream = graph_of(writes).astream(QUESTION, config, stream_mode="custom")
    return [item async for item in stream]


@graph({"text": "yes"}, ("talk", [("LangGraph", [("confirms", [LEAF])] * 2)] * 2))
async def an_interrupted_node() -> Any:
    async def confirms(_: Any) -> Any:
        await leaf()
        return {"text": interrupt("sure?")}

    @traceable
    async def talk() -> Any:
        graph = graph_of(confirms, saver=InMemorySaver())
        config: Any = {"configurable": {"thread_id": "1"}}
        await graph.ainvoke(QUESTION, config)
        return await graph.ainvoke(Command(resume="yes"), config)

    return await talk()


@graph(None, ("LangGraph", [FIRST, FIRST, ("fans_out", [LEAF])]))
async def nodes_side_by_side() -> Any:
    async def fans_out(state: Any) -> Any:
        await leaf()
        return [Send("first", state), Send("first", state)]

    builder = StateGraph(State)
    builder.add_node("first", first)
    builder.add_conditional_edges(START, fans_out, ["first"])
    await builder.compile().ainvoke(QUESTION)


@graph(
    "leafleaf-a",
    (
        "LangGraph",
        [("workflow", [("asynchronous", [LEAF]), LEAF, ("synchronous", [SYNC_LEAF])])],
    ),
)
async def the_functional_api() -> Any:
    @task
    async def asynchronous() -> str:
        get_stream_writer()
        return await leaf()

    @task
    def synchronous() -> str:
        return sync_leaf()

    @entrypoint()
    async def workflow(word: str) -> str:
        get_config()
        await leaf()
        return "".join(await asyncio.gather(asynchronous(), synchronous())) + word

    return await workflow.ainvoke("-a")


# LangChain: its runnables call each other, and are not told of the config.


async def calls_leaf(word: str) -> str:
    return word + await leaf()


CALLS: Any = ("calls_leaf", [LEAF])


@runnable("a-leaf", ("outer", [CALLS]))
async def a_runnable_that_calls_another() -> Any:
    async def outer(word: str) -> str:
        return await RunnableLambda(calls_leaf).ainvoke(word)

    return await RunnableLambda(outer).ainvoke("a-")


@runnable("a-leafleaf", ("RunnableSequence", [CALLS, CALLS]))
async def a_sequence() -> Any:
    return await (RunnableLambda(calls_leaf) | RunnableLambda(calls_leaf)).ainvoke("a-")


@runnable({"x": "a-leaf", "y": "a-leaf"}, ("RunnableParallel<x,y>", [CALLS, CALLS]))
async def runnables_side_by_side() -> Any:
    both = RunnableParallel(x=RunnableLambda(calls_leaf), y=RunnableLambda(calls_leaf))
    return await both.ainvoke("a-")


@runnable(["a-leaf", "b-leaf"], ("outer", [CALLS, CALLS]))
async def a_batch() -> Any:
    async def outer(words: str) -> Any:
        return await RunnableLambda(calls_leaf).abatch(words.split())

    return await RunnableLambda(outer).ainvoke("a- b-")


async def shout(words: AsyncIterator[str]) -> AsyncIterator[str]:
    async for word in words:
        yield word.upper() + await leaf()


@runnable(["A-leaf"], ("shout", [LEAF]))
async def a_streamed_generator() -> Any:
    return [chunk async for chunk in RunnableGenerator(shout).astream("a-")]


@runnable(["A-LEAFleaf"], ("RunnableSequence", [CALLS, ("shout", [LEAF])]))
async def a_streamed_sequence() -> Any:
    chain = RunnableLambda(calls_leaf) | RunnableGenerator(shout)
    return [chunk async for chunk in chain.astream("a-")]


async def spell(word: str) -> AsyncIterator[str]:
    for letter in word:
        yield letter + await leaf()


@runnable(["nleaf", "oleaf"], ("spell", [LEAF, LEAF]))
async def a_streamed_function() -> Any:
    return [chunk async for chunk in RunnableLambda(spell).astream("no")]


@runnable(["yes", " ", "no"], ("spell", [MODEL]))
async def a_model_streamed_by_a_function() -> Any:
    async def spell(question: str) -> AsyncIterator[Any]:
        async for chunk in model().astream(question):
            yield chunk.content

    chunks = [chunk async for chunk in RunnableLambda(spell).astream("?")]
    return [chunk for chunk in chunks if chunk]


@runnable("a-leaf", ("RunnableWithFallbacks", [CALLS, ("fails", [])]))
async def a_fallback() -> Any:
    async def fails(_: str) -> str:
        raise ValueError("on purpose")

    return await RunnableLambda(fails).with_fallbacks([RunnableLambda(calls_leaf)]).ainvoke("a-")


@runnable("a-leaf", ("look_up", [LEAF]))
async def a_tool() -> Any:
    return await look_up.ainvoke({"word": "a-"})


@tool
def sync_look_up(word: str) -> str:
    """Look up a word."""
    return word + sync_leaf()


@runnable("a-leaf", ("outer", [("sync_look_up", [SYNC_LEAF])]))
async def a_sync_tool() -> Any:
    async def outer(word: str) -> str:
        return await sync_look_up.ainvoke({"word": word})

    return await RunnableLambda(outer).ainvoke("a-")


@runnable("a-leaf", ("outer", [("plain", [SYNC_LEAF])]))
async def a_sync_function() -> Any:
    def plain(word: str) -> str:
        return word + sync_leaf()

    async def outer(word: str) -> str:
        return await RunnableLambda(plain).ainvoke(word)

    return await RunnableLambda(outer).ainvoke("a-")


@runnable(["yes", " ", "no"], ("outer", [MODEL]))
async def events_of_a_runnable() -> Any:
    async def outer(question: str) -> Any:
        return (await model().ainvoke(question)).content

    events = RunnableLambda(outer).astream_events("?", version="v2")
    chunks = [
        event["data"]["chunk"].content
        async for event in events
        if event["event"] == "on_chat_model_stream"
    ]
    return [chunk for chunk in chunks if chunk]
