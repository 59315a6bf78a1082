"""Streams in LangChain's runnables and in LangGraph's nodes, with every way to stream a graph.

Where a stream is consumed at once in the place where it was called, it is to be what the bare
generator is, and traces are whole with both. What is lost with the bare one, and not with ours,
is what is consumed elsewhere: in another thread, in another node, after the node.

LangChain before 3.11 (on 3.10: before langchain-core 1.4.8) and LangGraph before 3.11 lose the
context of async functions themselves.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import sys
import warnings
from contextvars import Context
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig, RunnableGenerator, RunnableLambda
from vendors.streams import bare, in_a_new_thread, nothing
from vendors.tracers import LangSmith

import ctxtrace

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # LangGraph warns of LangChain's defaults, on 3.9
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.config import get_stream_writer
    from langgraph.graph import START, StateGraph
    from langgraph.types import StreamWriter  # noqa: TC002 - LangGraph reads annotations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

_CORE = tuple(map(int, importlib.metadata.version("langchain-core").split(".")[:3]))
LANGCHAIN_NESTS_ASYNC = sys.version_info >= (3, 11) or (
    sys.version_info >= (3, 10) and _CORE >= (1, 4, 8)
)


@pytest.fixture
def tracer(caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    tracer = LangSmith()
    with tracer.recording():
        yield tracer
    assert [record.getMessage() for record in caplog.get_records("call")] == []


def named(value: Any) -> str:
    return value.__name__


DECORATORS = [bare, ctxtrace.streaming, ctxtrace.traced_stream]
EACH = pytest.mark.parametrize("decorate", DECORATORS, ids=named)
OURS = pytest.mark.parametrize("decorate", DECORATORS[1:], ids=named)


def looks(count: int) -> list[Any]:
    return [("look", [])] * count


def under(name: str, decorate: Any, below: list[Any]) -> list[Any]:
    """What is below the place where the stream `name` is called: its run, if it has one."""
    return [(name, below)] if decorate is ctxtrace.traced_stream else below


# LangChain.


def transformer(tracer: Any) -> Callable[[Iterator[str]], Iterator[str]]:
    def shout(words: Iterator[str]) -> Iterator[str]:
        for word in words:
            tracer.call("look", nothing)
            yield word.upper()

    return shout


def async_transformer(tracer: Any) -> Callable[[AsyncIterator[str]], AsyncIterator[str]]:
    async def shout(words: AsyncIterator[str]) -> AsyncIterator[str]:
        async for word in words:
            await asyncio.sleep(0)
            tracer.call("look", nothing)
            yield word.upper()

    return shout


def speller(tracer: Any) -> Callable[[str], Iterator[str]]:
    def spell(word: str) -> Iterator[str]:
        for letter in word:
            tracer.call("look", nothing)
            yield letter

    return spell


def async_speller(tracer: Any) -> Callable[[str], AsyncIterator[str]]:
    async def spell(word: str) -> AsyncIterator[str]:
        for letter in word:
            await asyncio.sleep(0)
            tracer.call("look", nothing)
            yield letter

    return spell


async def _aiter(items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item


async def _alist(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


def invoke(runnable: Any) -> list[str]:
    return [runnable.invoke("no")]


def stream(runnable: Any) -> list[str]:
    return list(runnable.stream("no"))


def transform(runnable: Any) -> list[str]:
    return list(runnable.transform(iter("no")))


def ainvoke(runnable: Any) -> list[str]:
    return [asyncio.run(runnable.ainvoke("no"))]


def astream(runnable: Any) -> list[str]:
    async def main() -> list[str]:
        return await _alist(runnable.astream("no"))

    return asyncio.run(main())


def atransform(runnable: Any) -> list[str]:
    async def main() -> list[str]:
        return await _alist(runnable.atransform(_aiter("no")))

    return asyncio.run(main())


@EACH
@pytest.mark.parametrize(
    ("use", "items"), [(invoke, ["NO"]), (stream, ["NO"]), (transform, ["N", "O"])]
)
def test_a_runnable_generator_has_its_streams_children(
    tracer: Any, decorate: Any, use: Any, items: list[str]
) -> None:
    assert use(RunnableGenerator(decorate(transformer(tracer)))) == items
    steps = 2 if use is transform else 1
    assert tracer.shape() == [("shout", under("shout", decorate, looks(steps)))]


@EACH
@pytest.mark.parametrize(
    ("use", "items"), [(ainvoke, ["NO"]), (astream, ["NO"]), (atransform, ["N", "O"])]
)
def test_an_async_runnable_generator_has_its_streams_children(
    tracer: Any, decorate: Any, use: Any, items: list[str]
) -> None:
    assert use(RunnableGenerator(decorate(async_transformer(tracer)))) == items
    steps = 2 if use is atransform else 1
    if decorate is bare and not LANGCHAIN_NESTS_ASYNC:
        expected = [*looks(steps), ("shout", [])]  # which ctxtrace repairs
    else:
        expected = [("shout", under("shout", decorate, looks(steps)))]
    assert tracer.shape() == expected


@EACH
@pytest.mark.parametrize(
    ("use", "items"), [(invoke, ["no"]), (stream, ["n", "o"]), (transform, ["n", "o"])]
)
def test_a_runnable_lambda_has_its_streams_children(
    tracer: Any, decorate: Any, use: Any, items: list[str]
) -> None:
    assert use(RunnableLambda(decorate(speller(tracer)))) == items
    assert tracer.shape() == [("spell", under("spell", decorate, looks(2)))]


@EACH
@pytest.mark.parametrize(
    ("use", "items"), [(ainvoke, ["no"]), (astream, ["n", "o"]), (atransform, ["n", "o"])]
)
def test_an_async_runnable_lambda_has_its_streams_children(
    tracer: Any, decorate: Any, use: Any, items: list[str]
) -> None:
    assert use(RunnableLambda(decorate(async_speller(tracer)))) == items
    below = under("spell", decorate, looks(2))
    if LANGCHAIN_NESTS_ASYNC:
        assert tracer.shape() == [("spell", below)]
    else:
        # LangChain calls the function outside the run: there is nothing to capture.
        assert tracer.shape() == sorted([*below, ("spell", [])])


def test_a_chain_of_streams_has_one_tree(tracer: Any) -> None:
    chain = RunnableGenerator(ctxtrace.streaming(transformer(tracer))) | RunnableGenerator(
        ctxtrace.streaming(transformer(tracer))
    )
    assert list(chain.transform(iter("no"))) == ["N", "O"]
    shout = ("shout", looks(2))
    assert tracer.shape() == [("RunnableSequence", [shout, shout])]


@EACH
def test_a_stream_that_a_runnable_returns_is_consumed_under_its_run_only_if_it_is_ours(
    tracer: Any, decorate: Any
) -> None:
    made: list[Any] = []

    def ask(word: str) -> str:
        made.append(decorate(speller(tracer))(word))
        return word

    RunnableLambda(ask).invoke("no")
    assert list(made.pop()) == ["n", "o"]
    below = under("spell", decorate, looks(2))
    expected = [("ask", []), *below] if decorate is bare else [("ask", below)]
    assert tracer.shape() == expected


# LangGraph.

State = dict
CONFIG: Any = {"configurable": {"thread_id": "1"}}


def tokens_of(tracer: Any) -> Callable[[], Iterator[str]]:
    """A generator that calls a chat model, writes to the graph's stream and has children."""

    def tokens() -> Iterator[str]:
        writer = get_stream_writer()
        model = GenericFakeChatModel(messages=iter([AIMessage("yes no")]))
        for chunk in model.stream("?"):
            if chunk.content:
                tracer.call("look", nothing)
                writer({"token": chunk.content})
                yield str(chunk.content)

    return tokens


