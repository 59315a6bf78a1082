"""Programs of LangChain as people write them: their runnables are not told of the config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableGenerator, RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from vendors.install_graphs import LEAF, MODEL, SYNC_LEAF, Cases, leaf, look_up, model, sync_leaf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RUNNABLES = Cases()


async def calls_leaf(word: str) -> str:
    return word + await leaf()


CALLS: Any = ("calls_leaf", [LEAF])


@RUNNABLES.returns("a-leaf", ("outer", [CALLS]))
async def a_runnable_that_calls_another() -> Any:
    async def outer(word: str) -> str:
        return await RunnableLambda(calls_leaf).ainvoke(word)

    return await RunnableLambda(outer).ainvoke("a-")


@RUNNABLES.returns("a-leafleaf", ("RunnableSequence", [CALLS, CALLS]))
async def a_sequence() -> Any:
    return await (RunnableLambda(calls_leaf) | RunnableLambda(calls_leaf)).ainvoke("a-")


@RUNNABLES.returns({"x": "a-leaf", "y": "a-leaf"}, ("RunnableParallel<x,y>", [CALLS, CALLS]))
async def runnables_side_by_side() -> Any:
    both = RunnableParallel(x=RunnableLambda(calls_leaf), y=RunnableLambda(calls_leaf))
    return await both.ainvoke("a-")


@RUNNABLES.returns(["a-leaf", "b-leaf"], ("outer", [CALLS, CALLS]))
async def a_batch() -> Any:
    async def outer(words: str) -> Any:
        return await RunnableLambda(calls_leaf).abatch(words.split())

    return await RunnableLambda(outer).ainvoke("a- b-")


async def shout(words: AsyncIterator[str]) -> AsyncIterator[str]:
    async for word in words:
        yield word.upper() + await leaf()


@RUNNABLES.returns(["A-leaf"], ("shout", [LEAF]))
async def a_streamed_generator() -> Any:
    return [chunk async for chunk in RunnableGenerator(shout).astream("a-")]


@RUNNABLES.returns(["A-LEAFleaf"], ("RunnableSequence", [CALLS, ("shout", [LEAF])]))
async def a_streamed_sequence() -> Any:
    chain = RunnableLambda(calls_leaf) | RunnableGenerator(shout)
    return [chunk async for chunk in chain.astream("a-")]


async def spell(word: str) -> AsyncIterator[str]:
    for letter in word:
        yield letter + await leaf()


@RUNNABLES.returns(["nleaf", "oleaf"], ("spell", [LEAF, LEAF]))
async def a_streamed_function() -> Any:
    return [chunk async for chunk in RunnableLambda(spell).astream("no")]


@RUNNABLES.returns(["yes", " ", "no"], ("spell", [MODEL]))
async def a_model_streamed_by_a_function() -> Any:
    async def spell(question: str) -> AsyncIterator[Any]:
        async for chunk in model().astream(question):
            yield chunk.content

    chunks = [chunk async for chunk in RunnableLambda(spell).astream("?")]
    return [chunk for chunk in chunks if chunk]


@RUNNABLES.returns("a-leaf", ("RunnableWithFallbacks", [CALLS, ("fails", [])]))
async def a_fallback() -> Any:
    async def fails(_: str) -> str:
        raise ValueError("on purpose")

    return await RunnableLambda(fails).with_fallbacks([RunnableLambda(calls_leaf)]).ainvoke("a-")


@RUNNABLES.returns("a-leaf", ("look_up", [LEAF]))
async def a_tool() -> Any:
    return await look_up.ainvoke({"word": "a-"})


@tool
def sync_look_up(word: str) -> str:
    """Look up a word."""
    return word + sync_leaf()


@RUNNABLES.returns("a-leaf", ("outer", [("sync_look_up", [SYNC_LEAF])]))
async def a_sync_tool() -> Any:
    async def outer(word: str) -> str:
        return await sync_look_up.ainvoke({"word": word})

    return await RunnableLambda(outer).ainvoke("a-")


@RUNNABLES.returns("a-leaf", ("outer", [("plain", [SYNC_LEAF])]))
async def a_sync_function() -> Any:
    def plain(word: str) -> str:
        return word + sync_leaf()

    async def outer(word: str) -> str:
        return await RunnableLambda(plain).ainvoke(word)

    return await RunnableLambda(outer).ainvoke("a-")


@RUNNABLES.returns(["yes", " ", "no"], ("outer", [MODEL]))
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
