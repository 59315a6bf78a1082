"""A run that starts when the recording is over, or in the moment in which it ends."""

from __future__ import annotations

import asyncio
import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import langsmith
import pytest
from langsmith import Client, run_trees, tracing_context
from langsmith.async_client import AsyncClient
from vendors.client_programs import as_dict
from vendors.langsmith_server import closing, serving
from vendors.programs import outer

from ctxtrace.testing import _tape, record
from ctxtrace.testing._place import here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vendors.langsmith_server import Server


@pytest.fixture(scope="module")
def _server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def server(_server: Server) -> Server:
    _server.requests.clear()
    return _server


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with closing(
        Client(api_url=server.url, api_key="a key", auto_batch_tracing=False, info={})
    ) as client:
        yield client


@pytest.fixture(autouse=True)
def _methods_are_put_back() -> Iterator[None]:
    """Hold each test to it, but for what other tests left open and so intercepted."""
    for key in list(_tape._known):
        _tape.updated(key, ended=True, error=False)
    before = _methods()
    yield
    assert _methods() == before


def _methods() -> dict[tuple[type, str], object]:
    return {
        (cls, name): value
        for cls in (Client, AsyncClient, run_trees.RunTree)
        for name, value in vars(cls).items()
        if callable(value)
    }


# Each tells of a run that starts, and of its end.


def alone(client: Client, key: uuid.UUID, **fields: Any) -> None:
    client.create_run("late", {}, "chain", id=key, **fields)
    client.update_run(key, end_time=datetime.now(timezone.utc))


def in_a_batch(client: Client, key: uuid.UUID, **fields: Any) -> None:
    run = as_dict(key, name="late", **fields)
    client.batch_ingest_runs(create=[run])
    client.batch_ingest_runs(update=[{**run, "end_time": datetime.now(timezone.utc)}])


def in_parts(client: Client, key: uuid.UUID, **fields: Any) -> None:
    run = as_dict(key, name="late", **fields)
    client.multipart_ingest(create=[run])
    client.multipart_ingest(update=[{**run, "end_time": datetime.now(timezone.utc)}])


def with_a_client_of_coroutines(client: Client, key: uuid.UUID, **fields: Any) -> None:
    async def main() -> None:
        async with AsyncClient(api_url=client.api_url, api_key="a key") as own:
            await own.create_run("late", {}, "chain", id=key, **fields)
            await own.update_run(key, end_time=datetime.now(timezone.utc))

    asyncio.run(main())


each_way = pytest.mark.parametrize(
    "post", [alone, in_a_batch, in_parts, with_a_client_of_coroutines]
)
recorded_or_not = pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "control"])


@each_way
@recorded_or_not
def test_a_child_that_starts_after_the_recording_is_not_sent_below_a_recorded_parent(
    recorded: bool, post: Callable[..., None], server: Server, client: Client
) -> None:
    parent, child = uuid.uuid4(), uuid.uuid4()
    recording = record("langsmith")
    if recorded:
        recording.start()
    client.create_run("parent", {}, "chain", id=parent)
    recording.stop()
    post(client, child, parent_run_id=parent)
    client.update_run(parent, end_time=datetime.now(timezone.utc))
    assert bool(server.requests) is not recorded
    assert recording.forest().shape == ([("parent", [])] if recorded else [])


@recorded_or_not
def test_what_is_traced_after_the_recording_in_a_recorded_run_is_not_sent(
    recorded: bool, server: Server, client: Client
) -> None:
    parent = langsmith.trace("parent", client=client)
    recording = record("langsmith")
    with tracing_context(enabled=True):
        if recorded:
            recording.start()
        parent.__enter__()
        recording.stop()
        outer()
        parent.__exit__(None, None, None)
    assert bool(server.requests) is not recorded
    assert recording.forest().unfinished == []


@each_way
def test_a_run_that_starts_while_the_last_recording_closes_goes_where_it_would_have(
    post: Callable[..., None], server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = record("langsmith")

    def close_and_say_here() -> Any:
        recording.stop()
        return here()

    monkeypatch.setattr(_tape, "here", close_and_say_here)
    recording.start()
    post(client, uuid.uuid4())
    assert len(server.requests) == 2
    assert recording.forest().nodes == []
