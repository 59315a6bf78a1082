"""Queues and streams, for each tracer: a worker that was there before the trace joins it.

The controls assert the exact loss, so that they fail on the day somebody else repairs it.
"""

from __future__ import annotations

import asyncio
import gc
import queue
import threading
from typing import TYPE_CHECKING, Any, TypedDict

import anyio
import pytest
from langgraph.graph import END, START, StateGraph
from langsmith import traceable
from vendors.crossings import LIMIT
from vendors.tracers import TRACERS, LangChain, LangSmith, OwnVariable

import ctxtrace
from ctxtrace.testing import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WHOLE = [("outer", [("inner", [])])]
SPLIT = [("inner", []), ("outer", [])]


@pytest.fixture(params=TRACERS, ids=lambda kind: kind.__name__)
def tracer(request: pytest.FixtureRequest) -> Iterator[Any]:
    tracer = request.param()
    with tracer.recording():
        yield tracer


# Each way starts a worker, then calls `request` with a function that puts an item; the worker
# calls `handle` with that item. `request` gives a function to call before the item is handled.


class OneRequest:
    """One item is put inside `outer`, which has returned and is collected before its handling."""

    names = ("",)

    def __init__(self, tracer: Any) -> None:
        self._tracer = tracer

    def put(self, put: Callable[[str], object]) -> None:
        for name in self.names:
            self._tracer.call(f"outer{name}", lambda name=name: put(name) and None)
        gc.collect()

    def handle(self, name: str) -> None:
        self._tracer.call(f"inner{name}", lambda: None)


class TwoRequests(OneRequest):
    """Two senders whose items are handled after both have returned."""

    names = (" a", " b")


# Between threads.


def in_a_thread(scenario: OneRequest, queue_: Any, work: Callable[[Any], None]) -> None:
    gate = threading.Event()

    def worker() -> None:
        assert gate.wait(LIMIT)
        for _ in scenario.names:
            work(queue_)

    thread = threading.Thread(target=worker)
    thread.start()
    scenario.put(queue_.put)
    gate.set()
    thread.join(LIMIT)


def thread_bare(scenario: OneRequest) -> None:
    in_a_thread(scenario, queue.Queue(), lambda q: scenario.handle(q.get()))


def thread_get(scenario: OneRequest) -> None:
    in_a_thread(scenario, ctxtrace.ContextQueue(queue.Queue()), lambda q: scenario.handle(q.get()))


def thread_serve(scenario: OneRequest) -> None:
    q: Any = ctxtrace.ContextQueue(queue.Queue())
    gate = threading.Event()
    began = threading.Event()

    def handle(name: str | None) -> None:
        # The first item holds the worker back, until `outer` is gone.
        if name is None:
            began.set()
            assert gate.wait(LIMIT)
        else:
            scenario.handle(name)

    thread = threading.Thread(target=q.serve, args=(handle,))
    thread.start()
    q.put(None)
    assert began.wait(LIMIT)
    scenario.put(q.put)
    q.stop()
    gate.set()
    thread.join(LIMIT)


def thread_receive(scenario: OneRequest) -> None:
    def work(q: Any) -> None:
        with q.receive() as name:
            scenario.handle(name)

    in_a_thread(scenario, ctxtrace.ContextQueue(queue.Queue()), work)


def thread_get_with_context(scenario: OneRequest) -> None:
    def work(q: Any) -> None:
        name, snapshot = q.get_with_context()
        snapshot.run(scenario.handle, name)

    in_a_thread(scenario, ctxtrace.ContextQueue(queue.Queue()), work)


# Between tasks of asyncio.


def in_a_task(scenario: OneRequest, make: Callable[[], Any], work: Callable[[Any], Any]) -> None:
    async def main() -> None:
        q = make()
        gate = asyncio.Event()

        async def worker() -> None:
            await gate.wait()
            for _ in scenario.names:
                await work(q)

        task = asyncio.ensure_future(worker())
        await asyncio.sleep(0)
        scenario.put(q.put_nowait)
        gate.set()
        await asyncio.wait_for(task, LIMIT)

    asyncio.run(main())


def carrying() -> Any:
    return ctxtrace.AsyncContextQueue(asyncio.Queue())


def task_bare(scenario: OneRequest) -> None:
    async def work(q: Any) -> None:
        scenario.handle(await q.get())

    in_a_task(scenario, asyncio.Queue, work)


def task_get(scenario: OneRequest) -> None:
    async def work(q: Any) -> None:
        scenario.handle(await q.get())

    in_a_task(scenario, carrying, work)


