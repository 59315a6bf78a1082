"""What Langfuse keeps is flushed: spans, scores, at exit and in the child of a fork.

Not collected with the other tests: Langfuse is installed for these alone (`nox -s langfuse`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from vendors.langsmith_server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vendors.langsmith_server import Server

LIMIT = 60.0  # seconds; only ever reached by a failure

SPANS, SCORES = "/api/public/otel/v1/traces", "/api/public/scores"

PROGRAM = """
import os, signal, sys, threading
import ctxtrace
from langfuse import Langfuse, observe

langfuse = Langfuse(
    public_key="pk-lf-1", secret_key="sk-lf-1", host=sys.argv[1], flush_at=1000, flush_interval=3600
)

@observe()
def work():
    return 1

def record():
    work()
    langfuse.create_score(name="quality", value=1, trace_id=31 * "0" + "1")
"""


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def posted(server: Server) -> list[str]:
    """What was posted to, in any order."""
    return sorted(
        request.partition(" ")[2] for request in server.requests if request.startswith("POST ")
    )


def run(server: Server, code: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if "LANGFUSE" not in name}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM + code, server.url],
        env={**environment, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def test_control_what_was_recorded_waits(server: Server) -> None:
    assert run(server, "record()\nos._exit(0)").returncode == 0
    assert posted(server) == []


def test_a_flush_sends_it(server: Server) -> None:
    ended = run(server, "record()\nprint(ctxtrace.flush())\nos._exit(0)")
    assert posted(server) == [SPANS, SCORES]
    states = [line.partition(",")[0] for line in ended.stdout.splitlines()]
    assert sorted(states) == ["langfuse: flushed", "opentelemetry traces: flushed"]


def test_a_signal_is_waited_for_until_it_was_sent(server: Server) -> None:
    kill = "record()\nsignal.raise_signal(signal.SIGTERM)\nthreading.Event().wait()"
    assert run(server, kill).returncode == -15
    assert posted(server) == []
    assert run(server, "ctxtrace.flush_on_exit()\n" + kill).returncode == -15
    assert posted(server) == [SPANS, SCORES]


def test_what_a_child_of_a_fork_recorded_is_sent_once(server: Server) -> None:
    ended = run(
        server,
        "ctxtrace.flush_on_exit()\nif os.fork():\n    os.wait()\nelse:\n    record()\n",
    )
    assert (ended.returncode, posted(server)) == (0, [SPANS, SCORES])


def test_shutdown_sends_it_and_ends(server: Server) -> None:
    ended = run(server, "record()\nassert ctxtrace.shutdown().ok\nassert ctxtrace.shutdown().ok\n")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert posted(server) == [SPANS, SCORES]
