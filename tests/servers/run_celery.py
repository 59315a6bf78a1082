"""Recycle the processes of a real Celery worker, end it, and count what was recorded.

    python tests/servers/run_celery.py [--tasks 400]

Celery's own prefork pool with two processes, each ended after some tasks, and a broker that is a
folder: no network and no server. At last the worker gets SIGTERM in the middle of its work. The
run and the span of every task that said that it is done must have arrived, once and ended.

The recipe: ``flush_on_exit(signals=())`` where the application is imported, and ``flush()`` at
Celery's signal ``worker_process_shutdown``. Beside it stands what each of the two does alone,
and the control, without ctxtrace.
Prints Markdown and exits with status 1 if anything was lost or doubled with the recipe, or hung.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import signal
import sys
import tempfile
import time
from importlib.metadata import version
from typing import TYPE_CHECKING

from _collector import Collector
from _workers_drive import Server, environment, outcome, prove
from celery import Celery

if TYPE_CHECKING:
    from _workers_drive import Outcome

TASKS_PER_CHILD = 25
# Sent beyond those that are waited for, so that the worker is busy when it is ended.
MORE = 200

PACKAGES = (
    "celery",
    "kombu",
    "billiard",
    "langsmith",
    "opentelemetry-sdk",
    "opentelemetry-exporter-otlp-proto-http",
)
RECIPE = ("flush_on_exit", "worker_process_shutdown")
# The last is the control.
CASES = (RECIPE, ("flush_on_exit",), ("worker_process_shutdown",), ())

COMMAND = ["celery", "--app", "_celery_app", "--skip-checks", "worker", "--pool", "prefork"]
COMMAND += ["--concurrency", "2", "--max-tasks-per-child", str(TASKS_PER_CHILD)]
COMMAND += ["--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"]


def run(uses: tuple[str, ...], tasks: int) -> Outcome:
    began = time.perf_counter()
    collector = Collector()
    collector.start()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CELERY_FOLDER"] = folder
        sys.modules.pop("_celery_config", None)  # it names the folder
        with Celery("sender", set_as_current=False) as sender:
            sender.config_from_object("_celery_config")
            for number in range(tasks + MORE):
                sender.send_task("work", (f"{number}",))
        server = Server(COMMAND, environment(collector, uses, CELERY_FOLDER=folder))
        try:
            server.wait_until(lambda: len(done(server)) >= tasks)
            status = server.end(signal.SIGTERM)
        finally:
            server.kill()
            collector.stop()
    if len(done(server)) < tasks:
        server.lines.append(f"ERROR: {len(done(server))} tasks were done, then timeout")
    took = time.perf_counter() - began
    return outcome(server, collector, done(server), 0, status, took)


def done(server: Server) -> list[str]:
    return [key for key in list(server.done) if not key.startswith("import-")]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=400, help="in each run of the worker")
    parser.add_argument("--control", action="store_true", help="the control alone")
    options = parser.parse_args()
    prove()
    print(f"# A Celery worker whose processes are recycled, {datetime.date.today()}\n")
    packages = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    print(
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores; {packages}; {options.tasks:,} tasks and more in each run, "
        f"2 processes, each ended after {TASKS_PER_CHILD} tasks, SIGTERM at the end.\n"
    )
    print("| with | tasks done | LangSmith runs | spans | lost | doubled | exit status | s |")
    print(f"|{' --- |' * 8}")
    below = []
    found: dict[tuple[str, ...], Outcome] = {}
    for uses in CASES[-1:] if options.control else CASES:
        found[uses] = one = run(uses, options.tasks)
        print(
            f"| {', '.join(uses) or 'nothing'} | {one.answered:,} (+{one.imports} at import) "
            f"| {one.runs.count:,} | {one.spans.count:,} "
            f"| {one.runs.lost:,} runs, {one.spans.lost:,} spans "
            f"| {one.runs.doubled:,} runs, {one.spans.doubled:,} spans "
            f"| {'HUNG' if one.hung else one.status} | {one.seconds:.0f} |",
            flush=True,
        )
        below += [
            f"* {', '.join(uses) or 'nothing'}: {times} times `{line}`"
            for line, times in one.trouble.most_common(6)
        ]
    print("\n" + "\n".join(below))
    if options.control:
        return 0
    sound = found[RECIPE].complete and found[RECIPE].status == found[()].status
    print("\nNothing was lost." if sound else "\nNOT SOUND.")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