def async_tokens_of(tracer: Any) -> Callable[..., AsyncIterator[str]]:
    """The same; what LangGraph hands to its nodes is passed on by hand, or is None."""

    async def tokens(config: Any = None, writer: Any = None) -> AsyncIterator[str]:
        if writer is None:
            writer = get_stream_writer()
        model = GenericFakeChatModel(messages=iter([AIMessage("yes no")]))
        async for chunk in model.astream("?", config):
            if chunk.content:
                tracer.call("look", nothing)
                writer({"token": chunk.content})
                yield str(chunk.content)

    return tokens


def graph_of(*nodes: Callable[..., Any], saver: bool = False) -> Any:
    graph = StateGraph(State)
    before = START
    for node in nodes:
        graph.add_node(node.__name__, node)
        graph.add_edge(before, node.__name__)
        before = node.__name__
    return graph.compile(checkpointer=InMemorySaver() if saver else None)


MODEL = ("GenericFakeChatModel", [])
INSIDE = [MODEL, *looks(3)]
TOKENS = ["yes", " ", "no"]


def one(mode: str, item: Any) -> Any:
    """The part of a streamed item that is the same on all versions."""
    if mode == "messages":
        return item[0].content
    if mode == "custom":
        return item["token"]
    if mode in ("values", "updates"):
        return item
    if mode == "debug":
        return item["type"]
    if mode == "tasks":
        return "result" if "result" in item else "task"
    return (item["values"] or {}).get("text")  # of a checkpoint


