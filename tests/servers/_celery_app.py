"""A Celery application whose tasks are runs and spans, for run_celery.py."""

from __future__ import annotations

import uuid

from _workers_app import TRACER, USES, both, say
from celery import Celery
from langsmith import traceable

app = Celery("workers")
app.config_from_object("_celery_config")

if "worker_process_shutdown" in USES:
    import signal

    from celery.signals import worker_process_shutdown

    from ctxtrace import flush

    @worker_process_shutdown.connect
    def flush_traces(**_: object) -> None:
        # The pool may tell it to end once more, and that would end it in the middle of this.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        flush()


@app.task(name="work")
def work(number: str) -> None:
    # A task that is delivered again, because its worker ended before it could say that the task
    # was done, is two executions, and each of them is to be recorded.
    key = f"{number}-{uuid.uuid4().hex}"

    @traceable(name=f"request {key}")
    def task() -> None:
        with TRACER.start_as_current_span(f"request {key}"), both(f"step {key}"):
            pass

    task()
    say("done", key)