def task_serve(scenario: OneRequest) -> None:
    async def main() -> None:
        q = carrying()
        task = asyncio.ensure_future(q.serve(scenario.handle))
        await asyncio.sleep(0)  # it waits in the queue now
        scenario.put(q.put_nowait)
        q.stop()
        await asyncio.wait_for(task, LIMIT)

    asyncio.run(main())


def task_receive(scenario: OneRequest) -> None:
    async def work(q: Any) -> None:
        async with q.receive() as name:
            scenario.handle(name)

    in_a_task(scenario, carrying, work)


def task_get_with_context(scenario: OneRequest) -> None:
    async def work(q: Any) -> None:
        name, snapshot = await q.get_with_context()
        snapshot.run(scenario.handle, name)

    in_a_task(scenario, carrying, work)


# Through a stream of anyio.


def through_a_stream(scenario: OneRequest, backend: str, wrap: Any, work: Any) -> None:
    async def main() -> None:
        send, receive = wrap(*anyio.create_memory_object_stream(10))

        async def worker() -> None:
            with receive:
                await work(receive)

        async with anyio.create_task_group() as group:
            group.start_soon(worker)
            await anyio.sleep(0)
            with send:
                scenario.put(send.send_nowait)

    anyio.run(main, backend=backend)


def bare_stream(send: Any, receive: Any) -> Any:
    return send, receive


def stream_ways(backend: str) -> tuple[list[Any], list[Any]]:
    def named(function: Any) -> Any:
        function.__name__ = f"{function.__name__}_{backend}"
        return function

    def stream_bare(scenario: OneRequest) -> None:
        async def work(receive: Any) -> None:
            async for name in receive:
                scenario.handle(name)

        through_a_stream(scenario, backend, bare_stream, work)

    def stream_get(scenario: OneRequest) -> None:
        async def work(receive: Any) -> None:
            async for name in receive:
                scenario.handle(name)

        through_a_stream(scenario, backend, ctxtrace.context_stream, work)

    def stream_serve(scenario: OneRequest) -> None:
        async def work(receive: Any) -> None:
            await receive.serve(scenario.handle)

        through_a_stream(scenario, backend, ctxtrace.context_stream, work)

    def stream_receive(scenario: OneRequest) -> None:
        async def work(receive: Any) -> None:
            for _ in scenario.names:
                async with receive.receive() as name:
                    scenario.handle(name)

        through_a_stream(scenario, backend, ctxtrace.context_stream, work)

    def stream_get_with_context(scenario: OneRequest) -> None:
        async def work(receive: Any) -> None:
            for _ in scenario.names:
                name, snapshot = await receive.get_with_context()
                snapshot.run(scenario.handle, name)

        through_a_stream(scenario, backend, ctxtrace.context_stream, work)

    bare = [stream_bare, stream_get]
    ours = [stream_serve, stream_receive, stream_get_with_context]
    return [named(way) for way in bare], [named(way) for way in ours]


ON_ASYNCIO, ON_TRIO = stream_ways("asyncio"), stream_ways("trio")
BARE = [thread_bare, thread_get, task_bare, task_get, *ON_ASYNCIO[0], *ON_TRIO[0]]
OURS = [
    thread_serve,
    thread_receive,
    thread_get_with_context,
    task_serve,
    task_receive,
    task_get_with_context,
    *ON_ASYNCIO[1],
    *ON_TRIO[1],
]


@pytest.mark.parametrize("way", BARE, ids=lambda way: way.__name__)
def test_control_a_worker_that_takes_the_bare_item_splits_the_trace(tracer: Any, way: Any) -> None:
    way(OneRequest(tracer))
    assert tracer.shape() == SPLIT


@pytest.mark.parametrize("way", OURS, ids=lambda way: way.__name__)
def test_a_worker_joins_the_trace_of_the_sender_after_that_has_returned(
    tracer: Any, way: Any
) -> None:
    way(OneRequest(tracer))
    assert tracer.shape() == WHOLE


@pytest.mark.parametrize("way", OURS, ids=lambda way: way.__name__)
def test_a_worker_joins_the_trace_of_each_sender(tracer: Any, way: Any) -> None:
    way(TwoRequests(tracer))
    assert tracer.shape() == [(f"outer {name}", [(f"inner {name}", [])]) for name in "ab"]


# While the sender's run is still open.


