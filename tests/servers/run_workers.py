"""Recycle the workers of real servers under load, end them, and count what was recorded.

    python tests/servers/run_workers.py [--requests 2000] [--only gthread --only TERM ...]

Real gunicorn with its sync, gthread and uvicorn workers, with and without ``--preload``, and real
uvicorn with several workers. Each worker ends after some requests and another takes its place;
at last the server is ended by a signal in the middle of the load. Every request that was answered
must have arrived with a collector of ours, in LangSmith's form and in OpenTelemetry's, once and
ended, and so must what each process recorded while it imported the application.

Beside each stands the control: the same server without ctxtrace, and what it lost.
Prints Markdown and exits with status 1 if anything was lost or doubled with ctxtrace, or hung.
"""

from __future__ import annotations

import argparse
import datetime
import http.client
import itertools
import os
import platform
import signal
import sys
import threading
import time
from importlib.metadata import version
from importlib.util import find_spec
from typing import NamedTuple

from _collector import Collector
from _workers_drive import FOLDER, PATIENCE, Outcome, Server, environment, outcome, prove

CLIENTS = 8
# Enough for each worker to end a few times.
MAX_REQUESTS, JITTER = 150, 50
# In the runs that only show what is needed; some of them wait for what never answers.
FEWER = 600

PACKAGES = (
    "gunicorn",
    "uvicorn",
    "uvicorn-worker",
    "fastapi",
    "langsmith",
    "opentelemetry-sdk",
    "opentelemetry-exporter-otlp-proto-http",
)
WORKERS = {
    "sync": ["sync", "_workers_app:application"],
    "gthread": ["gthread", "_workers_app:application"],
    "uvicorn": [
        # The package of its own is the newer of the two.
        "uvicorn_worker.UvicornWorker"
        if find_spec("uvicorn_worker")
        else "uvicorn.workers.UvicornWorker",
        "_workers_asgi:app",
    ],
}
ALL = ("flush_on_exit", "post_fork", "post_worker_init", "worker_exit")


def recipe(worker: str, end: str) -> tuple[str, ...]:
    """Return what a program of this kind is told to use."""
    # uvicorn's worker has a handler for SIGQUIT once it serves; until then it is killed at once,
    # in its imports, too.
    return (*ALL, "SIGQUIT") if worker == "uvicorn" and end == "QUIT" else ALL


class Case(NamedTuple):
    """One run of one server."""

    server: str
    worker: str
    preload: bool
    end: str
    uses: tuple[str, ...]
    """The parts of ctxtrace in it."""
    required: bool = True
    """Whether nothing may be lost; the others show what is needed."""

    def __str__(self) -> str:
        preload = "preload" if self.preload else "no preload"
        uses = " ".join(self.uses) or "nothing"
        return f"{self.server} {self.worker}".strip() + f", {preload}, {self.end}, uses {uses}"

    @property
    def control(self) -> Case:
        return self._replace(uses=(), required=False)

    def command(self) -> list[str]:
        if self.server == "uvicorn":
            command = ["uvicorn", "_workers_asgi:app", "--port", "0", "--workers", "2"]
            return [*command, "--limit-max-requests", str(MAX_REQUESTS), "--no-access-log"]
        worker, application = WORKERS[self.worker]
        command = ["gunicorn", application, "--config", str(FOLDER / "_gunicorn_conf.py")]
        command += ["--bind", "127.0.0.1:0", "--workers", "2", "--worker-class", worker]
        command += ["--max-requests", str(MAX_REQUESTS), "--max-requests-jitter", str(JITTER)]
        if self.worker == "gthread":
            command += ["--threads", "4"]
        return [*command, "--preload"] if self.preload else command


def cases() -> list[Case]:
    made = [
        Case("gunicorn", worker, preload, end, recipe(worker, end))
        for worker, preload, end in itertools.product(WORKERS, (False, True), ("TERM", "QUIT"))
    ]
    made.append(Case("uvicorn", "", False, "TERM", ("flush_on_exit", "lifespan")))
    # What is needed: with less, where most is lost without.
    made += [
        Case("gunicorn", worker, preload, "TERM", (use,), required=False)
        for worker, preload in (("gthread", True), ("uvicorn", True), ("uvicorn", False))
        for use in ALL
    ]
    made += [
        Case("uvicorn", "", False, "TERM", (use,), required=False)
        for use in ("flush_on_exit", "lifespan")
    ]
    return made


