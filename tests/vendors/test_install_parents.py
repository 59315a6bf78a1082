"""install(): what outlives its LangSmith run has it for a parent, and keeps nothing of it.

From LangSmith 0.7.30 on a context refers to its run weakly; before, it holds the run itself, and
what outlives a run has it for a parent without ctxtrace.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
import importlib
import importlib.util
import logging
import threading
import uuid
import weakref
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import anyio
import langsmith
import pytest
from langchain_core.runnables import RunnableLambda
from langsmith import run_helpers, traceable
from langsmith._internal import _context
from langsmith.run_helpers import get_current_run_tree, tracing_context
from langsmith.run_trees import RunTree
from vendors.crossings import LIMIT
from vendors.tracers import LANGSMITH_IS_WEAK

import ctxtrace
from ctxtrace.testing import record_langsmith

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

SITE = "langsmith_parents"
WHOLE = [("request", [("late", [])])]
SPLIT = [("late", []), ("request", [])]
LOST = SPLIT if LANGSMITH_IS_WEAK else WHOLE


@pytest.fixture
def recording() -> Iterator[Any]:
    with record_langsmith() as recording:
        yield recording


@pytest.fixture
def installed() -> Iterator[Any]:
    with ctxtrace.install() as installation:
        yield installation


@traceable
def late() -> None:
    pass


class Outgoing(langsmith.Client):
    """A client of the user's own. Sends nothing, and says what it would have sent."""

    def __init__(self) -> None:
        super().__init__(
            api_url="http://localhost", api_key="none", auto_batch_tracing=False, info={}
        )
        self.created: list[tuple[str, bool]] = []
        self.updated: list[str] = []

    def create_run(self, name: str, *_: Any, **kwargs: Any) -> None:
        self.created.append((name, kwargs.get("parent_run_id") is not None))

    def update_run(self, *_: Any, **kwargs: Any) -> None:
        self.updated.append(kwargs["name"])


def runs_alive() -> int:
    gc.collect()
    return sum(isinstance(thing, RunTree) for thing in gc.get_objects())


def context_of_an_ended_request(**of_the_run: Any) -> contextvars.Context:
    """What a timer, a connection pool or a finished task keeps of a request."""
    context = traceable(name="request", **of_the_run)(contextvars.copy_context)()
    gc.collect()
    return context


# What outlives a request that a run was opened for, and starts another run after it.


async def a_task(ended: asyncio.Event, work: Callable[[], None]) -> None:
    await ended.wait()
    work()


def create_task(ended: Any, work: Any, _: Any) -> Any:
    return asyncio.create_task(a_task(ended, work))


def create_task_in_a_task(ended: Any, work: Any, _: Any) -> Any:
    async def outer() -> None:
        await ended.wait()
        await asyncio.create_task(a_task(ended, work))

    return asyncio.create_task(outer())


def start_soon_in_a_group_from_outside(ended: Any, work: Any, group: Any) -> Any:
    done = asyncio.Event()

    async def task() -> None:
        await a_task(ended, work)
        done.set()

    group.start_soon(task)
    return done.wait()


def call_later(_: Any, work: Any, __: Any) -> Any:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_later(0, lambda: done.set_result(work()))
    return done


def an_async_generator_in_a_task(ended: Any, work: Any, _: Any) -> Any:
    async def numbers() -> AsyncIterator[int]:
        yield 1
        await ended.wait()
        work()
        yield 2

    async def consume() -> None:
        assert [number async for number in numbers()] == [1, 2]

    return asyncio.create_task(consume())


def to_thread_from_a_task(ended: Any, work: Any, _: Any) -> Any:
    async def task() -> None:
        await ended.wait()
        await anyio.to_thread.run_sync(work)

    return asyncio.create_task(task())


WAYS = pytest.mark.parametrize(
    "start",
    [
        create_task,
        create_task_in_a_task,
        start_soon_in_a_group_from_outside,
        call_later,
        an_async_generator_in_a_task,
        to_thread_from_a_task,
    ],
    ids=lambda f: f.__name__,
)


def outlive(start: Any, work: Callable[[], None], request: Any = None) -> None:
    """Start something in a request, and have it work when the request's run has died."""

    async def main() -> None:
        ended = asyncio.Event()
        async with anyio.create_task_group() as group:
            begin = request or traceable(name="request")(start)
            waiting = begin(ended, work, group)
            gc.collect()
            ended.set()
            await waiting

    asyncio.run(main())


@WAYS
def test_control_what_outlives_its_parent_splits_where_contexts_hold_it_weakly(
    recording: Any, start: Any
) -> None:
    outlive(start, late)
    assert recording.forest().shape == LOST


