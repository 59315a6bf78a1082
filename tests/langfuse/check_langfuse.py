"""What Langfuse keeps is flushed: spans, scores, at exit and in the child of a fork.

Not collected with the other tests: Langfuse is installed for these alone (`nox -s langfuse`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

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


class Server(ThreadingHTTPServer):
    """Keeps which paths were posted to."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posted: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.posted.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def run(server: Server, code: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if "LANGFUSE" not in name}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM + code, f"http://127.0.0.1:{server.server_port}"],
        env={**environment, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def test_control_what_was_recorded_waits(server: Server) -> None:
    assert run(server, "record()\nos._exit(0)").returncode == 0
    assert server.posted == []


def test_a_flush_sends_it(server: Server) -> None:
    ended = run(server, "record()\nprint(ctxtrace.flush())\nos._exit(0)")
    assert sorted(server.posted) == [SPANS, SCORES]
    states = [line.partition(",")[0] for line in ended.stdout.splitlines()]
    assert sorted(states) == ["langfuse: flushed", "opentelemetry traces: flushed"]


def test_a_signal_is_waited_for_until_it_was_sent(server: Server) -> None:
    kill = "record()\nsignal.raise_signal(signal.SIGTERM)\nthreading.Event().wait()"
    assert run(server, kill).returncode == -15
    assert server.posted == []
    assert run(server, "ctxtrace.flush_on_exit()\n" + kill).returncode == -15
    assert sorted(server.posted) == [SPANS, SCORES]


def test_what_a_child_of_a_fork_recorded_is_sent_once(server: Server) -> None:
    ended = run(
        server,
        "ctxtrace.flush_on_exit()\nif os.fork():\n    os.wait()\nelse:\n    record()\n",
    )
    assert (ended.returncode, sorted(server.posted)) == (0, [SPANS, SCORES])


def test_shutdown_sends_it_and_ends(server: Server) -> None:
    ended = run(server, "record()\nassert ctxtrace.shutdown().ok\nassert ctxtrace.shutdown().ok\n")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(server.posted) == [SPANS, SCORES]
