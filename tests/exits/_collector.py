"""A server that takes what LangSmith and OpenTelemetry send, and counts how often each arrives."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import zstandard
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from requests_toolbelt.multipart import decoder

GATED = "/gated"
"""Below this path, the first thing that LangSmith's client asks for waits for `Collector.open`."""


def _info(compressed: bool) -> dict[str, Any]:
    return {
        "version": "0.0.0",
        "instance_flags": {"zstd_compression_enabled": compressed},
        "batch_ingest_config": {
            "use_multipart_endpoint": compressed,
            "scale_up_qsize_trigger": 1000,
            "scale_up_nthreads_limit": 4,
            "scale_down_nempty_trigger": 4,
            "size_limit": 100,
            "size_limit_bytes": 20_971_520,
        },
    }


class Tally:
    """What one backend was told, by the name of the run or span."""

    def __init__(self) -> None:
        self.created: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.ids: dict[str, str] = {}
        self.parents: dict[str, str | None] = {}

    def once(self, name: str) -> bool:
        return self.created[name] == self.ended[name] == 1

    def doubled(self) -> list[str]:
        names = self.created.keys() | self.ended.keys()
        return sorted(n for n in names if max(self.created[n], self.ended[n]) > 1)


class _Server(ThreadingHTTPServer):
    # Waited for when the server is closed: until then, what they read is not counted yet.
    daemon_threads = False
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        pass  # a client was killed; anything else is noted by the handler itself


class Collector:
    """Both backends on one port of this machine."""

    def __init__(self, *, compressed: bool) -> None:
        self.langsmith = Tally()
        self.opentelemetry = Tally()
        self.requests: Counter[str] = Counter()
        self.not_understood: list[str] = []
        self._names: dict[str, str] = {}
        self._ends_before_names: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._gate = threading.Event()
        info = json.dumps(_info(compressed)).encode()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                collector.requests[f"GET {self.path}"] += 1
                if self.path.startswith(GATED):
                    collector._gate.wait()
                self._answer(200, info, "application/json")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if len(body) < int(self.headers["Content-Length"]):
                    self.close_connection = True  # killed while it was sending
                    return
                kind = self.headers.get("Content-Type", "application/json")
                try:
                    collector._take(
                        self.command,
                        self.path[len(GATED) :] if self.path.startswith(GATED) else self.path,
                        kind,
                        self.headers.get("Content-Encoding"),
                        body,
                    )
                except Exception as error:
                    collector.not_understood.append(f"{self.command} {self.path}: {error!r}")
                    self._answer(400, b"", "text/plain")
                    return
                if "protobuf" in kind:
                    self._answer(200, b"", kind)
                else:
                    self._answer(202, b"{}", "application/json")

            do_PATCH = do_POST

            def _answer(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def open(self) -> None:
        """Answer those that wait below `GATED`."""
        self._gate.set()

    def stop(self) -> None:
        """Count what has come in; every client must have ended."""
        self.open()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _take(self, method: str, path: str, kind: str, encoding: str | None, body: bytes) -> None:
        if encoding == "zstd":
            # In a stream, whose head does not say how long it is.
            body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
        elif encoding == "gzip":
            body = gzip.decompress(body)
        with self._lock:
            self.requests[f"{method} {path if method == 'POST' else '/runs/{id}'}"] += 1
            if path == "/v1/traces":
                self._take_spans(ExportTraceServiceRequest.FromString(body))
            elif path in ("/v1/metrics", "/v1/logs"):
                pass
            elif path == "/runs/multipart":
                for part in decoder.MultipartDecoder(body, kind).parts:
                    self._take_part(part)
            elif path == "/runs/batch":
                batch = json.loads(body)
                for run in batch.get("post") or ():
                    self._create(run)
                for run in batch.get("patch") or ():
                    self._end(run["id"], run)
            elif path == "/runs":
                self._create(json.loads(body))
            elif method == "PATCH" and path.startswith("/runs/"):
                self._end(path.rsplit("/", 1)[1], json.loads(body))
            else:
                raise LookupError("no such place")

    def _take_part(self, part: Any) -> None:
        disposition = part.headers[b"Content-Disposition"].decode()
        name = disposition.split('name="', 1)[1].split('"', 1)[0]
        operation, _, rest = name.partition(".")
        if operation not in ("post", "patch"):
            return  # an attachment, or feedback
        key, _, field = rest.partition(".")
        if field:
            return  # the inputs, the outputs, ... of a run: parts of their own
        if operation == "post":
            self._create(json.loads(part.content))
        else:
            self._end(key, json.loads(part.content))

    def _create(self, run: dict[str, Any]) -> None:
        key, name = str(run["id"]), run["name"]
        self.langsmith.created[name] += 1
        self.langsmith.ids[name] = key
        self.langsmith.parents[name] = run.get("parent_run_id")
        self._names[key] = name
        self.langsmith.ended[name] += self._ends_before_names.pop(key, 0)
        # A run that ended before it was sent is posted once, with its end.
        self._end(key, run)

    def _end(self, key: str, run: dict[str, Any]) -> None:
        if not run.get("end_time"):
            return
        name = self._names.get(key)
        if name is None:
            self._ends_before_names[key] += 1
        else:
            self.langsmith.ended[name] += 1

    def _take_spans(self, export: Any) -> None:
        # Only spans that have ended are exported.
        for resource in export.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.opentelemetry.created[span.name] += 1
                    self.opentelemetry.ended[span.name] += 1
                    self.opentelemetry.ids[span.name] = span.span_id.hex()
                    self.opentelemetry.parents[span.name] = span.parent_span_id.hex() or None


class Refusing:
    """A port of this machine that nobody listens on, and that nobody else can take."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def stop(self) -> None:
        self._socket.close()
