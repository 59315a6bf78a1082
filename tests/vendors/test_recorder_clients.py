"""Whichever client a run goes to, it is recorded, and the server hears nothing of it."""

from __future__ import annotations

import threading
import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import langsmith
import pytest
from langsmith import Client, run_trees, tracing_context, utils
from vendors.client_programs import NESTED, PROGRAMS, as_dict, decorated, identity_of, in_a_batch
from vendors.langsmith_server import all_threads_ended, closing, serving
from vendors.programs import outer

from ctxtrace.testing import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vendors.langsmith_server import Server


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Server, Client]]:
    with all_threads_ended(), serving() as server, closing(_client(server)) as client:
        # So that its thread is through with asking the server what it can do.
        client.create_run("warm", {}, "chain", **identity_of(uuid.uuid4()))
        client.flush()
        yield server, client


def _client(server: Server, kind: type[Client] = Client, **kwargs: Any) -> Client:
    return kind(api_url=server.url, api_key="a key", **kwargs)


@pytest.fixture
def server(both: tuple[Server, Client]) -> Server:
    server, _ = both
    server.requests.clear()
    server.patched.clear()
    return server


@pytest.fixture
def client(both: tuple[Server, Client]) -> Client:
    return both[1]


@pytest.fixture(params=["true", "false"], ids=["switched-on", "switched-off"])
def environment(
    request: pytest.FixtureRequest, server: Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Tell LangSmith where to send what, in the environment."""
    for name in ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2"):
        monkeypatch.setenv(name, request.param)
    monkeypatch.setenv("LANGSMITH_ENDPOINT", server.url)
    monkeypatch.setenv("LANGSMITH_API_KEY", "a key")
    monkeypatch.setattr(run_trees, "_CLIENT", None)
    utils.get_env_var.cache_clear()
    with all_threads_ended():
        yield
        if run_trees._CLIENT is not None:
            with closing(run_trees._CLIENT):
                pass
    utils.get_env_var.cache_clear()


each_program = pytest.mark.parametrize(
    "program", PROGRAMS, ids=lambda program: program.__name__.replace("_", "-")
)


@each_program
@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("environment", ["true"], indirect=True)
def test_control_without_a_recording_the_server_hears_of_it(
    program: Callable[[Client], None], server: Server, client: Client
) -> None:
    program(client)
    for each in (client, run_trees._CLIENT):
        if each is not None:
            each.flush()
    assert server.requests


@each_program
@pytest.mark.usefixtures("environment")
def test_every_run_is_recorded_and_the_server_hears_nothing(
    program: Callable[[Client], None], server: Server, client: Client
) -> None:
    with record("langsmith") as recording:
        program(client)
        client.flush()
    client.flush()
    forest = recording.forest()
    assert forest.shape == PROGRAMS[program]
    assert forest.unfinished == []
    assert forest.orphans == []
    assert server.requests == []


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "control"])
def test_a_client_made_in_a_recording_never_asks_what_the_server_can_do(
    recorded: bool, server: Server
) -> None:
    def program() -> Client:
        client = _client(server)
        with tracing_context(client=client, enabled=True):
            outer()
        return client

    with all_threads_ended():
        if recorded:
            with record("langsmith") as recording:
                client = program()
            assert recording.forest().shape == NESTED
        else:
            client = program()
        with closing(client):
            pass
    assert server.requests == ([] if recorded else ["GET /info", "POST /runs/batch"])


def test_a_run_posted_before_is_patched_as_it_would_have_been(
    server: Server, client: Client
) -> None:
    direct, queued = uuid.uuid4(), uuid.uuid4()
    identity = identity_of(queued)
    client.create_run("direct", {}, "chain", id=direct)
    client.create_run("queued", {}, "chain", **identity)
    client.flush()
    now = datetime.now(timezone.utc)
    with record("langsmith") as recording:
        client.update_run(direct, end_time=now)
        del identity["id"], identity["start_time"]
        client.update_run(queued, end_time=now, **identity)
        client.flush()
    assert sorted(server.patched) == sorted([str(direct), str(queued)])
    assert recording.forest().nodes == []


def test_a_run_posted_before_in_a_batch_is_patched_beside_one_that_is_recorded(
    server: Server, client: Client
) -> None:
    before, within = uuid.uuid4(), uuid.uuid4()
    client.batch_ingest_runs(create=[as_dict(before, name="before")])
    server.requests.clear()
    end = {"end_time": datetime.now(timezone.utc)}
    with record("langsmith") as recording:
        client.batch_ingest_runs(
            create=[as_dict(within, name="within")],
            update=[as_dict(before, **end), as_dict(within, **end)],
        )
    assert server.requests == ["POST /runs/batch"]
    assert server.patched == [str(before)]
    assert recording.forest().shape == [("within", [])]


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "control"])
def test_a_run_that_ends_after_the_recording_never_reaches_the_server(
    recorded: bool, server: Server, client: Client
) -> None:
    blocks = [langsmith.trace(name, client=client) for name in ("first", "second")]
    recording = record("langsmith")
    with tracing_context(enabled=True):
        if recorded:
            recording.start()
        for block in blocks:
            block.__enter__()
        recording.stop()
        for block in reversed(blocks):
            block.__exit__(None, None, None)
    client.flush()
    assert bool(server.requests) is not recorded
    if recorded:
        assert recording.forest().shape == [("first", [("second", [])])]
        assert recording.forest().unfinished == []


class HandsOn(Client):
    """A user's class, which does something beside."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.calls: list[str] = []

    def create_run(self, name: str, *args: Any, **kwargs: Any) -> None:
        self.calls.append(name)
        super().create_run(name, *args, **kwargs)

    def update_run(self, run_id: Any, *args: Any, **kwargs: Any) -> None:
        self.calls.append("update")
        super().update_run(run_id, *args, **kwargs)

    def batch_ingest_runs(self, *args: Any, **kwargs: Any) -> None:
        self.calls.append("batch")
        super().batch_ingest_runs(*args, **kwargs)


class KeepsToItself(HandsOn):
    def create_run(self, **kwargs: Any) -> None:  # type: ignore[override]
        self.calls.append(kwargs["name"])

    def update_run(self, **kwargs: Any) -> None:  # type: ignore[override]
        self.calls.append("update")

    def batch_ingest_runs(self, **kwargs: Any) -> None:
        self.calls.append("batch")


@pytest.mark.parametrize("kind", [HandsOn, KeepsToItself])
def test_a_class_of_the_users_own_still_does_what_it_does(
    kind: type[HandsOn], server: Server
) -> None:
    client = _client(server, kind, auto_batch_tracing=False)
    assert isinstance(client, HandsOn)
    with record("langsmith") as recording:
        decorated(client)
        in_a_batch(client)
    assert client.calls == ["outer", "inner", "update", "update", "batch", "batch"]
    assert recording.forest().shape == [("outer", []), *NESTED]
    assert recording.forest().unfinished == []
    assert server.requests == []
    client.session.close()


def test_what_is_asked_in_so_many_words_is_still_answered(server: Server, client: Client) -> None:
    with record("langsmith"):
        client.request_with_retries("GET", "/datasets")
    assert server.requests == ["GET /datasets"]


def test_runs_from_many_threads_to_one_client_are_all_recorded(
    server: Server, client: Client
) -> None:
    with record("langsmith") as recording:
        threads = [threading.Thread(target=decorated, args=(client,)) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    client.flush()
    assert recording.forest().shape == NESTED * 20
    assert server.requests == []
