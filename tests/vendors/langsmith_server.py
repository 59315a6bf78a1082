"""A LangSmith of our own on this machine, which counts what it is asked."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langsmith import Client

INFO = {
    "version": "0.12.0",
    # As JSON, so that what arrives can be read.
    "batch_ingest_config": {
        "use_multipart_endpoint": False,
        "size_limit": 100,
        "size_limit_bytes": 20_000_000,
        "scale_up_nthreads_limit": 1,
        "scale_up_qsize_trigger": 1000,
        "scale_down_nempty_trigger": 4,
    },
}


class Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing the server waits for them

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.requests: list[str] = []
        self.patched: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append(f"{self.command} {self.path}")
        if self.path == "/runs/batch":
            self.server.patched += [run["id"] for run in json.loads(body).get("patch", ())]
        elif self.command == "PATCH":
            self.server.patched.append(self.path.rpartition("/")[2])
        answer = json.dumps(INFO if self.path == "/info" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PATCH = _answer

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def closing(client: Client) -> Iterator[Client]:
    """Have a client send all that it has, and end its threads, when the block ends."""
    try:
        yield client
    finally:
        client.flush()
        client.cleanup()
        client.session.close()


@contextlib.contextmanager
def all_threads_ended() -> Iterator[None]:
    """Wait for the threads that the block started: they have had their turn then."""
    before = set(threading.enumerate())
    yield
    while new := set(threading.enumerate()) - before:
        for thread in new:
            if thread.ident is not None:  # or it is only about to start, and cannot be joined
                thread.join()
