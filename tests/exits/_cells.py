"""The cells of the table: how a process is started, how it ends, and who traces."""

from __future__ import annotations

from typing import NamedTuple

BUSY_FORKS = 8
"""Children of "fork-busy"."""

TRACERS = {
    "queue": "LangSmith, queue",
    "compressed": "LangSmith, compressed",
    "daemon": "LangSmith, queue, LANGSMITH_USE_DAEMON=true",
    "otel": "OpenTelemetry, BatchSpanProcessor",
    "both": "LangSmith, queue, and OpenTelemetry at once",
}

STARTS = {
    "main": "the main process",
    "fork": "child of os.fork",
    "fork-open": "child of os.fork inside an open run",
    "fork-busy": "8 children of os.fork while two threads record",
    "process-fork": "Process, fork",
    "process-spawn": "Process, spawn",
    "process-forkserver": "Process, forkserver",
    "pool-fork": "Pool, fork",
    "pool-spawn": "Pool, spawn",
    "executor-fork": "ProcessPoolExecutor, fork",
    "executor-spawn": "ProcessPoolExecutor, spawn",
}

EXITS = {
    "end": "end of main",
    "sys-exit": "sys.exit(3)",
    "exception": "uncaught exception",
    "sigterm": "SIGTERM, default action",
    "sigterm-handler": "SIGTERM, a handler set before flush_on_exit raises SystemExit",
    "sigterm-handler-after": "SIGTERM, a handler set after flush_on_exit raises SystemExit",
    "sigterm-asyncio": "SIGTERM, loop.add_signal_handler ends main",
    "sigint": "SIGINT",
    "atexit": "a run in an exit handler",
    "atexit-early": "a run in an exit handler registered before the tracer was made",
    "atexit-async": "a run of an async @traceable in an exit handler",
    "thread": "a run in a thread that outlives main",
    "pool-thread": "a run in a pool's thread that outlives main",
    "os-exit-flush": "os._exit after a flush",
    "os-exit": "os._exit",
    "sigkill": "SIGKILL",
    "terminate": "terminated",
}
# What an exit is called where it is a child's or a pool's.
_OTHER_WORDS = {("child", "end"): "end of its work", ("pool", "end"): "closed and joined"}

_STATUS = {
    "sys-exit": 3,
    "exception": 1,
    "sigterm": -15,
    "sigterm-handler": 3,
    "sigterm-handler-after": 3,
    "sigint": -2,
    "os-exit-flush": 5,
    "os-exit": 5,
    "sigkill": -9,
}
HOPELESS = ("os-exit", "sigkill")
"""Nothing runs between the last run and the end."""
_LATE = ("atexit", "atexit-early", "atexit-async", "thread", "pool-thread")


class Cell(NamedTuple):
    """One row of one tracer's table."""

    tracer: str
    start: str
    exit: str
    refused: bool = False
    """The server refuses connections: nothing can arrive, and the end must not wait for long."""

    @property
    def key(self) -> str:
        return "/".join((self.tracer, self.start, self.exit, *(["refused"] * self.refused)))

    @property
    def words(self) -> tuple[str, str]:
        kind = "main" if self.start == "main" else "pool" if self.pool else "child"
        words = _OTHER_WORDS.get((kind, self.exit), EXITS[self.exit])
        return STARTS[self.start], words + (", the server refuses" if self.refused else "")

    @property
    def pool(self) -> bool:
        return self.start.startswith(("pool", "executor"))

    @property
    def langsmith(self) -> bool:
        return self.tracer != "otel"

    @property
    def opentelemetry(self) -> bool:
        return self.tracer in ("otel", "both")

    @property
    def names(self) -> list[str]:
        """The runs that are recorded, in the order of the program."""
        if self.start == "fork-busy":
            # And those of the threads, as many as they come to.
            return ["parent-0", *(f"child-{n}" for n in range(BUSY_FORKS))]
        if self.start == "main":
            return [f"main-{n}" for n in range(3)] + ["late"] * (self.exit in _LATE)
        tested = [f"{'task' if self.pool else 'child'}-{n}" for n in range(3)]
        opened = ["open"] * (self.start == "fork-open")
        return [*(f"parent-{n}" for n in range(3)), *opened, *tested]

    @property
    def to_be_saved(self) -> list[str]:
        """Those of them that must arrive: what a hopeless child's parent recorded must, too."""
        if self.refused:
            return []
        if self.exit in HOPELESS:
            return [name for name in self.names if name.startswith("parent")]
        return self.names

    @property
    def status(self) -> int:
        """The exit status of the process that is looked at."""
        return 0 if self.pool else _STATUS.get(self.exit, 0)

    @property
    def last_line(self) -> str | None:
        """What the one traceback that may be printed ends with."""
        return {"exception": "RuntimeError: on purpose", "sigint": "KeyboardInterrupt"}.get(
            self.exit
        )

    @property
    def gated(self) -> bool:
        """Whether the client's first question is answered only once the end has come.

        It stands for a server that is far away. Without it, chance decides how much of a queue
        is sent in the last millisecond. The compressor sends every half a second, the
        BatchSpanProcessor every five: they need none. So does a fork, where the client has asked.
        """
        return (
            self.exit in ("sigterm", *HOPELESS)
            and self.tracer in ("queue", "daemon", "both")
            and self.start in ("main", "process-spawn", "process-forkserver")
            and not self.refused
        )


_CHILD_EXITS = ("end", "sigterm", "exception", "os-exit-flush", "os-exit", "sigkill")


def _rows(tracer: str) -> list[Cell]:
    made = [
        Cell(tracer, "main", kind)
        for kind in EXITS
        if kind != "terminate" and not (kind == "atexit-async" and tracer == "otel")
    ]
    made += [Cell(tracer, "main", kind, refused=True) for kind in ("end", "sigterm")]
    made += [Cell(tracer, "fork", kind) for kind in ("sys-exit", *_CHILD_EXITS)]
    made += [Cell(tracer, "fork-open", "end"), Cell(tracer, "fork-busy", "end")]
    made += [
        Cell(tracer, f"process-{method}", kind)
        for method in ("fork", "spawn", "forkserver")
        # Daemon threads are the same in all children; and forkserver's are spawn's.
        for kind in (_CHILD_EXITS[:3] if tracer == "daemon" or method != "fork" else _CHILD_EXITS)
    ]
    made += [Cell(tracer, "pool-fork", kind) for kind in ("end", "terminate")]
    made += [
        Cell(tracer, start, "end") for start in ("pool-spawn", "executor-fork", "executor-spawn")
    ]
    return made


_BOTH = [
    Cell("both", "main", "end"),
    Cell("both", "main", "sigterm"),
    Cell("both", "main", "thread"),
    Cell("both", "fork", "end"),
    Cell("both", "fork-open", "end"),
    Cell("both", "process-fork", "end"),
    Cell("both", "process-spawn", "sigterm"),
]
_QUICK = (
    ("main", "end"),
    ("main", "sigterm"),
    ("main", "thread"),
    ("fork-open", "end"),
    ("process-fork", "end"),
    ("process-spawn", "sigterm"),
)


def cells(*, quick: bool) -> list[Cell]:
    made = [cell for tracer in TRACERS if tracer != "both" for cell in _rows(tracer)] + _BOTH
    if quick:
        made = [
            cell
            for cell in made
            if cell.tracer in ("queue", "otel")
            and (cell.start, cell.exit) in _QUICK
            and not cell.refused
        ]
    return made