class Load:
    """A few clients that ask one request after the other until the server is gone.

    A request that is refused, because a worker was just being replaced, is sent again under
    another key: of the first nobody knows whether the application has seen it.
    """

    def __init__(self, server: Server, port: int) -> None:
        self.answered: list[str] = []
        self.retried = 0
        self.failed: list[str] = []
        self._server = server
        self._port = port
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask_all, args=(client,), daemon=True)
            for client in range(CLIENTS)
        ]
        for thread in self._threads:
            thread.start()

    def _ask_all(self, client: int) -> None:
        # uvicorn's worker says that it has started, and listens a moment later.
        answered_at = time.monotonic()
        for number in itertools.count():
            key = f"{client}-{number}"
            try:
                # For FastAPI: in the loop, and in one of its threads.
                self._ask("/threaded" if client % 2 else "/", key)
            except (OSError, http.client.HTTPException) as error:
                if self._ending.is_set():
                    return
                self.retried += 1
                if time.monotonic() - answered_at > PATIENCE / 2:
                    self.failed.append(repr(error))
                    return
            else:
                answered_at = time.monotonic()
                self.answered.append(key)
                self._server.wake()

    def _ask(self, path: str, key: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE / 2)
        try:
            connection.request("GET", f"{path}?{key}")
            response = connection.getresponse()
            said = response.read()
            if response.status != 200 or said != key.encode():
                raise http.client.HTTPException(f"status {response.status}")
        finally:
            connection.close()

    def ending(self) -> None:
        """From here on a request that fails is the last of its client."""
        self._ending.set()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)
            if thread.is_alive():
                self.failed.append("a client got neither an answer nor an error")


def run(case: Case, requests: int) -> Outcome:
    began = time.perf_counter()
    collector = Collector()
    collector.start()
    # uvicorn that is told to end while it imports the application ends by the signal, and its
    # lifespan never does: what was recorded there has nobody to send it. gunicorn's worker of it
    # has no handler for SIGQUIT then, and goes on recording until it is killed.
    by_signal = case.server == "uvicorn" or (case.worker, case.end) == ("uvicorn", "QUIT")
    imports = {"WORKERS_IMPORTS": "0"} if by_signal else {}
    server = Server(case.command(), environment(collector, case.uses, **imports))
    try:
        load = Load(server, server.port())
        server.wait_until(lambda: len(load.answered) >= requests or len(load.failed) == CLIENTS)
        load.ending()
        status = server.end(getattr(signal, f"SIG{case.end}"))
        load.join()
    finally:
        server.kill()
        collector.stop()
    if len(load.answered) < requests:
        server.lines.append(f"ERROR: {len(load.answered)} requests were answered, then timeout")
    server.lines += [f"ERROR: {failure}" for failure in load.failed]
    took = time.perf_counter() - began
    return outcome(server, collector, load.answered, load.retried, status, took)


def details(case: Case, found: Outcome, good: bool) -> list[str]:
    """Return what there is to say below the table."""
    said = [f"{times} times `{line}`" for line, times in found.trouble.most_common(6)]
    if found.runs.misplaced or found.spans.misplaced:
        said.append(f"misplaced: {found.runs.misplaced} runs, {found.spans.misplaced} spans")
    if not good:
        said.append(f"repeat it with `--only '{case}'`")
    return [f"* {case}: {'; '.join(said)}"] if said else []


def describe(found: Outcome) -> str:
    status = "HUNG" if found.hung else f"exit status {found.status}"
    return f"runs {found.runs}, spans {found.spans}; {status}"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=2000, help="in each run of a server")
    parser.add_argument("--only", action="append", default=[], help="cases whose text has this")
    parser.add_argument("--control", action="store_true", help="the controls alone")
    options = parser.parse_args()
    prove()
    chosen = [case for case in cases() if all(part in str(case) for part in options.only)]
    if options.control:
        chosen = list(dict.fromkeys(case.control for case in chosen))
    packages = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    print(f"# Workers that are recycled, {datetime.date.today()}\n")
    print(
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores; {packages}; {options.requests:,} requests and more in each run, "
        f"2 workers, each ended after {MAX_REQUESTS} requests (gunicorn: up to {JITTER} more).\n"
    )
    print(
        "| server | worker class | preload | end | with | answered | LangSmith runs | spans | lost "
        "| doubled | exit status | s | without ctxtrace |"
    )
    print(f"|{' --- |' * 13}")
    controls: dict[Case, Outcome] = {}
    below = []
    sound = bool(chosen)
    for case in chosen:
        if case.control not in controls:
            controls[case.control] = run(case.control, options.requests)
            below += details(case.control, controls[case.control], True)
        control = found = controls[case.control]
        if not options.control:
            found = run(case, options.requests if case.required else min(options.requests, FEWER))
        good = not case.required or (found.complete and found.status == control.status)
        if not options.control:
            below += details(case, found, good)
        sound = sound and good
        print(
            f"| {case.server} | {case.worker} | {'yes' if case.preload else 'no'} | {case.end} "
            f"| {', '.join(case.uses) or 'nothing'} "
            f"| {found.answered:,} (+{found.imports:,} at import) | {found.runs.count:,} "
            f"| {found.spans.count:,} | {found.runs.lost:,} runs, {found.spans.lost:,} spans "
            f"| {found.runs.doubled:,} runs, {found.spans.doubled:,} spans "
            f"| {'HUNG' if found.hung else found.status} | {found.seconds:.0f} "
            f"| {describe(control)}{'' if good else ' **BAD**'} |",
            flush=True,
        )
    print("\n" + "\n".join(below))
    if options.control:
        return 0
    print("\nNothing was lost." if sound else "\nNOT SOUND.")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