@WAYS
def test_what_outlives_its_parent_keeps_it(recording: Any, installed: Any, start: Any) -> None:
    outlive(start, late)
    assert recording.forest().shape == WHOLE


def test_a_run_of_langchain_in_a_task_that_outlives_its_parent_keeps_it(
    recording: Any, installed: Any
) -> None:
    chain = RunnableLambda(lambda _: None).with_config(run_name="late")
    outlive(create_task, lambda: chain.invoke(None))
    assert recording.forest().shape == WHOLE


def test_a_pool_that_a_task_submits_to_when_its_parent_is_gone_keeps_the_parent(
    recording: Any, installed: Any
) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        outlive(create_task, lambda: pool.submit(late).result(LIMIT))
    assert recording.forest().shape == WHOLE


def test_a_thread_that_a_task_starts_when_its_parent_is_gone_keeps_the_parent(
    recording: Any, installed: Any
) -> None:
    def work() -> None:
        thread = threading.Thread(target=late)
        thread.start()
        thread.join(LIMIT)

    outlive(create_task, work)
    assert recording.forest().shape == WHOLE


def test_what_is_started_below_the_late_run_nests_as_ever(recording: Any, installed: Any) -> None:
    @traceable(name="late")
    def deeper() -> None:
        with langsmith.trace("block"):
            late()

    @traceable
    def request(ended: Any, work: Any, group: Any) -> Any:
        return traceable(name="step")(create_task)(ended, work, group)

    outlive(create_task, deeper, request)
    below = [("block", [("late", [])])]
    assert recording.forest().shape == [("request", [("step", [("late", below)])])]


def test_a_block_that_changes_the_tracing_context_gives_the_gone_parent_back(
    recording: Any, installed: Any
) -> None:
    def work() -> None:
        with tracing_context(project_name="another"), tracing_context(tags=["tag"]):
            pass
        gc.collect()
        late()
        with langsmith.trace("block"):
            pass
        gc.collect()
        late()

    outlive(create_task, work)
    (request,) = recording.forest().shape
    assert request == ("request", [("block", []), ("late", []), ("late", [])])


def test_a_task_that_outlives_its_parent_can_be_detached_from_it(
    recording: Any, installed: Any
) -> None:
    def work() -> None:
        with ctxtrace.detached():
            late()

    outlive(create_task, work)
    assert recording.forest().shape == SPLIT


@pytest.mark.parametrize("carry", [ctxtrace.wrap, lambda f: ctxtrace.capture().wrap(f)])
def test_a_gone_parent_crosses_once_more(recording: Any, installed: Any, carry: Any) -> None:
    carried = context_of_an_ended_request().run(carry, late)
    gc.collect()
    carried()
    assert recording.forest().shape == WHOLE


def test_a_generator_that_the_garbage_collector_closes_keeps_the_gone_parent(
    recording: Any, installed: Any
) -> None:
    def numbers() -> Iterator[int]:
        try:
            yield 1
        finally:
            late()

    def start() -> None:
        cycle: list[Any] = []
        generator = ctxtrace.wrap(numbers)()
        cycle += [cycle, generator]
        assert next(generator) == 1

    context_of_an_ended_request().run(start)
    gc.collect()
    assert recording.forest().shape == WHOLE


# Where it goes, and whether it is traced.


def test_the_late_run_goes_where_its_parent_went(recording: Any, installed: Any) -> None:
    client = Outgoing()
    context = context_of_an_ended_request(client=client, project_name="of its own")
    context.run(late)
    assert client.created == [("request", False), ("late", True)]
    assert client.updated == ["request", "late"]
    assert recording.forest().shape == []
    run = context.run(get_current_run_tree)
    assert run is not None
    assert run.session_name == "of its own"


def test_tracing_stays_on_for_what_outlives_a_parent_that_was_traced_on_demand(
    installed: Any,
) -> None:
    client = Outgoing()
    with tracing_context(enabled=True):
        context = context_of_an_ended_request(client=client)
    context.run(_context._TRACING_ENABLED.set, None)
    assert not langsmith.utils.tracing_is_enabled()
    assert context.run(langsmith.utils.tracing_is_enabled) is True
    context.run(late)
    assert client.created == [("request", False), ("late", True)]


@pytest.mark.parametrize("enabled", ["local", False])
def test_what_is_not_sent_of_the_parent_is_not_sent_of_the_late_run(
    installed: Any, enabled: Any
) -> None:
    client = Outgoing()
    with tracing_context(enabled=enabled, client=client):
        context_of_an_ended_request(client=client).run(late)
    assert client.created == []


