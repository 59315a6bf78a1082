"""What the pages for those who come from elsewhere say of it, and of ctxtrace in its place.

LangSmith's and LangChain's executors, OpenTelemetry's ThreadingInstrumentor, configs and parents
that are passed by hand. That they work beside install() is in test_install_beside.py.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import gc
import os
import socketserver
import subprocess
import sys
import threading
from contextvars import ContextVar
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import anyio
import langsmith.utils
import pytest
from core.support import LIMIT, serving, user
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.runnables.config import ContextThreadPoolExecutor as LangChainsPool
from langsmith import get_current_run_tree, traceable, tracing_context
from opentelemetry import trace
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from vendors.install_graphs import QUESTION, InMemorySaver, graph_of, model
from vendors.tracers import LANGSMITH_IS_WEAK

import ctxtrace
from ctxtrace.testing import record

CHILD: Any = ("child", [])
WHOLE = [("parent", [CHILD])]
SPLIT = [CHILD, ("parent", [])]


# LangSmith's and LangChain's executors.

THEIRS = [langsmith.utils.ContextThreadPoolExecutor, LangChainsPool]
OURS = ctxtrace.ThreadPoolExecutor
theirs = pytest.mark.parametrize("theirs", THEIRS, ids=["langsmith", "langchain"])
every_pool = pytest.mark.parametrize(
    "kind", [*THEIRS, OURS], ids=["langsmith", "langchain", "ctxtrace"]
)


def keywords(**given):
    return given


def map_over_a_generator(pool):
    return list(pool.map(str, (number for number in range(3)))) == ["0", "1", "2"]


def map_with_a_buffersize(pool):
    return list(pool.map(str, [0, 1], buffersize=1)) == ["0", "1"]


def submit_with_an_argument_named_func(pool):
    return pool.submit(keywords, func=1).result() == {"func": 1}


def submit_with_an_argument_named_self(pool):
    return pool.submit(keywords, self=1).result() == {"self": 1}


def submit_a_function_by_name(pool):
    return pool.submit(func=dict).result() == {}


REFUSED = [
    map_over_a_generator,
    map_with_a_buffersize,
    submit_with_an_argument_named_func,
    submit_with_an_argument_named_self,
]


@theirs
@pytest.mark.parametrize("way", REFUSED)
@pytest.mark.parametrize("install", [contextlib.nullcontext, ctxtrace.install])
def test_control_their_pools_refuse_it_also_under_install(way, theirs, install):
    with install(), theirs(1) as pool, pytest.raises(TypeError):
        way(pool)


@pytest.mark.parametrize("way", REFUSED)
def test_what_their_pools_refuse_works(way):
    with OURS(1) as pool:
        assert way(pool)


@theirs
def test_a_function_is_given_by_name_to_their_pools_alone(theirs):
    with theirs(1) as pool:
        assert submit_a_function_by_name(pool)
    with OURS(1) as pool, pytest.raises(TypeError):
        submit_a_function_by_name(pool)


async def hello():
    return "hello"


async def started_in(kind):
    """Start a loop in a call of a pool, from within one."""
    with kind(1) as pool:
        return pool.submit(anyio.run, hello).result()


loops = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@theirs
@loops
def test_control_their_pools_carry_what_keeps_a_loop_from_starting(theirs, backend):
    with pytest.raises(RuntimeError, match="Already running"):
        anyio.run(started_in, theirs, backend=backend)


@loops
def test_a_loop_starts_in_a_call_that_a_loop_submitted(backend):
    assert anyio.run(started_in, OURS, backend=backend) == "hello"


def seen_by_a_callback(pool):
    """Which user a callback sees that is added before the future is done."""
    seen = []
    called = threading.Event()
    go = threading.Event()
    future = pool.submit(go.wait, LIMIT)
    with serving("ada"):
        future.add_done_callback(lambda _: (seen.append(user()), called.set()))
    go.set()
    assert called.wait(LIMIT)
    return seen[0]


@theirs
def test_control_callbacks_of_their_futures_have_no_context(theirs):
    with theirs(1) as pool:
        assert seen_by_a_callback(pool) == "nobody"


def test_a_callback_has_the_context_of_who_added_it():
    with OURS(1) as pool:
        assert seen_by_a_callback(pool) == "ada"


CONNECTION: ContextVar[str] = ContextVar("connection", default="none")


@every_pool
def test_no_pool_shows_its_calls_what_an_initializer_sets(kind):
    with kind(1, initializer=CONNECTION.set, initargs=("a connection",)) as pool:
        assert pool.submit(CONNECTION.get).result() == "none"
        assert list(pool.map(lambda _: CONNECTION.get(), [0])) == ["none"]


@every_pool
def test_every_pool_gives_each_item_a_context_of_its_own(kind):
    def swap(connection):
        before = CONNECTION.get()
        CONNECTION.set(connection)
        return before

    with kind(1) as pool:
        assert list(pool.map(swap, ["a", "b", "c"])) == ["none"] * 3
    assert CONNECTION.get() == "none"


@traceable
def child() -> None:
    pass


def late_child(pool):
    """Have a call begin when its parent has returned and died."""
    parent_ended = threading.Event()

    def work():
        assert parent_ended.wait(LIMIT)
        child()

    @traceable
    def parent():
        return pool.submit(work)

    waiting = parent()
    gc.collect()
    parent_ended.set()
    waiting.result()


@theirs
def test_a_pool_of_theirs_that_is_wrapped_keeps_a_parent_that_returned(theirs):
    with theirs(1) as pool, record("langsmith") as recording:
        late_child(ctxtrace.wrap_executor(pool))
    assert recording.forest().shape == WHOLE


@theirs
def test_control_their_pools_lose_such_a_parent_and_the_report_names_the_submit(theirs):
    with theirs(1) as pool, record("langsmith") as recording, ctxtrace.diagnose() as report:
        late_child(pool)
    assert recording.forest().shape == (SPLIT if LANGSMITH_IS_WEAK else WHOLE)
    assert ("ThreadPoolExecutor.submit inside lang" in report.explain()) is LANGSMITH_IS_WEAK
    assert ("write: ctxtrace.install()" in report.explain()) is LANGSMITH_IS_WEAK


# OpenTelemetry's ThreadingInstrumentor.

TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("tests")


@pytest.fixture
def instrumented():
    instrumentor = ThreadingInstrumentor()
    instrumentor.instrument(skip_dep_check=True)
    yield
    instrumentor.uninstrument()
    del threading.Timer.start  # type: ignore[misc]  # which was inherited


def span(*_):
    return getattr(trace.get_current_span(), "name", None)


def in_spans(work):
    """What `work` says in the first request and in the second."""
    said = []
    for name in ("first", "second"):
        with TRACER.start_as_current_span(name):
            said.append(work())
    return said


def of_a_pool_of_multiprocessing():
    with TRACER.start_as_current_span("start"):
        pool = ThreadPool(1)
    said = in_spans(lambda: pool.apply(span))
    pool.close()
    pool.join()
    return said


def of_an_initializer(kind=concurrent.futures.ThreadPoolExecutor):
    said = []
    with kind(1, initializer=lambda: said.append(span())) as pool:
        assert in_spans(lambda: pool.submit(span).result()) == ["first", "second"]
    return said


def of_a_callback(kind=concurrent.futures.ThreadPoolExecutor):
    def added():
        said = []
        called = threading.Event()
        go = threading.Event()
        future = pool.submit(go.wait, LIMIT)
        future.add_done_callback(lambda _: (said.append(span()), called.set()))
        go.set()
        assert called.wait(LIMIT)
        return said[0]

    with kind(1) as pool:
        return in_spans(added)


def of_a_wrapped_callback():
    class Pool(concurrent.futures.ThreadPoolExecutor):
        def submit(self, *args):
            future = super().submit(*args)
            add = future.add_done_callback
            future.add_done_callback = lambda callback: add(ctxtrace.wrap(callback))
            return future

    return of_a_callback(Pool)


class Server(socketserver.ThreadingMixIn, socketserver.BaseServer):
    """One that answers without a socket."""

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.answered = threading.Event()

    def finish_request(self, request: Any, client_address: Any) -> None:
        self.said.append(span())
        self.answered.set()

    def shutdown_request(self, request: Any) -> None:
        pass


def of_a_server():
    def served():
        server = Server()
        server.process_request(None, None)
        assert server.answered.wait(LIMIT)
        server.server_close()
        return server.said[0]

    return in_spans(served)


STALE = [
    (of_a_pool_of_multiprocessing, ["start", "start"], ["first", "second"]),
    (of_an_initializer, ["first"], [None]),
    (of_a_callback, ["first", "first"], [None, None]),
    (of_a_server, ["first", "second"], [None, None]),
]


@pytest.mark.parametrize(("work", "before", "after"), STALE)
def test_control_what_the_instrumentor_shows_in_threads_of_the_standard_library(
    work, before, after, instrumented
):
    assert work() == before


@pytest.mark.parametrize(("work", "before", "after"), STALE)
def test_what_install_shows_in_threads_of_the_standard_library(work, before, after):
    with ctxtrace.install():
        assert work() == after


def test_a_worker_shows_no_stale_span_where_both_are_on(instrumented):
    with ctxtrace.install():
        assert of_an_initializer() == [None]
        assert of_a_callback() == [None, None]


def test_the_drop_ins_show_their_own_span_under_the_instrumentor(instrumented):
    assert of_an_initializer(OURS) == [None]
    assert of_a_callback(OURS) == ["first", "second"]


def test_a_wrapped_callback_shows_the_span_of_who_added_it():
    with ctxtrace.install():
        assert of_a_wrapped_callback() == ["first", "second"]


def in_a_thread(work, kind=threading.Thread):
    said = []
    thread = kind(target=lambda: said.append(work()))
    thread.start()
    thread.join(LIMIT)
    return said[0]


def test_a_thread_of_the_programs_own_shows_the_span_that_started_it_unless_it_is_detached():
    with ctxtrace.install(), TRACER.start_as_current_span("first"):
        assert in_a_thread(span) == "first"
        with ctxtrace.detached():
            assert in_a_thread(span) is None


def pooled_child():
    @traceable
    def parent():
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: (child(), span(), user())).result()

    with record("langsmith") as recording, TRACER.start_as_current_span("first"), serving("ada"):
        _, *said = parent()
    return said, recording.forest().shape


def test_control_the_instrumentor_carries_no_run_of_langsmith(instrumented):
    assert pooled_child() == (["first", "nobody"], SPLIT)


variables_seen = pytest.mark.parametrize(
    ("variables", "seen"), [("all", "ada"), ("trace", "nobody")]
)


@variables_seen
def test_the_run_is_carried_beside_the_instrumentor(variables, seen, instrumented):
    with ctxtrace.install(variables=variables):
        assert pooled_child() == (["first", seen], WHOLE)


@variables_seen
def test_the_run_and_the_span_are_carried_in_the_place_of_the_instrumentor(variables, seen):
    with ctxtrace.install(variables=variables):
        assert pooled_child() == (["first", seen], WHOLE)


WHO_HAS_CHANGED_THREADS = """
import threading
print(type(threading.Thread.start).__name__, threading.Thread.start.__module__)
"""


def test_opentelemetry_instrument_leaves_its_own_out_where_the_environment_says_so(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(WHO_HAS_CHANGED_THREADS)
    command = Path(sys.executable).parent / "opentelemetry-instrument"
    environment = {
        **os.environ,
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    environment.pop("CTXTRACE_INSTALL", None)
    running = [
        subprocess.Popen(
            [command, sys.executable, program],
            env={**environment, **more},
            stdout=subprocess.PIPE,
            text=True,
        )
        for more in ({}, {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "threading"})
    ]
    theirs, nobodys = (process.communicate(timeout=LIMIT)[0] for process in running)
    assert theirs.startswith("BoundFunctionWrapper")
    assert nobodys == "function threading\n"


# Configs and parents that are passed by hand.


class Handler(BaseCallbackHandler):
    def __init__(self) -> None:
        self.started: list[str] = []

    def on_chain_start(self, *_: Any, **kwargs: Any) -> None:
        self.started.append(kwargs["name"])


def in_a_pool(work):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


KEYS = ("recursion_limit", "max_concurrency", "tags", "configurable", "run_name")


def shown_to_a_child(*own):
    """What of the parent's config a child in a pool is shown, and the trees."""
    shown: dict[str, Any] = {}

    def child(_: Any, config: RunnableConfig) -> None:
        shown.update({key: config.get(key) for key in KEYS})

    child_runnable = RunnableLambda(child)

    def parent(_: Any) -> None:
        in_a_pool(lambda: child_runnable.invoke(None, *own))

    outer: Any = {
        "recursion_limit": 9,
        "max_concurrency": 3,
        "tags": ["outer"],
        "configurable": {"thread_id": "7"},
        "callbacks": [Handler()],
        "run_name": "parent",
    }
    with record("langsmith") as recording:
        RunnableLambda(parent).invoke(None, outer)
    return shown, outer["callbacks"][0].started, recording.forest().shape


