"""Programs of LangGraph as people write them, none of which knows of ctxtrace.

Each returns something to compare, and what tree its runs are to make is said beside it.
"""

from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
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
    from collections.abc import Awaitable, Callable

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


class Cases(list[Case]):
    def returns(self, result: Any, tree: Any) -> Callable[[Program], Program]:
        def register(main: Program) -> Program:
            self.append(Case(main, result, tree))
            return main

        return register


GRAPHS = Cases()


@GRAPHS.returns({"text": "leafleaf"}, ("LangGraph", [FIRST, SECOND]))
async def async_nodes() -> Any:
    return await graph_of(first, second).ainvoke(QUESTION)


@GRAPHS.returns([{"first": {"text": "leaf"}}], ("LangGraph", [FIRST]))
async def a_streamed_graph() -> Any:
    return [item async for item in graph_of(first).astream(QUESTION, stream_mode="updates")]


@GRAPHS.returns({"text": "leaf"}, ("LangGraph", [("inner", [("LangGraph", [FIRST])])]))
async def a_graph_for_a_node() -> Any:
    return await graph_of(inner=graph_of(first)).ainvoke(QUESTION)


@GRAPHS.returns({"text": "leaf"}, ("LangGraph", [("calls", [("LangGraph", [FIRST])])]))
async def a_graph_called_in_a_node() -> Any:
    inner = graph_of(first)

    async def calls(state: Any) -> Any:
        return await inner.ainvoke(state)

    return await graph_of(calls).ainvoke(QUESTION)


@GRAPHS.returns({"text": "leafleaf"}, ("LangGraph", [("gathers", [LEAF, LEAF])]))
async def gather_in_a_node() -> Any:
    async def gathers(_: Any) -> Any:
        return {"text": "".join(await asyncio.gather(leaf(), leaf()))}

    return await graph_of(gathers).ainvoke(QUESTION)


@GRAPHS.returns({"text": "leaf"}, ("LangGraph", [("starts", [LEAF])]))
async def a_task_in_a_node() -> Any:
    async def starts(_: Any) -> Any:
        return {"text": await asyncio.create_task(leaf())}

    return await graph_of(starts).ainvoke(QUESTION)


@GRAPHS.returns({"text": "leaf"}, ("LangGraph", [("plain", [SYNC_LEAF])]))
async def a_sync_node() -> Any:
    def plain(_: Any) -> Any:
        return {"text": sync_leaf()}

    return await graph_of(plain).ainvoke(QUESTION)


@tool
async def look_up(word: str) -> str:
    """Look up a word."""
    return word + await leaf()


@GRAPHS.returns({"text": "a-leaf"}, ("LangGraph", [("uses", [("look_up", [LEAF])])]))
async def a_tool_called_in_a_node() -> Any:
    async def uses(_: Any) -> Any:
        return {"text": await look_up.ainvoke({"word": "a-"})}

    return await graph_of(uses).ainvoke(QUESTION)


@GRAPHS.returns(
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


@GRAPHS.returns(["yes", " ", "no"], ASKS)
async def tokens_of_an_implicit_call() -> Any:
    stream = graph_of(asks).astream(QUESTION, stream_mode="messages")
    return [message.content async for message, _ in stream if message.content]


@GRAPHS.returns(["yes", " ", "no"], ASKS)
async def events_of_an_implicit_call() -> Any:
    events = graph_of(asks).astream_events(QUESTION, version="v2")
    chunks = [
        event["data"]["chunk"].content
        async for event in events
        if event["event"] == "on_chat_model_stream"
    ]
    return [chunk for chunk in chunks if chunk]


@GRAPHS.returns([{"said": "a-leaf"}], ("LangGraph", [("writes", [("steps", [LEAF])])]))
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


@GRAPHS.returns({"text": "yes"}, ("talk", [("LangGraph", [("confirms", [LEAF])])] * 2))
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


ASKED: Any = ("asked", [LEAF])


@GRAPHS.returns(None, ("LangGraph", [("__start__", [("asks_two", [LEAF])]), ASKED, ASKED]))
async def nodes_side_by_side() -> Any:
    async def asks_two(state: Any) -> Any:
        await leaf()
        return [Send("asked", state), Send("asked", state)]

    async def asked(_: Any) -> Any:
        await leaf()

    builder = StateGraph(State)
    builder.add_node("asked", asked)
    builder.add_conditional_edges(START, asks_two, ["asked"])
    await builder.compile().ainvoke(QUESTION)


@GRAPHS.returns(
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


@GRAPHS.returns(
    "leafleaf",
    (
        "LangGraph",
        [
            (
                "workflow",
                [
                    ("asynchronous", [("inner", [LEAF])]),
                    ("synchronous", [("inner", [LEAF]), SYNC_LEAF]),
                ],
            )
        ],
    ),
)
async def tasks_called_in_tasks() -> Any:
    @task
    async def inner() -> str:
        return await leaf()

    @task
    async def asynchronous() -> str:
        return await inner()

    @task
    def synchronous() -> str:
        sync_leaf()
        return inner().result()

    @entrypoint()
    async def workflow(_: Any) -> str:
        return await asynchronous() + await synchronous()

    return await workflow.ainvoke("?")
