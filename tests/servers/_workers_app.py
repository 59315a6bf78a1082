"""The application whose processes are recycled: plain WSGI, and what the other ones share.

Started by run_workers.py and run_celery.py, which say by the environment where to send traces and
which parts of ctxtrace to use. Each request is a run and a span with one below each. There are
some at import, too: where the server imports the application before it forks, they wait to be
sent then, and must be sent once.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from typing import TYPE_CHECKING, Any

from langsmith import trace
from opentelemetry import trace as otel
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

if TYPE_CHECKING:
    from collections.abc import Iterator

# Which parts of ctxtrace to use; the control uses none.
USES = frozenset(os.environ["WORKERS_USES"].split())

if "flush_on_exit" in USES:
    from ctxtrace import flush_on_exit

    # Celery ends on SIGTERM in its own way, and its pool ends its processes by it.
    if "worker_process_shutdown" in USES:
        flush_on_exit(signals=())
    elif "SIGQUIT" in USES:
        flush_on_exit(signals=("SIGTERM", "SIGQUIT"))
    else:
        flush_on_exit()

IMPORTS = int(os.environ.get("WORKERS_IMPORTS", "100"))

# With its defaults, as in its guide: a full batch, or what there is every five seconds.
otel.set_tracer_provider(TracerProvider())
otel.get_tracer_provider().add_span_processor(  # type: ignore[attr-defined]
    BatchSpanProcessor(OTLPSpanExporter())
)
TRACER = otel.get_tracer("workers")


@contextlib.contextmanager
def both(name: str) -> Iterator[None]:
    with trace(name), TRACER.start_as_current_span(name):
        yield


def record(key: str) -> None:
    """Do what a request does: open a run and a span, and one below."""
    with both(f"request {key}"), both(f"step {key}"):
        pass


def say(what: str, key: str) -> None:
    """Tell the driver, in one write: many processes share the pipe."""
    os.write(1, f"said: {what} {key}\n".encode())


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    key = environ["QUERY_STRING"]
    record(key)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(key)))])
    return [key.encode()]


# So many that some of them wait to be sent when the server forks at once.
for _number in range(IMPORTS):
    _key = f"import-{uuid.uuid4().hex}"
    record(_key)
    say("done", _key)