if LANGSMITH_IS_WEAK:

    def test_a_client_that_is_gone_takes_its_runs_with_it(recording: Any, installed: Any) -> None:
        client = Outgoing()
        context = context_of_an_ended_request(client=client)
        gone = weakref.ref(client)
        del client
        gc.collect()
        assert gone() is None
        # Another client's server would not know the parent, nor is it to be told of it.
        assert context.run(get_current_run_tree) is None
        context.run(late)
        assert recording.forest().shape == [("late", [])]


# What is kept, and for how long.


class Payload:
    pass


def test_control_a_context_that_outlives_its_run_keeps_the_data_where_it_holds_the_run(
    recording: Any,
) -> None:
    check_that_a_context_keeps(the_run=not LANGSMITH_IS_WEAK)


def test_a_context_that_outlives_its_run_keeps_no_more_than_it_does_without(
    recording: Any, installed: Any
) -> None:
    check_that_a_context_keeps(the_run=not LANGSMITH_IS_WEAK)


def check_that_a_context_keeps(*, the_run: bool) -> None:
    before = runs_alive()
    payload = Payload()
    seen = weakref.ref(payload)

    @traceable(metadata={"data": "abc"}, tags=["tag"])
    def request(data: Payload) -> tuple[contextvars.Context, Payload]:
        return contextvars.copy_context(), data

    context, _ = request(payload)
    context.run(late)
    del payload, _
    assert (runs_alive() > before, seen() is not None) == (the_run, the_run)


NAMES = {
    "address",
    "dangerously_allow_filesystem",
    "dotted_order",
    "id",
    "ls_client",
    "name",
    "parent_run_id",
    "replicas",
    "run_type",
    "session_id",
    "session_name",
    "start_time",
    "trace_id",
}

if LANGSMITH_IS_WEAK:

    @pytest.fixture
    def context(recording: Any, installed: Any) -> contextvars.Context:
        return context_of_an_ended_request(tags=["tag"], metadata={"data": "abc"})

    def test_a_gone_run_is_named_again_without_its_data(context: contextvars.Context) -> None:
        run = context.run(get_current_run_tree)
        assert isinstance(run, RunTree)
        assert run.name == "request"
        assert str(run.id) in run.dotted_order
        assert run.trace_id == run.id
        for data in (run.inputs, run.outputs, run.metadata, run.tags, run.events):
            assert not data
        assert run.model_dump(exclude_none=True)["id"] == run.id
        assert run.to_headers()["langsmith-trace"] == run.dotted_order

    def test_a_gone_run_is_named_again_by_all_that_a_child_goes_by(installed: Any) -> None:
        patched: Any = vars(run_helpers)["weakref"]
        client = Outgoing()
        run = RunTree(
            name="one",
            run_type="tool",
            parent_run=RunTree(name="above", client=client),
            start_time=datetime(2026, 1, 1, tzinfo=timezone.utc),
            project_id=uuid.uuid4(),
            replicas=[{"project_name": "a copy of it", "updates": None}],
            dangerously_allow_filesystem=True,
            client=client,
        )
        names = NAMES.intersection(RunTree.model_fields)
        if "address" in names:
            run.address = "an agent"
        reference = patched.ref(run)
        expected = {name: getattr(run, name) for name in names}
        del run
        gc.collect()
        again = reference()
        assert {name: getattr(again, name) for name in names} == expected
        assert expected["parent_run_id"] != expected["id"] != expected["trace_id"]

    def test_a_gone_run_is_the_same_for_as_long_as_somebody_holds_it(
        context: contextvars.Context,
    ) -> None:
        run = context.run(get_current_run_tree)
        assert context.run(get_current_run_tree) is run
        seen = weakref.ref(run)
        del run
        gc.collect()
        assert seen() is None

    def test_a_gone_run_sends_nothing_itself(installed: Any) -> None:
        client = Outgoing()
        with tracing_context(enabled=True):
            run = context_of_an_ended_request(client=client).run(get_current_run_tree)
        assert run is not None
        run.end(outputs={"output": "of somebody else"})
        run.post()
        run.patch()
        assert client.created == [("request", False)]
        assert client.updated == ["request"]

    def test_a_gone_run_that_is_held_collects_no_children(
        recording: Any, context: contextvars.Context
    ) -> None:
        run = context.run(get_current_run_tree)
        assert run is not None
        for _ in range(3):
            context.run(late)
        assert run.child_runs == []
        assert recording.forest().shape == [("request", [("late", [])] * 3)]

    def test_a_run_that_lives_is_itself_and_collects_its_children(
        recording: Any, installed: Any
    ) -> None:
        @traceable
        def request() -> None:
            run = get_current_run_tree()
            assert run is not None
            assert run is get_current_run_tree()
            assert run.inputs == {}
            child = run.create_child("child")
            assert type(run.child_runs) is list
            assert child.parent_run_id == run.id

        request()


