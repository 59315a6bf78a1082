"""A server that takes what LangSmith's client and OpenTelemetry's exporter send, and keeps it."""

from __future__ import annotations

import gzip
import json
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

# What LangSmith's client asks for first. Told that there is no multipart endpoint, it posts
# plain JSON, which needs no parser of ours.
_INFO = {
    "version": "0.0.0",
    "instance_flags": {},
    "batch_ingest_config": {
        "use_multipart_endpoint": False,
        "scale_up_qsize_trigger": 1000,
        "scale_up_nthreads_limit": 4,
        "scale_down_nempty_trigger": 4,
        "size_limit": 100,
        "size_limit_bytes": 20_971_520,
    },
}


class Node(NamedTuple):
    """A run or a span."""

    key: str
    parent: str | None
    name: str
    start: str
    request: str | None
    """Which request it says it belongs to; only roots of ours do."""


class Collector:
    """Both backends on one port of this machine."""

    def __init__(self) -> None:
        self.langsmith: dict[str, Node] = {}
        self.opentelemetry: dict[str, Node] = {}
        self.ended_runs: set[str] = set()
        # How often each run was posted and ended, and each span exported.
        self.times_posted: Counter[str] = Counter()
        self.times_ended: Counter[str] = Counter()
        self.times_exported: Counter[str] = Counter()
        self.refused: list[str] = []
        self._lock = threading.Lock()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(200, json.dumps(_INFO).encode(), "application/json")

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:
                    self.close_connection = True  # whoever posted was killed while it did
                    return
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                with collector._lock:
                    if self.path.endswith("/runs/batch"):
                        collector._take_runs(json.loads(body))
                    elif self.path == "/v1/traces":
                        collector._take_spans(ExportTraceServiceRequest.FromString(body))
                    else:
                        collector.refused.append(self.path)
                        self._answer(404, b"", "text/plain")
                        return
                kind = self.headers.get("Content-Type", "application/json")
                self._answer(202 if "json" in kind else 200, b"{}" if "json" in kind else b"", kind)

            def _answer(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 128  # many processes may post at once

            def handle_error(self, *arguments: Any) -> None:
                # Whoever posts may be killed while it does.
                if not isinstance(sys.exc_info()[1], ConnectionError):
                    super().handle_error(*arguments)

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _take_runs(self, batch: dict[str, list[dict[str, Any]]]) -> None:
        # A run that ended before it was sent is posted once, with its end.
        for run in batch.get("post") or ():
            self.times_posted[run["id"]] += 1
            metadata = (run.get("extra") or {}).get("metadata") or {}
            self.langsmith[run["id"]] = Node(
                run["id"],
                run.get("parent_run_id"),
                run["name"],
                run["dotted_order"],
                metadata.get("request") if run["name"] == "request" else None,
            )
        for run in (*(batch.get("post") or ()), *(batch.get("patch") or ())):
            if run.get("end_time"):
                self.ended_runs.add(run["id"])
                self.times_ended[run["id"]] += 1

    def _take_spans(self, export: Any) -> None:
        # Only spans that have ended are exported.
        for resource in export.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.times_exported[span.span_id.hex()] += 1
                    attributes = {a.key: a.value.string_value for a in span.attributes}
                    self.opentelemetry[span.span_id.hex()] = Node(
                        span.span_id.hex(),
                        span.parent_span_id.hex() or None,
                        span.name,
                        f"{span.start_time_unix_nano:020}",
                        attributes.get("request"),
                    )