def say(mode: str, items: list[Any]) -> list[Any]:
    return [said for said in (one(mode, item) for item in items) if said != ""]


START_STATE = {"text": "?"}
END_STATE = {"text": "yes no"}

MODES: dict[str, list[Any]] = {
    "values": [START_STATE, END_STATE],
    "updates": [{"node": END_STATE}],
    "messages": TOKENS,
    "custom": TOKENS,
    "debug": ["checkpoint", "checkpoint", "task", "task_result", "checkpoint"],
    "tasks": ["task", "result"],
    "checkpoints": [None, "?", "yes no"],
}
SEVERAL = ("updates", "messages", "custom")
EACH_MODE = pytest.mark.parametrize("mode", MODES)


def sync_node(decorate: Any, tracer: Any) -> Callable[[Any], Any]:
    def node(_: Any) -> Any:
        return {"text": "".join(decorate(tokens_of(tracer))())}

    return node


@EACH
@EACH_MODE
def test_a_node_that_consumes_a_stream_is_streamed_in_every_mode(
    tracer: Any, decorate: Any, mode: str
) -> None:
    graph = graph_of(sync_node(decorate, tracer), saver=True)
    items = list(graph.stream(START_STATE, CONFIG, stream_mode=mode))
    assert say(mode, items) == MODES[mode]
    assert tracer.shape() == [("LangGraph", [("node", under("tokens", decorate, INSIDE))])]


@EACH
def test_a_node_that_consumes_a_stream_is_streamed_in_several_modes_at_once(
    tracer: Any, decorate: Any
) -> None:
    graph = graph_of(sync_node(decorate, tracer))
    seen: dict[str, list[Any]] = {mode: [] for mode in SEVERAL}
    for mode, item in graph.stream(START_STATE, stream_mode=list(seen)):
        seen[mode].append(item)
    assert {mode: say(mode, items) for mode, items in seen.items()} == {
        mode: MODES[mode] for mode in seen
    }
    assert tracer.shape() == [("LangGraph", [("node", under("tokens", decorate, INSIDE))])]


@OURS
@EACH_MODE
def test_a_stream_that_another_thread_consumes_is_streamed_in_every_mode(
    tracer: Any, decorate: Any, mode: str
) -> None:
    def node(_: Any) -> Any:
        return {"text": "".join(in_a_new_thread(list, decorate(tokens_of(tracer))()))}

    graph = graph_of(node, saver=True)
    items = list(graph.stream(START_STATE, CONFIG, stream_mode=mode))
    assert say(mode, items) == MODES[mode]
    assert tracer.shape() == [("LangGraph", [("node", under("tokens", decorate, INSIDE))])]


def test_control_a_bare_generator_that_another_thread_consumes_has_no_writer(tracer: Any) -> None:
    def node(_: Any) -> Any:
        return {"text": "".join(in_a_new_thread(list, tokens_of(tracer)()))}

    with pytest.raises(RuntimeError, match="outside of a runnable context"):
        graph_of(node).invoke(START_STATE)
    assert tracer.shape() == [("LangGraph", [("node", [])])]


@EACH
def test_a_stream_that_the_next_node_consumes_is_under_the_node_that_called_it(
    tracer: Any, decorate: Any
) -> None:
    def make(_: Any) -> Any:
        return {"stream": decorate(tokens_of(tracer))()}

    def use(state: Any) -> Any:
        return {"text": "".join(state["stream"])}

    written = list(graph_of(make, use).stream(START_STATE, stream_mode="custom"))
    assert say("custom", written) == TOKENS
    nodes = [("make", []), ("use", INSIDE)]
    if decorate is not bare:
        nodes = [("make", under("tokens", decorate, INSIDE)), ("use", [])]
    assert tracer.shape() == [("LangGraph", nodes)]


@EACH
def test_a_stream_that_is_consumed_after_the_graph_is_in_its_tree_only_if_it_is_ours(
    tracer: Any, decorate: Any
) -> None:
    def make(_: Any) -> Any:
        return {"stream": decorate(speller(tracer))("no")}

    made = graph_of(make).invoke(START_STATE)["stream"]
    assert list(made) == ["n", "o"]
    below = under("spell", decorate, looks(2))
    if decorate is bare:
        assert tracer.shape() == [("LangGraph", [("make", [])]), *below]
    else:
        assert tracer.shape() == [("LangGraph", [("make", below)])]


