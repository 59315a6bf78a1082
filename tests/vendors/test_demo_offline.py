"""`ctxtrace demo` in a process of its own: nothing leaves it, whatever is set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from ctxtrace import _demo as demo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class CountingServer(ThreadingHTTPServer):
    """Counts connections, so that not even a TLS handshake with a proxy goes unseen."""

    connections = 0

    def verify_request(self, request: Any, client_address: Any) -> bool:
        self.connections += 1
        return True

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST = do_PATCH = answer

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[CountingServer]:
    with CountingServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="server")
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def environment(server: CountingServer, home: Path, **more: str) -> dict[str, str]:
    """Our environment without what is said of tracing, and with the server as the world."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LANGSMITH_", "LANGCHAIN_", "OTEL_", "PYTHONWARNINGS"))
        and not name.lower().endswith("_proxy")
    }
    (home / ".langsmith").mkdir(exist_ok=True)
    profile = {"api_url": server.address, "api_key": "lsv2_profile"}
    (home / ".langsmith" / "config.json").write_text(
        json.dumps({"current_profile": "p", "profiles": {"p": profile}})
    )
    proxy = {"http_proxy": server.address, "https_proxy": server.address}
    return {
        **kept,
        **proxy,
        **{name.upper(): value for name, value in proxy.items()},
        "no_proxy": "127.0.0.1",
        "HOME": str(home),
        "PYTHONIOENCODING": "utf-8",
        **more,
    }


def run(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], env=env, capture_output=True, encoding="utf-8"
    )


def test_control_an_ordinary_client_reaches_the_server(
    server: CountingServer, tmp_path: Path
) -> None:
    script = (
        "from langsmith import Client, traceable\n"
        "client = Client(auto_batch_tracing=False)\n"
        "traceable(client=client)(lambda: None)()\n"
    )
    env = environment(
        server,
        tmp_path,
        LANGSMITH_TRACING="true",
        LANGSMITH_API_KEY="lsv2_key",
        LANGSMITH_ENDPOINT=server.address,
    )
    done = run("-c", script, env=env)
    assert done.returncode == 0, done.stderr
    assert server.connections > 0


def loud(server: CountingServer) -> dict[str, str]:
    """Everything that could send a run somewhere."""
    return {
        "LANGSMITH_TRACING": "true",
        "LANGSMITH_API_KEY": "lsv2_key",
        "LANGCHAIN_API_KEY": "lsv2_key",
        "LANGSMITH_ENDPOINT": server.address,
        "LANGCHAIN_ENDPOINT": server.address,
        "LANGSMITH_PROJECT": "production",
        "LANGSMITH_RUNS_ENDPOINTS": json.dumps({server.address: "lsv2_key"}),
        "LANGSMITH_OTEL_ENABLED": "true",
        "LANGSMITH_TRACING_MODE": "hybrid",
        "LANGSMITH_AGENT_ID": "agent",
        "LANGSMITH_AGENT_ENVIRONMENT": "production",
        "LANGSMITH_USE_PYO3_CLIENT": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": server.address,
    }


def quiet(server: CountingServer) -> dict[str, str]:
    """Everything that could keep a run from being traced."""
    return {
        "LANGSMITH_TRACING": "false",
        "LANGSMITH_TRACING_V2": "false",
        "LANGCHAIN_TRACING": "true",  # the first tracer, which LangChain refuses to load
        "LANGCHAIN_TRACING_V2": "false",
        "LANGSMITH_TRACING_SAMPLING_RATE": "0",
        "LANGSMITH_OTEL_ONLY": "true",
        "LANGCHAIN_RUNS_ENDPOINTS": json.dumps(
            [{"api_url": server.address, "api_key": "lsv2_key"}]
        ),
    }


def without_chance(forest: dict[str, Any]) -> list[Any]:
    """The names alone, sorted: identifiers, times and pool threads differ from run to run."""

    def names(node: dict[str, Any]) -> Any:
        return (node["name"], node["split"], sorted(map(names, node["children"])))

    return sorted(map(names, forest["roots"]))


@pytest.mark.parametrize("variables", [loud, quiet])
def test_nothing_leaves_the_process_and_nothing_changes_whatever_is_set(
    variables: Any, server: CountingServer, tmp_path: Path
) -> None:
    env = environment(server, tmp_path, **variables(server))
    done = run("-m", "ctxtrace", "demo", "--json", env=env)
    assert (done.stderr, done.returncode) == ("", 0)
    data, expected = json.loads(done.stdout), demo.compare().to_dict()
    for which in ("before", "after"):
        assert without_chance(data[which]) == without_chance(expected[which])
    assert server.connections == 0


def test_the_demo_prints_its_pictures_and_not_a_word_of_warning(
    server: CountingServer, tmp_path: Path
) -> None:
    done = run("-m", "ctxtrace", "demo", env=environment(server, tmp_path))
    assert (done.stderr, done.returncode) == ("", 0)
    assert "With those of ctxtrace: 1 trace\n" in done.stdout
    assert server.connections == 0
