"""What the tests of the core share: a user's variable, a tracer of their own, ways to wait."""

from __future__ import annotations

import concurrent.futures
import contextlib
import gc
import subprocess
import sys
import textwrap
import threading
import traceback
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

LIMIT = 20.0  # seconds; only ever reached by a failure

USER: ContextVar[str] = ContextVar("user", default="nobody")
OTHER: ContextVar[str] = ContextVar("other", default="unset")


def user(*_: object) -> str:
    return USER.get()


@contextlib.contextmanager
def serving(name: str) -> Iterator[None]:
    """Serve a request of this user, in the context that is current."""
    token = USER.set(name)
    try:
        yield
    finally:
        USER.reset(token)


class Run:
    """A parent run: a plain object that can be weakly referenced."""


_current: ContextVar[weakref.ref[Run] | None] = ContextVar("current run", default=None)


class WeakTracer(ctxtrace.Carrier):
    """Holds its current run only weakly in the context, as LangSmith does from 0.7.30 on."""

    name = "weak tracer"

    def pin(self) -> Run | None:
        reference = _current.get()
        return None if reference is None else reference()

    def clear(self) -> None:
        _current.set(None)

    def variables(self) -> Iterable[ContextVar[Any]]:
        return (_current,)

    def revive(self, pin: object) -> None:
        if isinstance(pin, Run) and current_run() is None:
            _current.set(weakref.ref(pin))

    @contextlib.contextmanager
    def run(self) -> Iterator[weakref.ref[Run]]:
        run = Run()
        token = _current.set(weakref.ref(run))
        try:
            yield weakref.ref(run)
        finally:
            _current.reset(token)


def current_run() -> Run | None:
    """What a child that starts now would find for a parent."""
    reference = _current.get()
    return None if reference is None else reference()


def has_parent(*_: object) -> bool:
    return current_run() is not None


def has_current_run_set() -> bool:
    return _current.get() is not None


@contextlib.contextmanager
def without_garbage_collection() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def frames(error: BaseException | TracebackType | None) -> list[str]:
    """The functions a traceback goes through, from the near end."""
    if isinstance(error, BaseException):
        error = error.__traceback__
    return [frame.name for frame in traceback.extract_tb(error)]


def files_of_ours(error: BaseException | TracebackType | None) -> list[str]:
    """The lines of a traceback that are in the package."""
    if isinstance(error, BaseException):
        error = error.__traceback__
    package = ctxtrace.__file__.rsplit("__init__", 1)[0]
    return [
        f"{frame.filename}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error)
        if frame.filename.startswith(package)
    ]


def caught(function: Callable[..., object], *args: Any, **kwargs: Any) -> BaseException:
    try:
        function(*args, **kwargs)
    except BaseException as error:
        return error
    raise AssertionError(f"{function!r} raised nothing")


class Boom(Exception):
    pass


def fail(*_: object) -> None:
    raise Boom("on purpose")


class InlineExecutor(concurrent.futures.Executor):
    """Somebody else's executor: keeps the calls, and makes them when told to."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []
        self.stopped: list[dict[str, Any]] = []
        self.colour = "green"

    def submit(
        self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> concurrent.futures.Future[Any]:
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def call() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        self.calls.append(call)
        return future

    def work(self) -> None:
        while self.calls:
            self.calls.pop(0)()

    def shutdown(self, wait: bool = True, **kwargs: Any) -> None:
        self.stopped.append({"wait": wait, **kwargs})


def in_a_subprocess(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def own_thread() -> str:
    """Whom a thread sees that the request starts for itself."""
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.append(user()))
    thread.start()
    thread.join(LIMIT)
    return seen[0]


def as_seen_by_the_next_request(
    kind: Callable[[contextlib.ExitStack], Callable[[], object]], stack: contextlib.ExitStack
) -> object:
    """Start a worker in one request, and look into it from the next."""
    with serving("ada"):
        look = kind(stack)
        assert own_thread() == "ada"
    with serving("grace"):
        return look()
