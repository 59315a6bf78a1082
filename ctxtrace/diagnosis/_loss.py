"""What is said of a lost run: where it was lost, and what to write there instead."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from ..testing._shape import printable
from ..testing._words import in_source

How = Literal["split", "missing", "leak"]

_SAID: dict[How, str] = {
    "split": "started a trace of its own",
    "missing": "was never recorded, though tracing was on where it was called from",
    "leak": "took a parent that it should not have",
}


class Fix(NamedTuple):
    """The one change that keeps the run where it belongs."""

    use: str
    """The public name of ctxtrace that it is made with, such as ``"ThreadPoolExecutor"``."""

    text: str
    """What to write."""


class Place(NamedTuple):
    """One side of a crossing.

    Attributes:
        thread: Name of the thread; None if the work never arrived there.
        task: Name of the asyncio or trio task, or None.
    """

    thread: str | None
    task: str | None


class Loss(NamedTuple):
    """One run that lost its trace, and why.

    Attributes:
        run: Its name.
        source: Who recorded it: ``"langsmith"`` or ``"otel"``.
        how: ``"split"``, it became a root; ``"missing"``, it was never recorded; ``"leak"``, it
            took a parent that it should not have.
        kind: What was called there, as in ``"ThreadPoolExecutor.submit"``, or what happened.
        file: The file of the user's line at which it was lost; None where there is none.
        line: Its number.
        function: The function that the line is in.
        package: The installed package that crosses there, if it is not the user's own code.
        caller: Names of the runs that its caller was in, the outermost first.
        left: The thread and task it was called in.
        arrived: The thread and task it started in.
        consumer: File and line of what steps the generator, if it was lost in one.
        fix: What to write there instead.
    """

    run: str
    source: str
    how: How
    kind: str
    file: str | None
    line: int
    function: str
    package: str | None
    caller: tuple[str, ...]
    left: Place
    arrived: Place
    consumer: tuple[str, int] | None
    fix: Fix

    def __str__(self) -> str:
        name = printable(self.run) or "?"
        inside = f" inside {printable(self.package)}" if self.package else ""
        at = "" if self.file is None else f" at {in_source(self.file, self.line)}"
        of = f" in {printable(self.function)}" if self.function else ""
        held = "held" if self.how == "leak" else "lost"
        rows = [
            f"{name}  {_SAID[self.how]}",
            f"{held}{at}{of}: {printable(self.kind)}{inside}{_there(self.arrived)}",
        ]
        if self.consumer is not None:
            rows.append(f"its generator is stepped at {in_source(*self.consumer)}")
        if self.caller:
            rows.append(f"its caller was in: {' > '.join(map(printable, self.caller))}")
        rows.append(f"write: {self.fix.text}")
        return ("\n" + " " * 4).join(rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the same as data that `json.dumps` takes. Names lose control characters."""
        return {
            "run": printable(self.run),
            "source": self.source,
            "how": self.how,
            "kind": printable(self.kind),
            "file": None if self.file is None else printable(self.file),
            "line": self.line,
            "function": printable(self.function),
            "package": None if self.package is None else printable(self.package),
            "caller": [printable(name) for name in self.caller],
            "left": _names(self.left),
            "arrived": _names(self.arrived),
            "consumer": None
            if self.consumer is None
            else {"file": printable(self.consumer[0]), "line": self.consumer[1]},
            "fix": self.fix._asdict(),
        }


def _names(place: Place) -> dict[str, str | None]:
    return {
        what: None if name is None else printable(name) for what, name in place._asdict().items()
    }


def _there(place: Place) -> str:
    if place.task is not None:
        return f" (task {printable(place.task)})"
    return "" if place.thread is None else f" (thread {printable(place.thread)})"


_POOL = Fix("ThreadPoolExecutor", "from ctxtrace import ThreadPoolExecutor")
# By what is called, or by what happened.
_FIXES = {
    "ThreadPoolExecutor.submit": _POOL,
    "ThreadPoolExecutor.map": _POOL,
    "loop.run_in_executor": Fix(
        "run_in_executor", "await ctxtrace.run_in_executor(executor, function, ...)"
    ),
    "Thread.start": Fix("Thread", "from ctxtrace import Thread"),
    "Timer.start": Fix("Timer", "from ctxtrace import Timer"),
    "asyncio.create_task": Fix("create_task", "from ctxtrace import create_task"),
    "TaskGroup.create_task": Fix("TaskGroup", "from ctxtrace import TaskGroup"),
    "asyncio.gather": Fix("gather", "from ctxtrace import gather"),
    # These wrap what is there, and it is the taking that brings the context.
    "Queue.put": Fix(
        "ContextQueue",
        "items = ctxtrace.ContextQueue(items), and `with items.receive() as item:` to take one",
    ),
    "asyncio.Queue.put": Fix(
        "AsyncContextQueue",
        "items = ctxtrace.AsyncContextQueue(items), and `async with items.receive() as item:` "
        "to take one",
    ),
    "MemoryObjectSendStream.send": Fix(
        "context_stream",
        "send, receive = ctxtrace.context_stream(send, receive), and "
        "`async with receive.receive() as item:` to take one",
    ),
    "TaskGroup.start_soon": Fix("create_task_group", "from ctxtrace import create_task_group"),
}


def fix_of(kind: str, package: str | None) -> Fix:
    """Return what to write where a context is lost in a crossing of this kind."""
    if package is not None:
        return INSTALL
    if kind in _FIXES:
        return _FIXES[kind]
    if kind.endswith("(context=...)"):
        return SNAPSHOT
    if kind.startswith(("loop.create_task", "asyncio.ensure_future")):
        return _FIXES["asyncio.create_task"]
    return Fix("wrap", f"ctxtrace.wrap(...) around the function that {kind} is given")


STREAMING = Fix("streaming", "@ctxtrace.streaming on the generator function")
DETACHED = Fix("detached", "with ctxtrace.detached(): around what starts it")
WRAP_LATE = Fix("wrap", "ctxtrace.wrap(function) where the work is handed over, not at its def")
SNAPSHOT = Fix("capture", "contextvars.copy_context() in place of that context")
INSTALL = Fix("install", "ctxtrace.install() at the top of the program")