DEFAULTS = {
    "recursion_limit": 25,
    "max_concurrency": None,
    "tags": [],
    "configurable": {},
    "run_name": None,
}
CARRIED = {
    "recursion_limit": 9,
    "max_concurrency": 3,
    "tags": ["outer"],
    "configurable": {"thread_id": "7"},
    "run_name": None,
}


def test_control_a_runnable_in_a_pool_has_nothing_of_the_config_around_it():
    assert shown_to_a_child() == (DEFAULTS, ["parent"], SPLIT)


@pytest.mark.parametrize("variables", ["all", "trace"])
def test_a_runnable_in_a_pool_has_the_config_around_it_but_its_name(variables):
    with ctxtrace.install(variables=variables):
        assert shown_to_a_child() == (CARRIED, ["parent", "child"], WHOLE)


def test_a_key_that_is_given_replaces_the_one_that_came_along():
    with ctxtrace.install():
        shown, _, shape = shown_to_a_child({"configurable": {"k": "v"}, "recursion_limit": 3})
    assert shown == {**CARRIED, "configurable": {"k": "v"}, "recursion_limit": 3}
    assert shape == WHOLE


@pytest.mark.parametrize("number", [0, 1])
def test_callbacks_that_are_given_replace_the_outer_handlers_and_the_runs_nest(number):
    given = [Handler()] * number
    with ctxtrace.install():
        _, told, shape = shown_to_a_child({"callbacks": given})
    assert told == ["parent"]
    assert [handler.started for handler in given] == [["child"]] * number
    assert shape == WHOLE


