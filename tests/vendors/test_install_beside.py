"""install() beside OpenTelemetry's threads, and LangSmith's and LangChain's pools."""

from __future__ import annotations

import concurrent.futures
import contextlib
import gc
import threading

import langsmith.utils
import pytest
from core.support import LIMIT, WeakTracer, has_parent, serving, user
from langchain_core.runnables.config import ContextThreadPoolExecutor as LangChainsPool
from opentelemetry import trace
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from vendors.crossings import Gate
from vendors.tracers import LangChain, LangSmith, OpenTelemetry, OwnVariable

import ctxtrace

CHANGED = [
    (threading.Thread, "start"),
    (threading.Thread, "run"),
    (threading.Timer, "start"),
    (threading.Timer, "run"),
    (concurrent.futures.ThreadPoolExecutor, "submit"),
]
WHOLE = [("outer", [("inner", [])])]
SPLIT = [("inner", []), ("outer", [])]


# OpenTelemetry's ThreadingInstrumentor.


@pytest.fixture
def instrumentor():
    """One that is not instrumented, and whatever it leaves behind is taken away."""
    before = standing_there()
    instrumentor = ThreadingInstrumentor()
    yield instrumentor
    ctxtrace.uninstall()
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()
    for (owner, name), value in zip(CHANGED, before):
        if value is not None:
            setattr(owner, name, value)
        elif name in vars(owner):
            delattr(owner, name)  # unwrapping leaves what was inherited in the class itself


@pytest.fixture
def otel():
    tracer = OpenTelemetry()
    with tracer.recording():
        yield tracer


def instrument(instrumentor):
    instrumentor.instrument(skip_dep_check=True)


def both_in_order(order, instrumentor, **arguments):
    if order == "before":
        instrument(instrumentor)
    installation = ctxtrace.install(**arguments)
    if order == "after":
        instrument(instrumentor)
    return installation


orders = pytest.mark.parametrize("order", ["before", "after"])


def submit(work):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(work).result(LIMIT)


def map_(work):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        list(pool.map(lambda _: work(), range(1)))


def start(thread):
    thread.start()
    thread.join(LIMIT)


def thread(work):
    start(threading.Thread(target=work))


def subclass(work):
    class Worker(threading.Thread):
        def run(self):
            work()

    start(Worker())


def timer(work):
    start(threading.Timer(0, work))


WAYS = [submit, map_, thread, subclass, timer]
every_way = pytest.mark.parametrize("way", WAYS)


def seen_across(way, otel):
    """Whom the other side sees, and the tree of its span and ours."""
    seen = []

    def inner():
        with otel.open("inner"):
            seen.append(user())

    with serving("ada"), otel.open("outer"):
        way(inner)
    return seen[0], otel.shape()


@every_way
def test_control_the_instrumentor_alone_carries_the_span_and_no_variable(way, instrumentor, otel):
    instrument(instrumentor)
    # It puts its wrapper around Thread.run(), and a subclass that overrides it has none.
    shape = SPLIT if way is subclass else WHOLE
    assert seen_across(way, otel) == ("nobody", shape)


@orders
@every_way
def test_the_span_and_the_variable_are_carried_beside_the_instrumentor(
    way, order, instrumentor, otel, caplog
):
    with both_in_order(order, instrumentor):
        assert seen_across(way, otel) == ("ada", WHOLE)
        assert caplog.records == []


@orders
@every_way
def test_with_trace_the_span_alone_is_carried_beside_the_instrumentor(
    way, order, instrumentor, otel, caplog
):
    with both_in_order(order, instrumentor, variables="trace"):
        assert seen_across(way, otel) == ("nobody", WHOLE)
        assert caplog.records == []


@orders
def test_a_span_that_ended_before_its_child_began_is_the_parent(order, instrumentor, otel, caplog):
    gate = Gate(lambda: otel.call("inner", lambda: None))
    with both_in_order(order, instrumentor), concurrent.futures.ThreadPoolExecutor(1) as pool:
        with otel.open("outer"):
            waiting = pool.submit(gate)
        gate.open()
        waiting.result(LIMIT)
        assert otel.shape() == WHOLE
        assert caplog.records == []


@orders
def test_a_worker_shows_no_span_of_the_request_that_started_it(order, instrumentor, otel):
    bare = concurrent.futures.ThreadPoolExecutor.submit
    with both_in_order(order, instrumentor), concurrent.futures.ThreadPoolExecutor(1) as pool:
        with serving("ada"), otel.open("outer"):
            pool.submit(user).result(LIMIT)
        assert bare(pool, user).result(LIMIT) == "nobody"
        span = bare(pool, trace.get_current_span).result(LIMIT)
        assert span is trace.INVALID_SPAN


@orders
def test_pins_are_held_beside_the_instrumentor(order, instrumentor, otel):
    carrier = WeakTracer()
    undo = ctxtrace.register_carrier(carrier)
    gate = threading.Event()

    def work():
        assert gate.wait(LIMIT)
        return has_parent()

    try:
        with both_in_order(order, instrumentor):
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                with carrier.run() as run:
                    kept = pool.submit(work)
                gate.set()
                assert kept.result(LIMIT) is True
            gc.collect()
            assert run() is None
    finally:
        undo()


def standing_there():
    return [vars(owner).get(name) for owner, name in CHANGED]


def are_identical(these, those):
    return all(this is that for this, that in zip(these, those))