def stream_async(graph: Any, mode: Any) -> list[Any]:
    async def main() -> list[Any]:
        return await _alist(graph.astream(START_STATE, CONFIG, stream_mode=mode))

    return asyncio.run(main())


if sys.version_info >= (3, 11):
    ASYNC_MODES = list(MODES)

    def async_node(decorate: Any, tracer: Any) -> Callable[[Any], Any]:
        async def node(_: Any) -> Any:
            return {"text": "".join(await _alist(decorate(async_tokens_of(tracer))()))}

        return node

    async def consumed_by_tasks(stream: Any) -> list[str]:
        """Take each step in a task of its own, which knows nothing of the node."""
        items: list[str] = []
        context = Context()
        while True:
            try:
                step = asyncio.create_task(_next_of(stream), context=context)
                items.append(await step)
            except StopAsyncIteration:
                return items

    async def _next_of(stream: Any) -> Any:
        return await stream.__anext__()

    @OURS
    @EACH_MODE
    def test_a_stream_that_other_tasks_consume_is_streamed_in_every_mode(
        tracer: Any, decorate: Any, mode: str
    ) -> None:
        async def node(_: Any) -> Any:
            return {"text": "".join(await consumed_by_tasks(decorate(async_tokens_of(tracer))()))}

        items = stream_async(graph_of(node, saver=True), mode)
        assert say(mode, items) == MODES[mode]
        assert tracer.shape() == [("LangGraph", [("node", under("tokens", decorate, INSIDE))])]

    def test_control_an_async_generator_that_other_tasks_consume_has_no_writer(
        tracer: Any,
    ) -> None:
        async def node(_: Any) -> Any:
            return {"text": "".join(await consumed_by_tasks(async_tokens_of(tracer)()))}

        with pytest.raises(RuntimeError, match="outside of a runnable context"):
            stream_async(graph_of(node), "values")
        assert tracer.shape() == [("LangGraph", [("node", [])])]

else:
    # No context reaches an async node: what it needs is passed on by hand, and what it starts
    # without is a root, with the stream as without. LangGraph's writer then asks for the config
    # itself, if anybody listens.

    ASYNC_MODES = [mode for mode in MODES if mode != "custom"]

    @EACH
    def test_an_async_node_cannot_write_with_a_stream_as_without(
        tracer: Any, decorate: Any
    ) -> None:
        graph = graph_of(async_node(decorate, tracer), saver=True)
        with pytest.raises(RuntimeError, match="outside of a runnable context"):
            stream_async(graph, "custom")

    def async_node(decorate: Any, tracer: Any) -> Callable[..., Any]:
        async def node(_: Any, config: RunnableConfig, *, writer: StreamWriter) -> Any:
            stream = decorate(async_tokens_of(tracer))(config, writer)
            return {"text": "".join(await _alist(stream))}

        return node


def shape_of_async_node(decorate: Any) -> list[Any]:
    if sys.version_info >= (3, 11):
        return [("LangGraph", [("node", under("tokens", decorate, INSIDE))])]
    outside = under("tokens", decorate, looks(3))
    return sorted([("LangGraph", [("node", [MODEL])]), *outside])


@EACH
@pytest.mark.parametrize("mode", ASYNC_MODES)
def test_an_async_node_that_consumes_a_stream_is_streamed_in_every_mode(
    tracer: Any, decorate: Any, mode: str
) -> None:
    items = stream_async(graph_of(async_node(decorate, tracer), saver=True), mode)
    assert say(mode, items) == MODES[mode]
    assert tracer.shape() == shape_of_async_node(decorate)


@EACH
def test_an_async_node_that_consumes_a_stream_is_streamed_in_several_modes_at_once(
    tracer: Any, decorate: Any
) -> None:
    seen: dict[str, list[Any]] = {mode: [] for mode in ASYNC_MODES if mode in SEVERAL}
    for mode, item in stream_async(graph_of(async_node(decorate, tracer)), list(seen)):
        seen[mode].append(item)
    assert {mode: say(mode, items) for mode, items in seen.items()} == {
        mode: MODES[mode] for mode in seen
    }
    assert tracer.shape() == shape_of_async_node(decorate)
