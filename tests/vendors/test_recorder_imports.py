"""What the program imports only while it is recorded is recorded, and nothing else is imported.

A library can be imported once a process, so there is a process for each way; all of them run at
once, and the tests look at what they print.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from core.support import LIMIT
from langsmith import run_trees
from langsmith._internal import _aiter
from vendors.langsmith_server import serving
from vendors.programs import outer

from ctxtrace.testing import _langsmith, record
from ctxtrace.testing._langsmith_switches import Replaced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vendors.langsmith_server import Server

NESTED = [["outer", [["inner", []]]]]

PROGRAMS = {
    "decorator": """
        def vendors():
            names = {"langchain_core", "langgraph", "langsmith", "opentelemetry"}
            return sorted(names & set(sys.modules))

        def program():
            import langsmith

            @langsmith.traceable
            def inner():
                pass

            @langsmith.traceable
            def outer():
                inner()

            outer()

        def in_a_thread():
            thread = threading.Thread(target=program, name="raw")
            thread.start()
            thread.join()

        with record() as empty:
            facts["imported by recording"] = vendors()
        facts["empty"] = empty.forest().shape

        with record() as recording:
            in_a_thread()
            from opentelemetry import trace
            from opentelemetry.trace import set_tracer_provider
            from opentelemetry.sdk.trace import TracerProvider
            provider = TracerProvider()
            set_tracer_provider(provider)
            with trace.get_tracer("tests").start_as_current_span("span"):
                pass
        facts["runs"] = recording.forest("langsmith").shape
        facts["threads"] = [node.thread for node in recording.forest("langsmith").nodes]
        facts["spans"] = recording.forest("otel").shape

        from langsmith import Client, run_trees, utils
        facts["put back"] = [
            run_trees._CLIENT is None,
            Client.create_run.__code__.co_name == "create_run",
            "ctxtrace" not in Client.create_run.__code__.co_filename,
            "ctxtrace" not in utils.get_env_var.__code__.co_filename
            if hasattr(utils.get_env_var, "__code__") else True,
        ]
        with record() as again:
            in_a_thread()
        facts["runs of the next"] = again.forest().shape
        facts["processors"] = len(provider._active_span_processor._span_processors)
        """,
    "left open": """
        import langsmith

        recording = record()
        recording.start()
    """,
    "client": """
        with record("langsmith") as recording:
            from langsmith import Client
            client = Client()
            key = uuid.uuid4()
            client.create_run("direct", {}, "chain", id=key)
            client.update_run(key)

            async def main():
                from langsmith.async_client import AsyncClient
                async with AsyncClient() as own:
                    key = uuid.uuid4()
                    await own.create_run("awaited", {}, "chain", id=key)
                    await own.update_run(key, end_time=1)

            asyncio.run(main())
        client.flush()
        client.cleanup()
        facts["runs"] = recording.forest().shape
        facts["unfinished"] = len(recording.forest().unfinished)
        """,
    "langchain": """
        with record() as recording:
            from langchain_core.runnables import RunnableLambda
            inner = RunnableLambda(lambda _: None, name="inner")
            RunnableLambda(inner.invoke, name="outer").invoke(1)
        facts["runs"] = recording.forest().shape

        with record("otel") as recording:
            from opentelemetry import trace
            with trace.get_tracer("tests").start_as_current_span("span"):
                pass
        facts["spans"] = recording.forest().shape
        facts["provider"] = type(trace.get_tracer_provider()).__name__
        facts["processors"] = [
            type(processor).__name__
            for processor in trace.get_tracer_provider()._active_span_processor._span_processors
        ]
        """,
}

AROUND = """
import asyncio, json, sys, threading, uuid
from ctxtrace.testing import record
facts = {}
%s
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join()
print(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def programs() -> Iterator[tuple[Server, dict[str, Any]]]:
    with serving() as server:
        environment = {
            **os.environ,
            "LANGSMITH_TRACING": "true",
            "LANGSMITH_ENDPOINT": server.url,
            "LANGSMITH_API_KEY": "a key",
        }
        processes = {
            name: subprocess.Popen(
                [sys.executable, "-c", AROUND % textwrap.dedent(program)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                text=True,
            )
            for name, program in PROGRAMS.items()
        }
        facts = {}
        for name, process in processes.items():
            printed, errors = process.communicate(timeout=3 * LIMIT)
            done = process.returncode == 0
            facts[name] = {**json.loads(printed), "said": errors} if done else errors
        yield server, facts


@pytest.fixture
def facts(
    request: pytest.FixtureRequest, programs: tuple[Server, dict[str, Any]]
) -> dict[str, Any]:
    """What the program that the test is of has printed."""
    facts = programs[1][request.param]
    assert isinstance(facts, dict), facts
    return facts


def of(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("facts", [name], indirect=True)


@of("decorator")
def test_recording_imports_no_tracer(facts: dict[str, Any]) -> None:
    assert facts["imported by recording"] == []
    assert facts["empty"] == []


@of("decorator")
def test_a_langsmith_that_is_imported_in_the_recording_is_recorded_in_threads_too(
    facts: dict[str, Any],
) -> None:
    assert facts["runs"] == NESTED
    assert facts["threads"] == ["raw", "raw"]


@of("decorator")
def test_a_langsmith_that_was_imported_in_a_recording_is_put_back(facts: dict[str, Any]) -> None:
    assert facts["put back"] == [True] * 4
    assert facts["runs of the next"] == NESTED


@of("decorator")
def test_an_opentelemetry_that_is_imported_in_the_recording_is_recorded(
    facts: dict[str, Any],
) -> None:
    assert facts["spans"] == [["span", []]]
    assert facts["processors"] == 1


@of("client")
def test_a_client_that_is_imported_in_the_recording_alone_is_intercepted(
    facts: dict[str, Any],
) -> None:
    assert facts["runs"] == [["awaited", []], ["direct", []]]
    assert facts["unfinished"] == 0


@of("left open")
def test_a_recording_that_nobody_ends_goes_with_the_program_and_says_nothing(
    facts: dict[str, Any],
) -> None:
    assert facts["said"] == ""


@of("langchain")
def test_a_langchain_that_is_imported_in_the_recording_is_recorded(facts: dict[str, Any]) -> None:
    assert facts["runs"] == NESTED


@of("langchain")
def test_an_opentelemetry_that_is_asked_for_gets_a_provider_without_an_exporter(
    facts: dict[str, Any],
) -> None:
    assert facts["spans"] == [["span", []]]
    assert facts["provider"] == "TracerProvider"
    assert facts["processors"] == ["RecordingProcessor"]


def test_none_of_these_programs_asks_the_server_anything(
    programs: tuple[Server, dict[str, Any]],
) -> None:
    server, facts = programs
    assert all(isinstance(printed, dict) for printed in facts.values())
    assert server.requests == []


def test_a_langsmith_that_cannot_be_recorded_when_it_is_imported_is_told_by_the_recording(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_langsmith, "_failure", None)
    with record("langsmith") as recording:
        with monkeypatch.context() as broken:
            broken.setattr(_langsmith, "_places", Replaced())
            broken.delattr(_aiter, "aio_to_thread")
            _langsmith._imported(run_trees)
        with pytest.raises(RuntimeError, match=r"LangSmith was imported, and not recorded: cannot"):
            recording.forest()


def test_a_failure_is_forgotten_when_langsmith_could_be_recorded_after_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_langsmith, "_failure", RuntimeError("of an earlier import"))
    with record("langsmith") as recording:
        outer()
    assert recording.forest().shape == [("outer", [("inner", [])])]


def test_an_async_client_that_is_half_imported_keeps_no_recording_from_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # While a run of another test is open, the real one stays intercepted.
    monkeypatch.setattr(_langsmith, "_async_clients", Replaced())
    name = "langsmith.async_client"
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    with record("langsmith") as recording:
        outer()
    assert recording.forest().shape == [("outer", [("inner", [])])]