# The site.

INTEGRATIONS = [
    name
    for name in (
        "langsmith.integrations.claude_agent_sdk._client",
        "langsmith.integrations.openai_agents_sdk._openai_agents",
    )
    if importlib.util.find_spec(name.rpartition(".")[0])
]


def states(installation: Any) -> dict[str, tuple[str, str]]:
    return {
        site.target: (site.state, site.detail)
        for site in installation.sites
        if site.name == SITE and site.state != "absent"
    }


if LANGSMITH_IS_WEAK:

    def test_every_module_that_refers_to_runs_in_contexts_is_patched_when_it_is_imported(
        installed: Any,
    ) -> None:
        modules = [
            importlib.import_module(name) for name in ["langsmith.run_helpers", *INTEGRATIONS]
        ]
        assert len(modules) == 3
        assert set(states(installed).values()) == {("patched", "")}
        assert [vars(module)["weakref"] is weakref for module in modules] == [False] * 3
        installed.uninstall()
        assert [vars(module)["weakref"] is weakref for module in modules] == [True] * 3

    def test_what_is_under_way_at_uninstall_ends_as_it_began(recording: Any) -> None:
        with ctxtrace.install():
            before = context_of_an_ended_request()
            replacement = vars(run_helpers)["weakref"]
        after = context_of_an_ended_request()
        before.run(late)
        after.run(late)
        whole, split = WHOLE, SPLIT
        assert recording.forest().shape == sorted(whole + split)
        assert type(replacement.ref(RunTree(name="held by name"))) is weakref.ref

    def test_skipping_the_site_leaves_everything_as_it_is(recording: Any) -> None:
        with ctxtrace.install(skip=[SITE]) as installation:
            assert vars(run_helpers)["weakref"] is weakref
            assert set(states(installation).values()) == {("off", "skipped")}
            outlive(create_task, late)
        assert recording.forest().shape == SPLIT

    def test_to_whatever_is_no_run_weakref_is_as_ever(
        installed: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        patched: Any = vars(run_helpers)["weakref"]
        thing, called = Payload(), []
        reference = patched.ref(thing, called.append)
        assert type(reference) is weakref.ref
        assert patched.WeakKeyDictionary is weakref.WeakKeyDictionary
        assert dir(patched) == dir(weakref)
        del thing
        assert called == [reference]
        assert not caplog.records

    def test_a_reference_to_a_run_compares_and_calls_back_as_a_weak_one_does(
        installed: Any,
    ) -> None:
        patched: Any = vars(run_helpers)["weakref"]
        client = Outgoing()
        run = RunTree(name="one", client=client)
        called: list[Any] = []
        one, other = patched.ref(run, called.append), weakref.ref(run)
        assert isinstance(one, weakref.ref)
        assert one == other
        assert one() is run
        del run
        gc.collect()
        assert called == [one]
        assert one != other
        assert one().name == "one"

    def test_a_run_that_cannot_be_named_is_held_as_without_ctxtrace(
        recording: Any, installed: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Slotted:
            __slots__ = ()

        patched: Any = vars(run_helpers)["weakref"]
        run = RunTree(name="one", client=Slotted())
        with caplog.at_level(logging.WARNING, "ctxtrace"):
            reference = patched.ref(run)
        assert type(reference) is weakref.ref
        assert reference() is run
        (record,) = caplog.records
        assert "site 'langsmith_parents' failed" in record.getMessage()

    @pytest.mark.parametrize("change", ["another variable", "another RunTree"])
    def test_a_langsmith_that_is_not_as_it_is_known_is_left_alone(
        monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, change: str
    ) -> None:
        if change == "another variable":
            monkeypatch.delattr(_context, "_PARENT_RUN_TREE_REF")
            why = "langsmith._internal._context has no _PARENT_RUN_TREE_REF"
        else:
            monkeypatch.setattr(langsmith.run_trees, "RunTree", object)
            why = "RunTree has no id, trace_id, dotted_order,"
        with ctxtrace.install() as installation:
            assert vars(run_helpers)["weakref"] is weakref
            state, detail = states(installation)["langsmith.run_helpers.weakref"]
            assert state == "unknown version"
            assert detail.startswith(why)

else:

    def test_a_langsmith_whose_contexts_hold_their_run_needs_nothing(installed: Any) -> None:
        for name in INTEGRATIONS:
            importlib.import_module(name)
        found = states(installed)
        assert found["langsmith.run_helpers.weakref"] == (
            "not needed",
            "the contexts of this LangSmith hold the run itself",
        )
        assert set(found.values()) == {found["langsmith.run_helpers.weakref"]}
        assert vars(run_helpers).get("weakref", weakref) is weakref
