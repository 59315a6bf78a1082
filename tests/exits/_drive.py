"""Run one cell: the program, the server that it sends to, and what came of it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from _collector import GATED, Collector, Refusing

if TYPE_CHECKING:
    from _cells import Cell
    from _collector import Tally

LIMIT = 20.0
"""Seconds from one word of a program to the next, or to its end. A hang is a failure."""
START_LIMIT = 90.0
"""Until the first: imports, on a busy machine."""
DEADLINE = 1.0
"""What flush_on_exit is given where the server refuses."""
SLACK = 3.0
"""What the end may take longer than that: the interpreter's own end, on a busy machine."""

_SIGNALS = {"sigint": signal.SIGINT, "sigkill": signal.SIGKILL}


class Outcome(NamedTuple):
    """What one run of a program came to."""

    recorded: int
    arrived: int
    lost: list[str]
    """Those of the runs that must arrive that did not."""
    wrong: list[str]
    """Everything else that must not be: doubles, statuses, tracebacks, a hang."""
    seconds: float
    """From when it was about to leave, or the signal was sent."""
    hung: bool
    printed: str

    @property
    def good(self) -> bool:
        return not self.lost and not self.wrong


class _Watch:
    """Aborts what takes too long, so that its threads' places are printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._timer: threading.Timer | None = None
        self.hung = False

    def within(self, seconds: float) -> None:
        self.stop()
        self._timer = threading.Timer(seconds, self._abort)
        self._timer.start()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()

    def _abort(self) -> None:
        self.hung = True
        # The whole session of processes. faulthandler prints, and then they die.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGABRT)


def run(cell: Cell, *, flushed: bool) -> Outcome:
    collector = Collector(compressed=cell.tracer == "compressed")
    refusing = Refusing()
    try:
        return _run(cell, collector, refusing, flushed)
    finally:
        refusing.stop()


def _run(cell: Cell, collector: Collector, refusing: Refusing, flushed: bool) -> Outcome:
    url = refusing.url if cell.refused else collector.url
    gated = url + GATED if cell.gated else url
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("LANG", "OTEL_", "CTXTRACE"))},
        "LANGSMITH_TRACING": "true",
        "LANGSMITH_API_KEY": "none",
        "LANGSMITH_ENDPOINT": gated if cell.start == "main" else url,
        "LANGSMITH_USE_DAEMON": "true" if cell.tracer == "daemon" else "false",
        "EXITS_CHILD_ENDPOINT": gated,
        "EXITS_OTEL_ENDPOINT": f"{url}/v1/traces",
        "EXITS_TIMEOUT": str(DEADLINE if cell.refused else 10.0),
        "NO_PROXY": "127.0.0.1",
        # That a process with threads is forked is what is tested.
        "PYTHONWARNINGS": "ignore::DeprecationWarning",
    }
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as printed:
        environment["EXITS_FOLDER"] = folder
        process = subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).with_name("_program.py")),
                *("--exit", cell.exit, "--start", cell.start, "--tracer", cell.tracer),
                *(["--flush-on-exit"] if flushed else []),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=printed,
            text=True,
            env=environment,
            start_new_session=True,
        )
        watch = _Watch(process)
        watch.within(START_LIMIT)
        statuses: list[int] = []
        names = list(cell.names)
        left = time.perf_counter()
        assert process.stdout is not None
        try:
            # Until all of its processes have closed it.
            for line in process.stdout:
                said = json.loads(line)
                if "child" in said:
                    statuses.append(said["child"])
                    names += said.get("recorded", ())
                    collector.open()
                    continue
                left = time.perf_counter()
                watch.within(LIMIT)
                if "signal_me" in said:
                    os.kill(said["pid"], _SIGNALS.get(cell.exit, signal.SIGTERM))
                    collector.open()
            status = process.wait()
            seconds = time.perf_counter() - left
        finally:
            watch.stop()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
            collector.stop()
        printed.seek(0)
        text = printed.read()
        places = "".join(
            f"\nprocess {file.stem}:\n{file.read_text()}"
            for file in sorted(Path(folder).iterdir())
            if file.stat().st_size
        )
    if not watch.hung:
        statuses.append(status)
    outcome = _judge(cell, collector, names, statuses, text, seconds, watch.hung)
    return outcome._replace(printed=text + places)


def _judge(
    cell: Cell,
    collector: Collector,
    names: list[str],
    statuses: list[int],
    text: str,
    seconds: float,
    hung: bool,
) -> Outcome:
    tallies: list[tuple[str, Tally]] = []
    if cell.langsmith:
        tallies.append(("LangSmith", collector.langsmith))
    if cell.opentelemetry:
        tallies.append(("OpenTelemetry", collector.opentelemetry))
    arrived, lost, wrong = 0, [], []
    for backend, tally in tallies:
        arrived += sum(tally.once(name) for name in names)
        lost += [
            name
            for name in (*cell.to_be_saved, *names[len(cell.names) :])
            if not tally.created[name]
        ]
        wrong += [
            f"{name} was left open"
            for name in names
            if tally.created[name] and not tally.ended[name]
        ]
        wrong += [
            f"{backend}: {name} was created {tally.created[name]} and ended {tally.ended[name]} "
            "times"
            for name in tally.doubled()
        ]
        if not hung:  # which says too little
            wrong += [f"{name}: who recorded it?" for name in tally.created.keys() - set(names)]
        if cell.start == "fork-open":
            below = {name for name, parent in tally.parents.items() if parent}
            right = {f"child-{n}" for n in range(3)} | {"parent-2"}
            if any(tally.parents[name] != tally.ids.get("open") for name in below) or not (
                below <= right
            ):
                wrong.append(f"{backend}: other parents than the open run: {sorted(below)}")
            if missing := sorted((right & tally.created.keys()) - below):
                wrong.append(f"{backend}: not below the open run: {', '.join(missing)}")
    expected = [cell.status] if cell.start == "main" or cell.pool else [cell.status, 0]
    if hung:
        wrong.append(f"did not end within {LIMIT:.0f} s")
    elif statuses != expected:
        wrong.append(f"exit status {statuses} instead of {expected}")
    if not cell.refused:  # where the vendors say what they cannot send
        wrong += complaints(text, cell.last_line)
    elif not hung and seconds > DEADLINE + SLACK:
        wrong.append(f"took {seconds:.1f} s to end")
    wrong += [f"not understood: {what}" for what in collector.not_understood]
    recorded = len(names) * len(tallies)
    return Outcome(recorded, arrived, lost, wrong, seconds, hung, text)


def complaints(text: str, last_line: str | None) -> list[str]:
    """What was printed beside the one traceback that is expected."""
    found = []
    tracebacks = text.count("Traceback (most recent call last)")
    if tracebacks > (last_line is not None):
        found.append(f"printed {tracebacks} tracebacks")
    for line in text.splitlines():
        if (
            not line.strip()
            or line.startswith((" ", "Traceback (most recent", "Process "))
            or line == last_line
        ):
            continue
        found.append(f"printed: {line[:160]}")
    return found[:6]
