"""Turn every place to a recorder where LangSmith decides what becomes of a run.

LangSmith decides in many places whether a run is traced and where it goes: context
variables, module globals, a cached client, environment variables behind a cache of their
own. A recorder that is made current by context variables alone is lost in a raw thread, which
is the very case under test, so every one of these places is turned to the recorder while it
is active. What LangSmith sees of the environment is changed by standing in front of its
`get_env_var`; its caches never hear of it, so there is nothing in them to put back.
"""

# LangSmith is not installed where the types are checked.
# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextvars import ContextVar, Token

    from langsmith import Client

# What `get_env_var` answers while a recording is active; for all other names it answers as
# ever, so that a client that the program makes for itself keeps its endpoint, its key and its
# privacy settings. LangSmith asks for each under LANGSMITH_ and LANGCHAIN_.
_ANSWERS: dict[str, str | None] = {
    "TRACING": "true",
    "TRACING_V2": "true",
    # Each of these sends runs elsewhere, drops some, or makes them something else than runs.
    "AGENT_ENVIRONMENT": None,
    "AGENT_ID": None,
    "OTEL_ENABLED": None,
    "OTEL_ONLY": None,
    "RUNS_ENDPOINTS": None,
    "TRACING_MODE": None,
    "TRACING_SAMPLING_RATE": None,
    "USE_PYO3_CLIENT": None,
}

# Context variables that would win over the recorder where the recording begins.
_HIDDEN = (
    ("langsmith._internal._context", "_ADDRESS"),
    ("langsmith._internal._context", "_CLIENT"),
    ("langsmith._internal._context", "_PARENT_RUN_TREE"),
    ("langsmith._internal._context", "_PARENT_RUN_TREE_REF"),
    ("langsmith._internal._context", "_TRACING_ENABLED"),
    ("langsmith.run_trees", "_DISTRIBUTED_PARENT_ID"),
    ("langsmith.run_trees", "_REPLICAS"),
    ("langchain_core.runnables.config", "var_child_runnable_config"),
    ("langchain_core.tracers.context", "tracing_v2_callback_var"),
)


class _Recorder(Protocol):
    client: Client


_RecorderT = TypeVar("_RecorderT", bound=_Recorder)

_on_behalf = threading.local()


@contextlib.contextmanager
def turned_to(make: Callable[[], _RecorderT]) -> Generator[_RecorderT, None, None]:
    """Have every run of the process go to one client; put everything back at the end.

    Args:
        make: Makes the recorder and its client. Called once, when LangSmith sees nothing of
            the environment any more that could give the new client a mind of its own.

    Yields:
        What was made.

    Raises:
        ImportError: LangSmith is not installed.
        RuntimeError: This LangSmith is not laid out as the known ones are.
    """
    import langsmith._internal._aiter as aiter_
    import langsmith._internal._context as context
    from langsmith import run_trees, utils

    with contextlib.ExitStack() as undo:
        undo.enter_context(_replaced(utils, "get_env_var", _deaf(_part(utils, "get_env_var"))))
        undo.enter_context(
            _replaced(aiter_, "aio_to_thread", _said_for(_part(aiter_, "aio_to_thread")))
        )
        with _unset("LANGSMITH_RUNS_ENDPOINTS"):
            recorder = make()
        _part(run_trees, "_CLIENT")
        undo.enter_context(_replaced(run_trees, "_CLIENT", recorder.client))
        for name, value in (
            ("_GLOBAL_TRACING_ENABLED", True),
            ("_GLOBAL_CLIENT", recorder.client),
            ("_GLOBAL_ADDRESS", None),
        ):
            if hasattr(context, name):
                undo.enter_context(_replaced(context, name, value))
        undo.enter_context(_hidden())
        yield recorder


def _part(module: Any, name: str) -> Any:
    """Return what LangSmith keeps under this name; without it nothing can be recorded."""
    try:
        return getattr(module, name)
    except AttributeError:
        from importlib.metadata import version

        raise RuntimeError(
            f"cannot record LangSmith {version('langsmith')}: {module.__name__}.{name} is not "
            "there, and without it runs could leave the process. Update ctxtrace."
        ) from None


@contextlib.contextmanager
def _replaced(module: Any, name: str, value: Any) -> Generator[None, None, None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        # A function that install() has replaced since hands on to ours, and is to stay.
        if getattr(module, name) is value or not callable(value):
            setattr(module, name, before)


@contextlib.contextmanager
def _unset(name: str) -> Generator[None, None, None]:
    """Take a variable out of the environment.

    Only while the client is made, and only the one that `Client` looks up past `get_env_var`,
    to refuse it beside an endpoint: other threads see the environment too.
    """
    value = os.environ.pop(name, None)
    try:
        yield
    finally:
        if value is not None:
            os.environ[name] = value


def _deaf(get_env_var: Any) -> Any:
    """Stand in front of LangSmith's look at the environment."""

    def get_env_var_while_recording(name: str, *args: Any, **kwargs: Any) -> Any:
        if name not in _ANSWERS:
            return get_env_var(name, *args, **kwargs)
        answer = _ANSWERS[name]
        if answer is not None:
            return answer
        return args[0] if args else kwargs.get("default")

    # Test suites clear this cache whenever they set a variable.
    for name in ("cache_clear", "cache_info"):
        setattr(get_env_var_while_recording, name, getattr(get_env_var, name, None))
    return get_env_var_while_recording


@contextlib.contextmanager
def _hidden() -> Generator[None, None, None]:
    set_here: list[tuple[ContextVar[Any], Token[Any]]] = []
    for module, name in _HIDDEN:
        variable = getattr(sys.modules.get(module), name, None)
        if variable is not None and variable.get(None) is not None:
            set_here.append((variable, variable.set(None)))
    try:
        yield
    finally:
        for variable, token in reversed(set_here):
            # An async fixture may end in another context than it began in. That context was
            # not changed, and the one that was is gone.
            with contextlib.suppress(ValueError):
                variable.reset(token)


def place() -> tuple[str, str | None]:
    """Return the names of the thread and the asyncio task that the run starts in."""
    for_whom: tuple[str, str | None] | None = getattr(_on_behalf, "place", None)
    if for_whom is not None:
        return for_whom
    import asyncio  # late: it costs as much as all the rest here

    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs in this thread
        task = None
    return threading.current_thread().name, None if task is None else task.get_name()


def _said_for(aio_to_thread: Any) -> Any:
    """Have runs of async functions say where they start, not where they are set up.

    `@traceable` sets up the run of a coroutine function in a pool thread of asyncio's, whose
    name would say nothing to anyone.
    """

    def in_name_of(whose: tuple[str, str | None], func: Any, *args: Any, **kwargs: Any) -> Any:
        _on_behalf.place = whose
        try:
            return func(*args, **kwargs)
        finally:
            vars(_on_behalf).pop("place", None)  # of two recordings that say it

    async def aio_to_thread_while_recording(*args: Any, **kwargs: Any) -> Any:
        # Up to 0.7 the function comes first, later a context and then the function.
        at = next(index for index, value in enumerate(args) if callable(value))
        func = functools.partial(in_name_of, place(), args[at])
        return await aio_to_thread(*args[:at], func, *args[at + 1 :], **kwargs)

    return aio_to_thread_while_recording