@pytest.mark.parametrize("install", [contextlib.nullcontext, ctxtrace.install])
def test_a_config_that_was_kept_wins(install):
    kept = []

    def earlier(_: Any, config: RunnableConfig) -> None:
        kept.append(config)

    child_runnable = RunnableLambda(lambda _: None, name="child")

    def parent(_: Any) -> None:
        child_runnable.invoke(None, kept[0])

    with install(), record("langsmith") as recording:
        RunnableLambda(earlier).invoke(None)
        RunnableLambda(parent).invoke(None)
    assert recording.forest().shape == [("earlier", [CHILD]), ("parent", [])]


# What behaves otherwise when the config comes along.


def inner_graph_in_a_pool(config_of):
    def inner(_: Any) -> Any:
        return {"text": "inner"}

    def outer(state: Any, config: RunnableConfig) -> Any:
        graph = graph_of(inner, saver=InMemorySaver())
        return in_a_pool(lambda: graph.invoke(state, config_of(config)))

    graph = graph_of(outer, saver=InMemorySaver())
    return graph.invoke(QUESTION, {"configurable": {"thread_id": "7"}})


configs = pytest.mark.parametrize(
    "config_of",
    [lambda config: None, lambda config: {"callbacks": config["callbacks"]}],
    ids=["nothing", "callbacks"],
)


