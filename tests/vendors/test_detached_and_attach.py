"""What `detached()` clears and leaves, and what `attach()` lays over, vendor by vendor."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.runnables.config import var_child_runnable_config
from langsmith import traceable, tracing_context
from langsmith.run_helpers import get_current_run_tree, get_tracing_context
from langsmith.run_trees import get_cached_client
from langsmith.utils import tracing_is_enabled
from opentelemetry import baggage, trace
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import TracerProvider
from vendors.tracers import TRACERS

import ctxtrace
from ctxtrace.testing import record

if TYPE_CHECKING:
    from collections.abc import Iterator

own = contextvars.ContextVar("own", default="unset")


@pytest.fixture(params=TRACERS, ids=lambda kind: kind.__name__)
def tracer(request: pytest.FixtureRequest) -> Iterator[Any]:
    tracer = request.param()
    with tracer.recording():
        yield tracer


VENDORS = pytest.mark.parametrize(
    "tracer",
    [kind for kind in TRACERS if kind.__name__ != "OwnVariable"],
    indirect=True,
    ids=lambda kind: kind.__name__,
)


@VENDORS
def test_what_starts_detached_is_a_trace_of_its_own(tracer: Any) -> None:
    def body() -> None:
        with ctxtrace.detached():
            tracer.call("worker", lambda: None)
        tracer.call("inner", lambda: None)

    tracer.call("outer", body)
    assert tracer.shape() == [("outer", [("inner", [])]), ("worker", [])]


@VENDORS
def test_a_background_worker_started_detached_does_not_show_the_request(tracer: Any) -> None:
    def request(name: str, pool: Any) -> None:
        with ctxtrace.detached():
            pool.submit(tracer.call, f"worker of {name}", lambda: None).result()

    with ctxtrace.ThreadPoolExecutor(1) as pool:
        tracer.call("A", lambda: request("A", pool))
    assert tracer.shape() == [("A", []), ("worker of A", [])]


def test_the_users_own_variables_stay_in_detached() -> None:
    token = own.set("mine")
    with ctxtrace.detached():
        assert own.get() == "mine"
    own.reset(token)


def test_detached_leaves_langsmiths_settings() -> None:
    seen: list[Any] = []

    @traceable
    def outer() -> None:
        before = get_tracing_context()
        with ctxtrace.detached():
            assert get_current_run_tree() is None
            seen.append((before, get_tracing_context()))
        seen.append((before, get_tracing_context()))

    with record("langsmith"):
        client = get_cached_client()
        with tracing_context(
            project_name="project", tags=["tag"], metadata={"key": "value"}, client=client
        ):
            outer()
    (before, inside), (_, after) = seen
    assert inside.pop("parent") is None
    assert before == after
    assert before.pop("parent") is not None
    # What tracing_context() left to the environment is said outright inside.
    assert {key for key in before if before[key] != inside[key]} <= {"enabled"}
    assert inside["client"] is client
    assert inside["project_name"] == "project"


def test_tracing_that_is_on_through_the_parent_alone_stays_on_in_detached() -> None:
    seen: list[Any] = []

    with record("langsmith"):
        client = get_cached_client()

        @traceable(client=client)
        def outer() -> None:
            seen.append(tracing_is_enabled())
            with ctxtrace.detached():
                seen.append(tracing_is_enabled())
                seen.append(get_tracing_context()["client"] is client)

        outer()
    assert seen == [True, True, True]


def test_tracing_that_is_off_stays_off_in_detached() -> None:
    with record("langsmith") as recording:

        @traceable
        def outer() -> None:
            with tracing_context(enabled=False), ctxtrace.detached():
                traceable(lambda: None)()

        outer()
    assert recording.forest().shape == [("outer", [])]


def test_detached_leaves_opentelemetrys_baggage() -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("tests")
    token = otel_context.attach(baggage.set_baggage("user", "ada"))
    with tracer.start_as_current_span("outer") as span:
        with ctxtrace.detached():
            assert baggage.get_baggage("user") == "ada"
            assert not trace.get_current_span().get_span_context().is_valid
        assert trace.get_current_span() is span
    otel_context.detach(token)


def test_detached_leaves_langchains_config_but_its_parent() -> None:
    seen: list[Any] = []

    def body(_: Any) -> None:
        outside = var_child_runnable_config.get()
        with ctxtrace.detached():
            seen.append((outside, var_child_runnable_config.get()))
        assert var_child_runnable_config.get() is outside

    with record("langsmith"):
        RunnableLambda(body).invoke(None, {"tags": ["tag"], "metadata": {"key": "value"}})
    ((outside, inside),) = seen
    assert outside["callbacks"].parent_run_id is not None
    assert inside["callbacks"].parent_run_id is None
    assert type(inside["callbacks"]) is type(outside["callbacks"])
    assert inside["callbacks"].inheritable_handlers == outside["callbacks"].inheritable_handlers
    assert {k: v for k, v in inside.items() if k != "callbacks"} == {
        k: v for k, v in outside.items() if k != "callbacks"
    }


def test_detached_in_a_coroutine_leaves_other_tasks_alone() -> None:
    async def main() -> None:
        @traceable
        async def outer() -> None:
            with ctxtrace.detached():
                await asyncio.sleep(0)
                assert get_current_run_tree() is None
            assert get_current_run_tree() is not None

        await asyncio.gather(outer(), outer())

    with record("langsmith"):
        asyncio.run(main())


# attach()


def test_an_attached_snapshot_is_the_parent_for_the_block(tracer: Any) -> None:
    snapshots: list[ctxtrace.Snapshot] = []
    tracer.call("sender", lambda: snapshots.append(ctxtrace.capture()))

    def receive() -> None:
        with snapshots[0].attach():
            tracer.call("handled", lambda: None)
        tracer.call("own", lambda: None)

    tracer.call("receiver", receive)
    assert tracer.shape() == [
        ("receiver", [("own", [])]),
        ("sender", [("handled", [])]),
    ]


@VENDORS
def test_a_snapshot_without_a_run_hides_the_receivers(tracer: Any) -> None:
    snapshot = contextvars.Context().run(ctxtrace.capture)

    def receive() -> None:
        with snapshot.attach():
            tracer.call("handled", lambda: None)
        tracer.call("own", lambda: None)

    tracer.call("receiver", receive)
    shape = tracer.shape()
    assert shape == [("handled", []), ("receiver", [("own", [])])]
