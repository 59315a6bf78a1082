"""Where a run starts: the thread, the task, and the line of somebody's own code."""

from __future__ import annotations

import sys
import threading
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

from .._compat import is_standard_library
from .._errors import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
        scene: What `look` has seen there.
    """

    thread: str
    task: str | None
    position: tuple[str, int] | None
    scene: Any = None


# Called with the frame a run starts in, while somebody diagnoses.
look: Callable[[FrameType], object] | None = None


def here() -> Place:
    """Return where the caller's caller is, past the frames of tracers and installed packages."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    # Tasks, and the functions in frames, may be of anybody's making.
    return Place(
        thread_name(),
        guard("the recording of runs", task),
        guard("the recording of runs", _position, frame),
        None if look is None else guard("diagnose()", look, frame),
    )


def thread_name() -> str:
    """Return the name of the thread that runs this, also if Python did not make it."""
    # Not current_thread(), which would enter such a thread into the list of those that run.
    thread = _threads.get(threading.get_ident())
    return "a thread that Python did not start" if thread is None else thread.name


_threads: dict[int, threading.Thread] = vars(threading).get("_active", {})


def task() -> str | None:
    """Return the name of the asyncio or trio task that runs in this thread, or None."""
    task = running_task()
    if task is None:
        return None
    return str(task.name if hasattr(task, "name") else task.get_name())


def running_task() -> Any:
    """Return the asyncio or trio task that runs in this thread, or None."""
    # Looked up, not imported: where nobody imported it, no loop of its runs. It may be half
    # imported.
    asyncio: Any = sys.modules.get("asyncio")
    if asyncio is not None and hasattr(asyncio, "current_task"):
        loop = asyncio._get_running_loop()
        task = None if loop is None else asyncio.current_task(loop)
        if task is not None:
            return task
    trio: Any = sys.modules.get("trio")
    if trio is not None:
        try:
            return trio.lowlevel.current_task()
        except RuntimeError:  # nor here
            pass
    return None


def _position(frame: FrameType | None) -> tuple[str, int] | None:
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if is_users(module, frame.f_code):
            return frame.f_code.co_filename, frame.f_lineno
        # The function that a tracer's decorator was put on, or that a runnable was made of:
        # in a thread's first call there is no frame of the user's beside it.
        for function in _functions_in(frame) if _package(module) in _SHOW_FUNCTIONS else ():
            code = None if function is None else _code_of(function)
            if code is not None and is_users(str(getattr(function, "__module__", "")), code):
                return code.co_filename, code.co_firstlineno
        frame = frame.f_back
    return None


def is_users(module: str, code: CodeType) -> bool:
    """Whether code is the user's own: not Python's, a tracer's, or of an installed package."""
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