@pytest.mark.parametrize(
    "tracer",
    [kind for kind in TRACERS if kind is not LangChain],
    indirect=True,
    ids=lambda kind: kind.__name__,
)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_item_that_is_handled_while_its_sender_waits_is_under_it(
    tracer: Any, backend: str
) -> None:
    async def main() -> None:
        send, receive = ctxtrace.context_stream(*anyio.create_memory_object_stream(0))
        done = anyio.Event()

        async def handle(_: object) -> None:
            await anyio.sleep(0)
            tracer.call("inner", lambda: None)
            done.set()

        with send, receive:
            async with anyio.create_task_group() as group:
                group.start_soon(receive.serve, handle)
                await anyio.sleep(0)
                with tracer.open("outer"):
                    await send.send(1)
                    await done.wait()
                receive.stop()

    anyio.run(main, backend=backend)
    assert tracer.shape() == WHOLE


# A worker that a request starts belongs to that request, unless it is told not to.


def a_worker_started_in_a_request(tracer: Any, start: Any) -> None:
    async def main() -> None:
        q: Any = asyncio.Queue()

        async def worker() -> None:
            await q.get()
            tracer.call("inner", lambda: None)

        tasks: list[Any] = []
        tracer.call("request A", lambda: tasks.append(start(worker)) or None)
        await asyncio.sleep(0)
        gc.collect()
        tracer.call("request B", lambda: q.put_nowait(1))
        await tasks[0]

    asyncio.run(main())


def test_control_a_worker_started_inside_a_request_shows_that_one_for_ever(tracer: Any) -> None:
    a_worker_started_in_a_request(tracer, lambda worker: ctxtrace.create_task(worker()))
    assert tracer.shape() == [("request A", [("inner", [])]), ("request B", [])]


# Those that a carrier of ctxtrace knows: detached() leaves a user's own variable alone.
WITH_A_CARRIER = pytest.mark.parametrize(
    "tracer",
    [kind for kind in TRACERS if kind is not OwnVariable],
    indirect=True,
    ids=lambda kind: kind.__name__,
)


@WITH_A_CARRIER
def test_a_worker_started_in_a_detached_block_shows_none(tracer: Any) -> None:
    def start(worker: Any) -> Any:
        with ctxtrace.detached():
            return ctxtrace.create_task(worker())

    a_worker_started_in_a_request(tracer, start)
    assert sorted(tracer.shape()) == [("inner", []), ("request A", []), ("request B", [])]


def test_a_worker_started_in_a_detached_block_that_serves_shows_the_sender(tracer: Any) -> None:
    async def main() -> None:
        q = carrying()
        tasks: list[Any] = []

        def start() -> None:
            with ctxtrace.detached():
                tasks.append(
                    ctxtrace.create_task(q.serve(lambda _: tracer.call("inner", lambda: None)))
                )

        tracer.call("request A", start)
        await asyncio.sleep(0)
        gc.collect()
        tracer.call("request B", lambda: q.put_nowait(1))
        q.stop()
        await tasks[0]

    asyncio.run(main())
    assert tracer.shape() == [("request A", []), ("request B", [("inner", [])])]


# A real node.


class State(TypedDict):
    value: int


def graph_that_puts(put: Callable[[int], object]) -> Any:
    def node(state: State) -> State:
        put(state["value"])
        return {"value": state["value"] + 1}

    graph = StateGraph(State)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    graph.add_edge("node", END)
    return graph.compile()


@traceable(name="inner")
def inner(_: int) -> None:
    pass


def run_a_graph(q: Any, work: Callable[[], None]) -> list[Any]:
    with record("langsmith") as recording:
        graph_that_puts(q.put).invoke({"value": 1}, {"run_name": "graph"})
        gc.collect()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(LIMIT)
        return recording.forest().shape


def test_control_what_a_node_put_into_a_bare_queue_is_handled_in_a_trace_of_its_own() -> None:
    q: Any = queue.Queue()
    assert len(run_a_graph(q, lambda: inner(q.get()))) == 2


def test_what_a_node_put_is_handled_under_that_node() -> None:
    q: Any = ctxtrace.ContextQueue(queue.Queue())

    def work() -> None:
        q.stop()
        q.serve(inner)

    assert run_a_graph(q, work) == [("graph", [("node", [("inner", [])])])]


def test_the_worker_keeps_no_run_when_it_waits_again() -> None:
    tracer = LangSmith()
    with tracer.recording():
        from vendors.test_pins import runs_alive

        before = runs_alive()
        q: Any = ctxtrace.ContextQueue(queue.Queue())
        thread = threading.Thread(target=q.serve, args=(inner,))
        thread.start()
        traceable(q.put, name="outer")(1)
        q.join()
        assert runs_alive() == before
        q.stop()
        thread.join(LIMIT)
