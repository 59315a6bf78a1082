"""Programs of LangGraph: nodes that do part of their work elsewhere."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableLambda
from langsmith import traceable
from vendors.corpus import BEFORE_311, loses, sound

import ctxtrace

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # LangGraph warns of LangChain's defaults, on 3.9
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.func import entrypoint, task
    from langgraph.graph import START, StateGraph

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.runnables import RunnableConfig


def _graph(*nodes: Callable[..., Any], **options: Any) -> Any:
    """A graph whose nodes follow one another."""
    builder = StateGraph(dict)
    for node in nodes:
        builder.add_node(node.__name__, node)
    for before, after in zip((START, *(node.__name__ for node in nodes)), nodes):
        builder.add_edge(before, after.__name__)
    return builder.compile(**options)


@traceable
def search(query: str) -> str:
    return f"found {query}"


@traceable
async def search_slowly(query: str) -> str:
    await asyncio.sleep(0)
    return f"found {query}"


# Pools and threads in a node.


@loses("search")
def a_node_that_searches_in_a_pool() -> None:
    # After haystack's pull request 9727: the tools that an agent runs in a pool are traces.
    def retrieve(state: dict) -> dict:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            hits = [pool.submit(search, query) for query in state["queries"]]  # lost: search
        return {"hits": [hit.result() for hit in hits]}

    assert _graph(retrieve).invoke({"queries": ["a", "b"]}) == {"hits": ["found a", "found b"]}


@sound
def a_node_that_searches_in_a_pool_that_carries() -> None:
    def retrieve(state: dict) -> dict:
        with ctxtrace.ThreadPoolExecutor(2) as pool:
            return {"hits": list(pool.map(search, state["queries"]))}

    assert _graph(retrieve).invoke({"queries": ["a", "b"]}) == {"hits": ["found a", "found b"]}


@traceable
def audit(state: dict) -> None:
    assert state


@loses("audit")
def a_node_that_audits_beside_its_work() -> None:
    def act(state: dict) -> dict:
        auditor = threading.Thread(target=audit, args=[state], name="auditor")
        auditor.start()  # lost: audit
        done = {"done": search("tools")}
        auditor.join()
        return done

    _graph(act).invoke({"query": "?"})


@sound
def a_node_that_audits_beside_its_work_in_a_thread_that_carries() -> None:
    def act(state: dict) -> dict:
        auditor = ctxtrace.Thread(target=audit, args=[state])
        auditor.start()
        done = {"done": search("tools")}
        auditor.join()
        return done

    _graph(act).invoke({"query": "?"})


@sound(roots=2)
def a_node_whose_audit_is_to_stand_alone() -> None:
    def act(state: dict) -> dict:
        with ctxtrace.detached(), concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(audit, state).result()
        return {"done": search("tools")}

    _graph(act).invoke({"query": "?"})


# A graph below a graph.


@loses("researcher")
def a_supervisor_that_sends_a_graph_to_a_pool() -> None:
    def look(state: dict) -> dict:
        return {"found": search(state["topic"])}

    researcher = _graph(look, name="researcher")

    def supervise(state: dict) -> dict:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            done = pool.map(researcher.invoke, [state])  # lost: researcher
        return next(done)

    assert _graph(supervise).invoke({"topic": "tides"}) == {"found": "found tides"}


@sound
def a_supervisor_that_calls_a_graph() -> None:
    def look(state: dict) -> dict:
        return {"found": search(state["topic"])}

    researcher = _graph(look, name="researcher")

    def supervise(state: dict) -> dict:
        return researcher.invoke(state)

    assert list(_graph(supervise).stream({"topic": "tides"}))


@sound
def nodes_that_langgraph_runs_side_by_side() -> None:
    def left(state: dict) -> None:
        search("left")

    def right(state: dict) -> None:
        search("right")

    builder = StateGraph(dict)
    for side in (left, right):
        builder.add_node(side.__name__, side)
        builder.add_edge(START, side.__name__)
    builder.compile().invoke({"query": "?"})


@sound(roots=2)
def two_turns_of_one_conversation() -> None:
    def reply(state: dict) -> dict:
        return {"said": search(state["heard"])}

    graph = _graph(reply, checkpointer=InMemorySaver())
    for heard in ("hello", "bye"):
        graph.invoke({"heard": heard}, {"configurable": {"thread_id": "7"}})


# A worker that all graphs share.


@traceable
def store(fact: str) -> str:
    return fact


@loses("store")
def a_memory_that_is_written_by_a_worker() -> None:
    facts: queue.Queue[str | None] = queue.Queue()

    def write() -> None:
        for fact in iter(facts.get, None):
            store(fact)

    writer = threading.Thread(target=write)
    writer.start()

    def remember(state: dict) -> dict:
        facts.put(state["fact"])  # lost: store
        return state

    _graph(remember).invoke({"fact": "likes tea"})
    facts.put(None)
    writer.join()


@sound
def a_memory_that_is_written_by_a_worker_under_its_sender() -> None:
    facts: ctxtrace.ContextQueue[str] = ctxtrace.ContextQueue(queue.Queue())
    writer = threading.Thread(target=facts.serve, args=[store])
    writer.start()

    @traceable
    def converse() -> None:
        def remember(state: dict) -> dict:
            facts.put(state["fact"])
            facts.join()
            return state

        _graph(remember).invoke({"fact": "likes tea"})

    converse()
    facts.stop()
    writer.join()


# The functional interface.


@loses("translate")
def a_workflow_that_blocks_in_a_pool() -> None:
    translate = RunnableLambda(str.upper, name="translate")

    @task
    def both_languages(text: str) -> str:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            return text + pool.submit(translate.invoke, text).result()  # lost: translate

    @entrypoint()
    def publish(text: str) -> str:
        return both_languages(text).result()

    assert publish.invoke("a") == "aA"


@sound
def a_workflow_of_tasks() -> None:
    translate = RunnableLambda(str.upper, name="translate")

    @task
    def both_languages(text: str) -> str:
        return text + translate.invoke(text)

    @entrypoint()
    def publish(text: str) -> str:
        pages = [both_languages(text), both_languages(text)]
        return "".join(page.result() for page in pages)

    assert publish.invoke("a") == "aAaA"


# Async nodes.


@loses("search_slowly", when=BEFORE_311)
def an_async_node_on_an_old_python() -> None:
    # After langgraph issue 1542: with async nodes, what they call is in other traces.
    async def retrieve(state: dict) -> dict:
        return {"hit": await search_slowly(state["query"])}

    app = _graph(retrieve)

    async def main() -> None:
        await app.ainvoke({"query": "?"})  # lost: search_slowly

    asyncio.run(main())


@traceable
async def look_up(word: str) -> str:
    return word


@loses("look_up", when=BEFORE_311)
def an_async_graph_that_is_streamed_on_an_old_python() -> None:
    # After langsmith-sdk issue 720: on Python 3.10 a tool of an async agent is a second trace.
    async def use_tools(state: dict) -> dict:
        return {"words": [await look_up(word) for word in state["words"]]}

    async def main() -> None:
        async for _ in _graph(use_tools).astream({"words": ["a"]}):  # lost: look_up
            pass

    asyncio.run(main())


@sound
def an_async_node_under_install() -> None:
    async def retrieve(state: dict) -> dict:
        return {"hits": await asyncio.gather(search_slowly("a"), asyncio.to_thread(search, "b"))}

    with ctxtrace.install():
        asyncio.run(_graph(retrieve).ainvoke({"query": "?"}))


@sound
def an_async_node_that_hands_on_its_config() -> None:
    async def spell(word: str) -> str:
        return word

    speller = RunnableLambda(spell)

    async def use_tools(state: dict, config: RunnableConfig) -> dict:
        return {"word": await speller.ainvoke(state["word"], config)}

    assert asyncio.run(_graph(use_tools).ainvoke({"word": "a"})) == {"word": "a"}


if sys.version_info >= (3, 11):

    @traceable
    def parse(page: str) -> str:
        return page.strip()

    @loses("parse")
    def an_async_node_that_parses_in_an_executor() -> None:
        async def read(state: dict) -> dict:
            loop = asyncio.get_running_loop()
            page = await loop.run_in_executor(None, parse, state["page"])  # lost: parse
            return {"page": page}

        assert asyncio.run(_graph(read).ainvoke({"page": " a "})) == {"page": "a"}

    @sound
    def an_async_node_that_parses_in_a_thread_and_starts_tasks() -> None:
        async def read(state: dict) -> dict:
            async with asyncio.TaskGroup() as group:
                hit = group.create_task(search_slowly("a"))
                page = await asyncio.to_thread(parse, state["page"])
            return {"page": page, "hit": hit.result()}

        asyncio.run(_graph(read).ainvoke({"page": " a "}))
