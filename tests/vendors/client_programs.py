"""Small programs that trace, one for each way that leads to a client of the user's own."""

from __future__ import annotations

import asyncio
import uuid
import warnings
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import langsmith
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.langchain import LangChainTracer
from langsmith import run_trees, traceable, tracing_context
from langsmith.async_client import AsyncClient
from vendors.programs import in_a_raw_thread, inner, outer

if TYPE_CHECKING:
    from collections.abc import Callable

    from langsmith import Client

NESTED: list[Any] = [("outer", [("inner", [])])]


def identity_of(key: uuid.UUID) -> dict[str, Any]:
    """What a run needs to go by the queue."""
    now = datetime.now(timezone.utc)
    return {
        "id": key,
        "trace_id": key,
        "dotted_order": f"{now:%Y%m%dT%H%M%S%f}Z{key}",
        "start_time": now,
        "session_name": "project",
    }


def as_dict(key: uuid.UUID, **fields: Any) -> dict[str, Any]:
    run = {**identity_of(key), "run_type": "chain", "inputs": {}, **fields}
    return {name: value for name, value in run.items() if value is not None}


# Each is a whole program, given the user's client.


def bringing_none(_: Client) -> None:
    outer()


def decorated(client: Client) -> None:
    traceable(name="outer", client=client)(inner)()


def decorated_in_a_raw_thread(client: Client) -> None:
    in_a_raw_thread(lambda: decorated(client))


def made_current(client: Client) -> None:
    with tracing_context(client=client):
        outer()


def named_by_a_block(client: Client) -> None:
    with langsmith.trace("outer", client=client):
        inner()


def of_two_projects(client: Client) -> None:
    with tracing_context(
        client=client, replicas=[{"project_name": "one"}, {"project_name": "another"}]
    ):
        outer()


def of_a_run_tree(client: Client) -> None:
    run = run_trees.RunTree(name="outer", client=client)
    run.post()
    child = run.create_child("inner")
    child.post()
    for each in (child, run):
        each.end()
        each.patch()


def of_a_tracer_of_langchains(client: Client) -> None:
    RunnableLambda(lambda _: inner(), name="outer").invoke(
        None, {"callbacks": [LangChainTracer(client=client)]}
    )


def called_directly(client: Client) -> None:
    key, child = uuid.uuid4(), uuid.uuid4()
    client.create_run("outer", {}, "chain", id=key)
    client.create_run("inner", {}, "chain", id=child, parent_run_id=key)
    client.update_run(child, outputs={})
    client.update_run(str(key), end_time=datetime.now(timezone.utc))


def by_the_queue(client: Client) -> None:
    key = uuid.uuid4()
    identity = identity_of(key)
    client.create_run("outer", {}, "chain", **identity)
    client.update_run(**{**identity, "run_id": identity.pop("id"), "start_time": None})


def in_a_batch(client: Client) -> None:
    key = uuid.uuid4()
    run = as_dict(key, name="outer")
    client.batch_ingest_runs(create=[run])
    client.batch_ingest_runs(update=[{**run, "end_time": datetime.now(timezone.utc)}])


def in_parts(client: Client) -> None:
    key = uuid.uuid4()
    run = as_dict(key, name="outer")
    client.multipart_ingest([run], [{**run, "end_time": datetime.now(timezone.utc)}])


def with_feedback(client: Client) -> None:
    key = uuid.uuid4()
    client.create_run("outer", {}, "chain", id=key, trace_id=key)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer ones want to be told the project
        client.create_feedback(key, "by run", score=1)
        client.create_feedback(key, "by both", score=1, trace_id=key)
        client.create_feedback(key="by trace", score=1, trace_id=key)
    client.update_run(key, end_time=datetime.now(timezone.utc))


def with_a_client_of_coroutines(client: Client) -> None:
    async def main() -> None:
        key = uuid.uuid4()
        async with AsyncClient(api_url=client.api_url, api_key="a key") as own:
            await own.create_run("outer", {}, "chain", id=key)
            await own.update_run(key, end_time=datetime.now(timezone.utc))

    asyncio.run(main())


PROGRAMS: dict[Callable[[Client], None], list[Any]] = {
    bringing_none: NESTED,
    decorated: NESTED,
    decorated_in_a_raw_thread: NESTED,
    made_current: NESTED,
    named_by_a_block: NESTED,
    of_two_projects: NESTED,
    of_a_run_tree: NESTED,
    of_a_tracer_of_langchains: NESTED,
    called_directly: NESTED,
    by_the_queue: [("outer", [])],
    in_a_batch: [("outer", [])],
    in_parts: [("outer", [])],
    with_feedback: [("outer", [])],
    with_a_client_of_coroutines: [("outer", [])],
}
