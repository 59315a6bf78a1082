"""What run_workers.py and run_celery.py share: the server's process, and what of it arrived."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from _collector import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _collector import Collector

FOLDER = Path(__file__).parent
PATIENCE = 120.0

# What the servers print when they end one of their processes because it does not answer.
HANGS = re.compile(r"WORKER TIMEOUT|SIGKILL|[Tt]imed? ?out", re.ASCII)


class Server:
    """A server's process and those that it starts, with what they print."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.lines: list[str] = []
        self.done: list[str] = []
        """The keys of what the processes said that they have done."""
        self._changed = threading.Condition()
        self._ended = False
        self._gone = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=FOLDER,
            env=environment,
            # So that what hangs can be ended with all its processes.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout:  # type: ignore[union-attr]
            with self._changed:
                # Two processes' lines may be in one another's.
                if said := re.search(r"said: done (\S+)", line):
                    self.done.append(said[1])
                else:
                    self.lines.append(line.rstrip())
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def port(self) -> int:
        """Wait until it listens, and return where."""
        # uvicorn's supervisor says first where it will listen; its first worker listens there.
        uvicorn = r"running on(?=[^$]*Application startup complete)"
        said = rf"(?:Listening at|{uvicorn}).*?127\.0\.0\.1:(\d+)"

        def find() -> re.Match[str] | None:
            return re.search(said, "\n".join(self.lines))

        if not self.wait_until(find):
            self.kill()
            raise SystemExit("the server did not start:\n" + "\n".join(self.lines[-40:]))
        return int(find()[1])  # type: ignore[index]

    def wait_until(self, reached: Callable[[], object]) -> bool:
        """Wait until `reached()`, which is asked after each line, or until the server has ended."""
        with self._changed:
            self._changed.wait_for(lambda: reached() or self._ended, PATIENCE)
            return bool(reached())

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def end(self, number: int) -> int | None:
        """Send the signal and return the exit status, or None if it did not end by itself.

        Its processes have ended, too, when the pipe that they share has.
        """
        self._process.send_signal(number)
        try:
            status = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            return None
        self._reader.join(PATIENCE)
        if self._reader.is_alive():
            self.kill()
            return None
        self._gone = True
        return status

    def kill(self) -> None:
        """End what is left of it, by force."""
        if self._gone:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)


def environment(collector: Collector, uses: Iterable[str], **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LANG", "OTEL_", "CTXTRACE"))}
    return {
        **kept,
        "LANGSMITH_TRACING": "true",
        "LANGSMITH_ENDPOINT": collector.url,
        "LANGSMITH_API_KEY": "none",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "NO_PROXY": "127.0.0.1",
        "WORKERS_USES": " ".join(uses),
        "PYTHONUNBUFFERED": "1",
        **more,
    }


class Arrived(NamedTuple):
    """What one of the two tracers sent."""

    count: int
    lost: int
    doubled: int
    misplaced: int

    def __str__(self) -> str:
        return f"{self.count:,} (lost {self.lost:,}, doubled {self.doubled:,})"


def arrived(nodes: dict[str, Node], times: Iterable[Counter[str]], keys: list[str]) -> Arrived:
    """Compare what the collector has with the keys of what was done.

    `times` are how often the parts of each run (its begin and its end) or each span arrived. What
    nobody was told of, because the connection broke before the answer, may be missing, but not
    doubled.
    """
    whole: dict[str, list[Node]] = {}
    doubled = 0
    for key, node in nodes.items():
        doubled += max(each[key] for each in times) > 1
        # FastAPI opens spans of its own once there is a provider.
        if node.name.startswith(("request ", "step ")) and all(each[key] for each in times):
            whole.setdefault(node.name, []).append(node)
    doubled += sum(len(same) - 1 for same in whole.values())
    lost = misplaced = 0
    for key in keys:
        roots, steps = whole.get(f"request {key}", []), whole.get(f"step {key}", [])
        lost += (not roots) + (not steps)
        misplaced += sum(step.parent not in {root.key for root in roots} for step in steps)
    return Arrived(sum(map(len, whole.values())), lost, doubled, misplaced if not lost else 0)


def prove() -> None:
    """Show that the count can fail: the servers without ctxtrace lose, but do not double."""
    nodes = {
        "a": Node("a", None, "request 1", "", None),
        "b": Node("b", "a", "step 1", "", None),
        "c": Node("c", None, "request 2", "", None),
        "d": Node("d", "c", "step 2", "", None),
    }
    again = {**nodes, "e": Node("e", None, "request 2", "", None)}
    elsewhere = {**nodes, "d": Node("d", "a", "step 2", "", None)}
    keys = ["1", "2"]
    once = Counter("abcd")
    assert arrived(nodes, [once, once], keys) == Arrived(4, 0, 0, 0)
    assert arrived(nodes, [once, Counter("abc")], keys) == Arrived(3, 1, 0, 0)  # left open
    assert arrived(nodes, [Counter("abcdd"), once], keys) == Arrived(4, 0, 1, 0)  # posted twice
    assert arrived(again, [Counter("abcde")], keys) == Arrived(5, 0, 1, 0)  # under two ids
    assert arrived(elsewhere, [once], keys) == Arrived(4, 0, 0, 1)
    assert arrived(nodes, [once], [*keys, "3"]) == Arrived(4, 2, 0, 0)


class Outcome(NamedTuple):
    """What is left of one run of a server."""

    answered: int
    retried: int
    imports: int
    runs: Arrived
    spans: Arrived
    status: int | None
    trouble: Counter[str]
    """What the server printed that should not have been printed."""
    seconds: float

    @property
    def hung(self) -> bool:
        return self.status is None or any(HANGS.search(line) for line in self.trouble)

    @property
    def complete(self) -> bool:
        return not any(self.runs[1:]) and not any(self.spans[1:]) and not self.hung


_TROUBLE = re.compile(
    r"\[ERROR\]|\[WARNING\]|\[CRITICAL\]|^(ERROR|WARNING|CRITICAL)|WARNING/|ERROR/|CRITICAL/"
    r"|Traceback|\w+(Error|Exception|Warning)\b|WORKER TIMEOUT|SIGKILL|Failed|failed"
)


def trouble(lines: list[str]) -> Counter[str]:
    """Count the lines that tell of something wrong, without the numbers in them."""
    # Celery warns whoever runs it as root, as containers do.
    found = (line for line in lines if _TROUBLE.search(line) and "SecurityWarning" not in line)
    return Counter(re.sub(r"^\[[^]]*\] |\b\d+\b", "#", line)[:200] for line in found)


def outcome(
    server: Server,
    collector: Collector,
    answered: list[str],
    retried: int,
    status: int | None,
    seconds: float,
) -> Outcome:
    if collector.refused:
        raise SystemExit(f"posts that the collector does not know: {set(collector.refused)}")
    keys = sorted({*answered, *server.done})
    return Outcome(
        len(answered),
        retried,
        sum(key.startswith("import-") for key in server.done),
        arrived(collector.langsmith, (collector.times_posted, collector.times_ended), keys),
        arrived(collector.opentelemetry, (collector.times_exported,), keys),
        status,
        trouble(server.lines),
        seconds,
    )
