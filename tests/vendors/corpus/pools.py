"""Programs around pools of threads: the standard library's, and multiprocessing's."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

import langsmith
from langsmith import traceable
from langsmith.utils import ContextThreadPoolExecutor
from opentelemetry.trace import get_tracer
from vendors.corpus import WEAK, loses, sound, tracing

import ctxtrace


# After langsmith-sdk issue 771: the items of a pool's map appear as traces of their own.
@loses("embed")
def documents_embedded_by_the_map_of_a_pool() -> None:
    @traceable
    def embed(text: str) -> list[int]:
        return [ord(letter) for letter in text]

    @traceable
    def index(texts: list[str]) -> int:
        with ThreadPoolExecutor(max_workers=2) as pool:
            vectors = list(pool.map(embed, texts))  # lost: embed
        return len(vectors)

    assert index(["one", "two", "three"]) == 3


# After smolagents pull request 1840: several tools at once, and none below its agent's step.
@loses("tool: weather")
def tools_called_in_parallel_by_an_agent() -> None:
    def weather(city: str) -> str:
        with get_tracer("agent").start_as_current_span("tool: weather"):
            return f"sunny in {city}"

    def step(cities: list[str]) -> list[str]:
        with get_tracer("agent").start_as_current_span("step"), ThreadPoolExecutor() as pool:
            futures = {}
            for city in cities:
                futures[pool.submit(weather, city)] = city  # lost: tool: weather
            return [future.result() for future in concurrent.futures.as_completed(futures)]

    assert len(step(["Rome", "Oslo"])) == 2


# After opentelemetry-python-contrib issue 1009: a blocking client is called from a coroutine.
@loses("s3.put_object")
def blocking_client_called_from_an_endpoint() -> None:
    def put_object(key: str) -> None:
        with get_tracer("boto").start_as_current_span("s3.put_object") as span:
            span.set_attribute("key", key)

    async def upload() -> None:
        loop = asyncio.get_running_loop()
        with get_tracer("api").start_as_current_span("POST /upload"):
            await loop.run_in_executor(None, put_object, "a.png")  # lost: s3.put_object

    asyncio.run(upload())


# After haystack issue 8864: a pipeline runs those of its components in an executor that are
# not coroutines.
@loses("component.run")
def pipeline_with_a_component_that_blocks() -> None:
    def component(value: int) -> int:
        with get_tracer("pipeline").start_as_current_span("component.run"):
            return value + 1

    class Pipeline:
        def __init__(self) -> None:
            self.executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="component")

        async def run(self, value: int) -> int:
            loop = asyncio.get_running_loop()
            with get_tracer("pipeline").start_as_current_span("pipeline.run"):
                call = functools.partial(component, value)
                return await loop.run_in_executor(self.executor, call)  # lost: component.run

    pipeline = Pipeline()
    with pipeline.executor:
        assert asyncio.run(pipeline.run(1)) == 2


@loses("rank")
def raw_pool_inside_of_one_that_carries() -> None:
    @traceable
    def rank(part: list[int]) -> int:
        return max(part)

    @traceable
    def shard(part: list[int]) -> int:
        with ThreadPoolExecutor(1) as inner:
            return inner.submit(rank, part).result()  # lost: rank

    @traceable
    def search() -> int:
        with ctxtrace.ThreadPoolExecutor(2) as outer:
            return max(outer.map(shard, [[1, 2], [3, 4]]))

    assert search() == 4


@loses("translate")
def thread_pool_of_multiprocessing_applied() -> None:
    @traceable
    def translate(word: str) -> str:
        return word.upper()

    with ThreadPool(1) as pool:
        with langsmith.trace("page"):
            result = pool.apply_async(translate, ("hello",))  # lost: translate
            assert result.get() == "HELLO"
        pool.close()
        pool.join()


@loses("resize")
def thread_pool_of_multiprocessing_mapped() -> None:
    def resize(width: int) -> int:
        with get_tracer("images").start_as_current_span("resize"):
            return width // 2

    pool = ThreadPool(2)
    with get_tracer("images").start_as_current_span("gallery"):
        assert pool.map(resize, [2, 4, 6]) == [1, 2, 3]  # lost: resize
    pool.close()
    pool.join()


@loses("grade")
def thread_pool_of_multiprocessing_mapped_lazily() -> None:
    @traceable
    def grade(answer: str) -> bool:
        return answer == "yes"

    @traceable
    def exam(answers: list[str]) -> int:
        right = 0
        pool = ThreadPool(2)
        for good in pool.imap_unordered(grade, answers):  # lost: grade
            right += good
        pool.close()
        pool.join()
        return right

    assert exam(["yes", "no", "yes"]) == 2


# After dd-trace-py pull request 9588: nobody waits for the future, and the parent is over
# before the work begins.
@loses("write_audit_log", when=WEAK)
def pool_of_langsmiths_that_nobody_waits_for() -> None:
    answered = threading.Event()

    @traceable
    def write_audit_log() -> None:
        pass

    def when_answered() -> None:
        answered.wait()
        write_audit_log()

    with ContextThreadPoolExecutor(1) as pool:

        @traceable
        def request() -> str:
            pool.submit(when_answered)  # lost: write_audit_log
            return "ok"

        assert request() == "ok"
        gc.collect()
        answered.set()


@loses("classify", how="missing")
def tracing_turned_on_for_one_request_lost_in_a_pool() -> None:
    @traceable
    def classify(text: str) -> str:
        return "spam" if "win" in text else "ham"

    @traceable
    def screen(texts: list[str]) -> list[str]:
        with ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(classify, text) for text in texts]  # lost: classify
            return [future.result() for future in futures]

    with tracing():
        assert screen(["win", "hello"]) == ["spam", "ham"]


@loses("parse_invoice", how="missing")
def tracing_turned_on_for_one_request_lost_in_an_executor() -> None:
    @traceable
    def parse_invoice() -> int:
        return 7

    @traceable
    async def upload() -> int:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, parse_invoice)  # lost: parse_invoice

    with tracing():
        assert asyncio.run(upload()) == 7


# Sound: the twins, repaired.


@sound
def documents_embedded_by_a_pool_that_carries() -> None:
    @traceable
    def embed(text: str) -> int:
        return len(text)

    @traceable
    def index(texts: list[str]) -> int:
        with ctxtrace.ThreadPoolExecutor(max_workers=2) as pool:
            return sum(pool.map(embed, texts))

    assert index(["one", "two", "three"]) == 11


@sound
def tools_called_by_a_wrapped_executor() -> None:
    def weather(city: str) -> str:
        with get_tracer("agent").start_as_current_span("tool"):
            return city

    with ThreadPoolExecutor(2) as plain:
        pool = ctxtrace.wrap_executor(plain)
        with get_tracer("agent").start_as_current_span("step"):
            futures = [pool.submit(weather, city) for city in ("Rome", "Oslo")]
            assert [future.result() for future in futures] == ["Rome", "Oslo"]


@sound
def client_called_through_our_run_in_executor() -> None:
    @traceable
    def query() -> int:
        return 1

    @traceable
    async def endpoint() -> int:
        return await ctxtrace.run_in_executor(None, query)

    assert asyncio.run(endpoint()) == 1


@sound
def standard_pool_under_install() -> None:
    @traceable
    def embed(text: str) -> int:
        return len(text)

    @traceable
    def index() -> list[int]:
        with ThreadPoolExecutor(2) as pool:
            return [pool.submit(embed, "first").result(), *pool.map(embed, ["a", "bc"])]

    with ctxtrace.install():
        assert index() == [5, 1, 2]


@sound
def pool_of_multiprocessing_under_install() -> None:
    def resize(width: int) -> int:
        with get_tracer("images").start_as_current_span("resize"):
            return width // 2

    with ctxtrace.install():
        pool = ThreadPool(2)
        with get_tracer("images").start_as_current_span("gallery"):
            assert pool.map(resize, [2, 4]) == [1, 2]
            assert pool.apply_async(resize, (8,)).get() == 4
        pool.close()
        pool.join()


@sound
def function_wrapped_where_it_is_submitted() -> None:
    @traceable
    def look_up(key: str) -> str:
        return key

    with ThreadPoolExecutor(1) as pool, langsmith.trace("request"):
        assert pool.submit(ctxtrace.wrap(look_up), "a").result() == "a"


@sound
def context_copied_by_hand_for_each_item() -> None:
    def fetch(url: str) -> str:
        with get_tracer("crawler").start_as_current_span("fetch"):
            return url

    with ThreadPoolExecutor(2) as pool, get_tracer("crawler").start_as_current_span("crawl"):
        for url in ("/", "/about"):
            assert pool.submit(contextvars.copy_context().run, fetch, url).result() == url


# Sound: what only looks like a loss.


@sound(roots=3)
def batch_job_that_traces_each_item() -> None:
    @traceable
    def convert(number: int) -> int:
        return number * 2

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(convert, [1, 2, 3])) == [2, 4, 6]


@sound
def pool_whose_work_starts_no_run() -> None:
    with get_tracer("report").start_as_current_span("report"), ThreadPoolExecutor(2) as pool:
        assert list(pool.map(len, ["a", "bc"])) == [1, 2]


@sound
def nested_pools_that_carry() -> None:
    @traceable
    def leaf(number: int) -> int:
        return number

    @traceable
    def shard(numbers: list[int]) -> int:
        with ctxtrace.ThreadPoolExecutor(2) as inner:
            return sum(inner.map(leaf, numbers))

    @traceable
    def total() -> int:
        with ctxtrace.ThreadPoolExecutor(2) as outer:
            return sum(outer.map(shard, [[1, 2], [3, 4]]))

    assert total() == 10


@sound(roots=2)
def initializer_that_warms_a_worker_up() -> None:
    @traceable
    def load_model() -> None:
        pass

    @traceable
    def predict() -> int:
        return 1

    # Workers belong to no request: what warms one up is a trace of its own.
    with ctxtrace.ThreadPoolExecutor(1, initializer=load_model) as pool, langsmith.trace("chat"):
        assert pool.submit(predict).result() == 1


@sound(roots=2)
def work_submitted_to_stand_alone() -> None:
    def refresh() -> None:
        with get_tracer("cache").start_as_current_span("refresh cache"):
            pass

    with ThreadPoolExecutor(1) as pool, get_tracer("api").start_as_current_span("GET /"):
        with ctxtrace.detached():
            done = pool.submit(refresh)
        done.result()


@sound
def work_that_is_cancelled_before_it_starts() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def busy() -> None:
        begun.set()
        go_on.wait()

    @traceable
    def never() -> None:
        raise AssertionError("it was cancelled")

    with ThreadPoolExecutor(1) as pool, langsmith.trace("request"):
        first = pool.submit(busy)
        begun.wait()
        assert pool.submit(never).cancel()
        go_on.set()
        first.result()


@sound
def to_thread_carries_by_itself() -> None:
    @traceable
    def parse() -> int:
        return 7

    @traceable
    async def endpoint() -> list[int]:
        return await asyncio.gather(asyncio.to_thread(parse), asyncio.to_thread(parse))

    assert asyncio.run(endpoint()) == [7, 7]
