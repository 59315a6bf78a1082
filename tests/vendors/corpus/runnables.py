"""Programs of LangChain: runnables and tools that start other runnables and functions."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import threading
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tools import tool
from langsmith import get_current_run_tree, traceable
from langsmith.utils import ContextThreadPoolExecutor
from vendors.corpus import loses, sound

import ctxtrace

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig


async def _sees_no_config(_: Any) -> bool:
    return var_child_runnable_config.get() is None


# On 3.9, and with older releases on 3.10, an async runnable does not hand its config to those
# that it calls without one.
NOT_IMPLICIT = asyncio.run(RunnableLambda(_sees_no_config).ainvoke(None))

DOCUMENTS = ["tide tables", "ferry times", "opening hours"]


@traceable
def score(document: str) -> int:
    return len(document)


@loses("score")
def a_reranker_with_a_pool_of_its_own() -> None:
    # After langsmith-sdk issue 771: what executor.map calls is not below the caller.
    def rerank(documents: list[str]) -> list[str]:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            scores = list(pool.map(score, documents))  # lost: score
        return [document for _, document in sorted(zip(scores, documents))]

    assert RunnableLambda(rerank).invoke(DOCUMENTS)[0] == "ferry times"


@sound
def a_reranker_with_a_pool_that_carries() -> None:
    def rerank(documents: list[str]) -> list[str]:
        with ctxtrace.ThreadPoolExecutor(2) as pool:
            scores = list(pool.map(score, documents))
        return [document for _, document in sorted(zip(scores, documents))]

    assert RunnableLambda(rerank).invoke(DOCUMENTS)[0] == "ferry times"


@sound
def a_reranker_with_the_pool_of_langsmith() -> None:
    def rerank(documents: list[str]) -> int:
        with ContextThreadPoolExecutor(2) as pool:
            return max(pool.map(score, documents))

    RunnableLambda(rerank).invoke(DOCUMENTS)


@sound
def a_batch_and_a_parallel_of_langchain() -> None:
    both = RunnableParallel(short=RunnableLambda(score), long=RunnableLambda(score))

    def grade(documents: list[str]) -> Any:
        return both.batch(documents)

    assert len(RunnableLambda(grade).invoke(DOCUMENTS)) == 3


@sound(roots=3)
def a_nightly_job_with_one_trace_a_document() -> None:
    summarise = RunnableLambda(lambda document: document[:4])
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        titles = list(pool.map(summarise.invoke, DOCUMENTS))
    assert titles[0] == "tide"


# A call with a limit of time.


def _slow_model(prompt: str) -> str:
    return prompt.upper()


@loses("model")
def a_model_with_a_time_limit() -> None:
    # After smolagents' pull request 2221: what bounds a call in time makes a pool for it.
    model = RunnableLambda(_slow_model, name="model")

    def ask(prompt: str) -> str:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            return pool.submit(model.invoke, prompt).result(timeout=30)  # lost: model

    assert RunnableLambda(ask).invoke("hello") == "HELLO"


@sound
def a_model_with_a_time_limit_that_is_told_its_config() -> None:
    # The context is lost here as well. The run is not: the config names its parent.
    model = RunnableLambda(_slow_model, name="model")

    def ask(prompt: str, config: RunnableConfig) -> str:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            return pool.submit(model.invoke, prompt, config).result(timeout=30)

    assert RunnableLambda(ask).invoke("hello") == "HELLO"


# Tools.


@traceable
def download(url: str) -> str:
    return f"<html>{url}</html>"


def _read_page(thread_class: Any) -> None:
    @tool
    def read_page(url: str) -> str:
        """Read a page of the web."""
        pages: list[str] = []
        worker = thread_class(target=lambda: pages.append(download(url)))
        worker.start()  # lost: download
        worker.join()
        return pages[0]

    assert "example" in read_page.invoke({"url": "example.org"})


@loses("download")
def a_tool_that_downloads_in_a_thread() -> None:
    _read_page(threading.Thread)


@sound
def a_tool_that_downloads_in_a_thread_that_carries() -> None:
    _read_page(ctxtrace.Thread)


@sound
def a_tool_nobody_edited_under_install() -> None:
    with ctxtrace.install():
        _read_page(threading.Thread)


@sound
def a_tool_whose_pool_does_nothing_that_is_traced() -> None:
    @tool
    def count(words: str) -> int:
        """Count letters."""
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            return sum(pool.map(len, words.split()))

    assert count.invoke({"words": "a bc"}) == 3


# From a loop.


@loses("chain")
def a_blocking_chain_called_from_a_loop() -> None:
    # As langchain's pull request 15329 says, run_in_executor needs manual handling.
    chain = RunnableLambda(str.upper, name="chain")

    @traceable
    async def answer(question: str) -> str:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, chain.invoke, question)  # lost: chain

    assert asyncio.run(answer("why")) == "WHY"


@sound
def a_blocking_chain_called_from_a_loop_with_its_context() -> None:
    chain = RunnableLambda(str.upper, name="chain")

    @traceable
    async def answer(question: str) -> str:
        beside = asyncio.to_thread(chain.invoke, question)
        return await beside + await ctxtrace.run_in_executor(None, chain.invoke, question)

    assert asyncio.run(answer("why")) == "WHYWHY"


async def _embed(text: str) -> int:
    return len(text)


@loses("embed", when=NOT_IMPLICIT)
def an_async_runnable_that_calls_another() -> None:
    # As LangChain documents: before Python 3.11 whoever calls a runnable hands on the config.
    embed = RunnableLambda(_embed, name="embed")

    async def index(texts: str) -> list[int]:
        return [await embed.ainvoke(text) for text in texts.split()]

    async def main() -> None:
        await RunnableLambda(index).ainvoke("a bc")  # lost: embed

    asyncio.run(main())


@sound
def an_async_runnable_that_hands_on_its_config() -> None:
    embed = RunnableLambda(_embed, name="embed")

    async def index(texts: str, config: RunnableConfig) -> list[int]:
        return await embed.abatch(texts.split(), config)

    assert asyncio.run(RunnableLambda(index).ainvoke("a bc")) == [1, 2]


# Tokens that come from another thread.


@loses("speak")
def a_stream_fed_by_a_producer() -> None:
    # The recipe for streaming out of a call that blocks: it runs in a thread and fills a queue.
    speak = RunnableLambda(str.split, name="speak")

    @traceable
    def chat(question: str) -> list[str]:
        words: queue.Queue[Any] = queue.Queue()
        producer = threading.Thread(target=lambda: words.put(speak.invoke(question)))
        producer.start()  # lost: speak
        spoken = words.get(timeout=30)
        producer.join()
        return spoken

    assert chat("one two") == ["one", "two"]


@sound
def a_stream_fed_by_a_producer_with_the_parent_passed_by_hand() -> None:
    @traceable
    def speak(question: str) -> list[str]:
        return question.split()

    @traceable
    def chat(question: str) -> list[str]:
        words: queue.Queue[Any] = queue.Queue()
        here = {"parent": get_current_run_tree()}

        def produce() -> None:
            words.put(speak(question, langsmith_extra=here))

        producer = threading.Thread(target=produce)
        producer.start()
        spoken = words.get(timeout=30)
        producer.join()
        return spoken

    assert chat("one two") == ["one", "two"]