def test_uninstall_leaves_an_instrumentor_that_was_there_before_as_it_was(
    instrumentor, otel, caplog
):
    instrument(instrumentor)
    before = standing_there()
    with ctxtrace.install():
        assert not are_identical(standing_there(), before)
    assert are_identical(standing_there(), before)
    assert seen_across(submit, otel) == ("nobody", WHOLE)
    instrumentor.uninstrument()
    assert seen_by_all_ways() == ["nobody"] * len(WAYS)
    assert caplog.records == []


def test_uninstrumenting_leaves_what_was_installed_before_as_it_was(instrumentor, otel, caplog):
    with ctxtrace.install():
        before = standing_there()
        instrument(instrumentor)
        assert not are_identical(standing_there(), before)
        instrumentor.uninstrument()
        assert are_identical(standing_there(), before)
        assert seen_across(submit, otel) == ("ada", WHOLE)
    assert seen_by_all_ways() == ["nobody"] * len(WAYS)
    assert caplog.records == []


def test_what_is_beneath_the_instrumentor_passes_through_and_the_rest_is_its_own(
    instrumentor, otel, caplog
):
    """Uninstalled first, uninstrumented after: what is left of ours does nothing."""
    installation = both_in_order("after", instrumentor)
    installation.uninstall()
    assert "was changed again after install()" in caplog.text
    assert seen_across(submit, otel) == ("nobody", WHOLE)
    instrumentor.uninstrument()
    for way in WAYS:
        with serving("ada"), otel.open("outer"):
            seen = []
            way(lambda seen=seen: seen.append((user(), trace.get_current_span())))
        assert seen == [("nobody", trace.INVALID_SPAN)]
    for _ in range(2):
        with ctxtrace.install():
            assert seen_by_all_ways() == ["ada"] * len(WAYS)
        assert seen_by_all_ways() == ["nobody"] * len(WAYS)


def seen_by_all_ways():
    seen = []
    for way in WAYS:
        with serving("ada"):
            way(lambda: seen.append(user()))
    return seen


def test_limit_an_instrumentor_beneath_ours_does_not_find_itself(instrumentor, otel):
    """It looks for its own wrapper on top, finds ours, and leaves all as it is."""
    installation = both_in_order("before", instrumentor)
    instrumentor.uninstrument()
    installation.uninstall()
    assert seen_across(submit, otel) == ("nobody", WHOLE)


# LangSmith's and LangChain's pools, which copy the context themselves and pin nothing.

POOLS = [langsmith.utils.ContextThreadPoolExecutor, LangChainsPool]
every_pool = pytest.mark.parametrize("make", POOLS, ids=["langsmith", "langchain"])


def submit_to(pool, work):
    return pool.submit(work).result


def map_in(pool, work):
    results = pool.map(lambda _: work(), [0])
    return lambda limit: list(results)


both_methods = pytest.mark.parametrize("cross", [submit_to, map_in])
every_tracer = pytest.mark.parametrize(
    "kind", [LangSmith, LangChain, OpenTelemetry, OwnVariable], ids=lambda kind: kind.__name__
)


@pytest.fixture
def tracer(kind):
    tracer = kind()
    with tracer.recording():
        yield tracer


def outlived(tracer, make, cross):
    gate = Gate(lambda: tracer.call("inner", lambda: None))
    with make(1) as pool:
        wait = tracer.call("outer", lambda: cross(pool, gate))
        gate.open()
        wait(LIMIT)
    return tracer.shape()


@every_tracer
@every_pool
@both_methods
def test_control_their_pools_lose_a_parent_that_is_held_weakly(kind, make, cross, tracer):
    assert outlived(tracer, make, cross) == (WHOLE if tracer.keeps_ended_parents else SPLIT)


@every_tracer
@every_pool
@both_methods
@pytest.mark.parametrize("variables", ["all", "trace"])
def test_a_call_in_their_pools_keeps_the_parent_that_returned(kind, make, cross, variables, tracer):
    with ctxtrace.install(variables=variables):
        assert outlived(tracer, make, cross) == WHOLE


@every_pool
def test_their_pools_carry_the_variable_as_they_did(make):
    for install in (contextlib.nullcontext, ctxtrace.install):
        with install(), make(1) as pool, serving("ada"):
            assert pool.submit(user).result(LIMIT) == "ada"
            assert list(pool.map(lambda _: user(), [0, 1])) == ["ada", "ada"]


class Counting(WeakTracer):
    pinned = 0

    def pin(self):
        self.pinned += 1
        return super().pin()


@every_pool
def test_what_their_pools_submit_is_carried_once(make, monkeypatch):
    """In the context that they have made for it, and in no other around it."""
    submitted = []
    bare = concurrent.futures.ThreadPoolExecutor.submit

    def watched(self, fn, /, *args, **kwargs):
        submitted.append(fn)
        return bare(self, fn, *args, **kwargs)

    monkeypatch.setattr(concurrent.futures.ThreadPoolExecutor, "submit", watched)
    carrier = Counting()
    undo = ctxtrace.register_carrier(carrier)
    try:
        with ctxtrace.install(), carrier.run(), serving("ada"), make(1) as pool:
            assert pool.submit(user).result(LIMIT) == "ada"
    finally:
        undo()
    assert carrier.pinned == 1
    (crossing,) = submitted
    contexts = []
    while hasattr(crossing, "func"):
        crossing = crossing.func
        contexts.append(getattr(crossing, "__self__", None))
    assert len([context for context in contexts if context is not None]) == 1