@configs
def test_control_an_inner_graph_in_a_pool_has_no_thread_id(config_of):
    with record("langsmith"), pytest.raises(ValueError, match="thread_id"):
        inner_graph_in_a_pool(config_of)


@configs
def test_an_inner_graph_in_a_pool_has_the_outer_thread_id(config_of):
    with record("langsmith"), ctxtrace.install():
        assert inner_graph_in_a_pool(config_of) == {"text": "inner"}


def tokens_of_a_model_in_a_pool():
    def asks(_: Any) -> Any:
        return {"text": in_a_pool(lambda: model().invoke("?").content)}

    with record("langsmith"):
        stream = graph_of(asks).stream(QUESTION, stream_mode="messages")
        return [message.content for message, _ in stream]


def test_control_the_tokens_of_a_model_in_a_pool_are_not_in_the_stream():
    assert tokens_of_a_model_in_a_pool() == []


def test_the_tokens_of_a_model_in_a_pool_are_in_the_stream():
    with ctxtrace.install():
        assert tokens_of_a_model_in_a_pool() == ["yes", " ", "no"]


# LangSmith's own.


@traceable
def enters_a_run_tree() -> None:
    run = get_current_run_tree()

    def work() -> None:
        with tracing_context(parent=run):
            child()

    in_a_pool(work)


@traceable
def asks_for_no_parent() -> None:
    in_a_pool(lambda: child(langsmith_extra={"parent": "ignore"}))


@pytest.mark.parametrize("install", [contextlib.nullcontext, ctxtrace.install])
def test_a_run_tree_that_is_entered_is_the_parent_with_install_and_without(install):
    with install(), record("langsmith") as recording:
        enters_a_run_tree()
    assert recording.forest().shape == [("enters_a_run_tree", [CHILD])]


@pytest.mark.parametrize("install", [contextlib.nullcontext, ctxtrace.install])
def test_who_asks_for_no_parent_has_none_with_install_and_without(install):
    with install(), record("langsmith") as recording:
        asks_for_no_parent()
    assert recording.forest().shape == [("asks_for_no_parent", []), CHILD]
