"""Where a run starts: the thread, the task, and the line of somebody's own code."""

from __future__ import annotations

import sys
import threading
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

from .._compat import is_standard_library
from .._errors import guard

if TYPE_CHECKING:
    from collections.abc import Iterator

# Whose code is looked through on the way to the user's, installed like a user's or not.
_TRACERS = frozenset(
    {"ctxtrace", "langchain_core", "langgraph", "langsmith", "opentelemetry", "wrapt"}
)
_INSTALLED = ("site-packages", "dist-packages")
# In whose frames the function is looked for that a run is of. In no others: before Python 3.13
# a frame that was looked into keeps what its variables held, and the frame of a pool's worker
# does not end. Decorators that are context managers, as OpenTelemetry's, call from contextlib.
_SHOW_FUNCTIONS = _TRACERS | {"contextlib"}


class Place(NamedTuple):
    """Where a run starts.

    Attributes:
        thread: Name of the thread.
        task: Name of the asyncio or trio task, or None.
        position: File and line of the function that the run is of, or of the code that opened
            it; None where no frame of the user's shows it.
    """

    thread: str
    task: str | None
    position: tuple[str, int] | None


def here() -> Place:
    """Return where the caller's caller is, past the frames of tracers and installed packages."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    # Tasks, and the functions in frames, may be of anybody's making.
    return Place(
        threading.current_thread().name,
        guard("the recording of runs", _task),
        guard("the recording of runs", _position, frame),
    )


def _task() -> str | None:
    # Looked up, not imported: where nobody imported it, no loop of its runs.
    asyncio: Any = sys.modules.get("asyncio")
    if asyncio is not None and (current_task := getattr(asyncio, "current_task", None)):
        try:
            task = current_task()
        except RuntimeError:  # no loop runs in this thread
            task = None
        if task is not None:
            return str(task.get_name())
    trio: Any = sys.modules.get("trio")
    if trio is not None:
        try:
            return str(trio.lowlevel.current_task().name)
        except RuntimeError:  # nor here
            pass
    return None


def _position(frame: FrameType | None) -> tuple[str, int] | None:
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if _is_users(module, frame.f_code):
            return frame.f_code.co_filename, frame.f_lineno
        # The function that a tracer's decorator was put on, or that a runnable was made of:
        # in a thread's first call there is no frame of the user's beside it.
        for function in _functions_in(frame) if _package(module) in _SHOW_FUNCTIONS else ():
            code = None if function is None else _code_of(function)
            if code is not None and _is_users(str(getattr(function, "__module__", "")), code):
                return code.co_filename, code.co_firstlineno
        frame = frame.f_back
    return None


def _is_users(module: str, code: CodeType) -> bool:
    return (
        _package(module) not in _TRACERS
        and not any(folder in code.co_filename for folder in _INSTALLED)
        and not is_standard_library(module)
    )


def _package(module: str) -> str:
    return module.partition(".")[0]


def _functions_in(frame: FrameType) -> Iterator[Any]:
    variables = frame.f_locals
    yield variables.get("func")
    attributes = _attributes(variables.get("self"))
    # LangGraph runs a node as a sequence: its function, then what writes the result.
    steps = attributes.get("steps")
    first = steps[0] if isinstance(steps, list) and steps else None
    for holder in (attributes, _attributes(first)):
        for name in ("func", "afunc", "coroutine"):
            yield holder.get(name)


def _attributes(holder: object) -> dict[str, Any]:
    # Past __getattr__, which may be anybody's.
    return getattr(holder, "__dict__", None) or {}


def _code_of(function: Any) -> CodeType | None:
    # As in inspect.unwrap(), which a function that pretends to everything could keep for ever.
    for _ in range(20):
        code = getattr(function, "__code__", None)
        inner = getattr(function, "__wrapped__", None) or getattr(function, "func", None)
        if inner is None:
            return code if isinstance(code, CodeType) else None
        function = inner
    return None
