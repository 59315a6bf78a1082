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
from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import _tape
from ._place import here

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextvars import ContextVar, Token

    from langsmith import Client

    from ._place import Place

# What `get_env_var` answers while a recording is active; for all other names it answers as
# ever, so that a client that the program makes for itself keeps its endpoint, its key and its
# privacy settings. LangSmith asks for each under LANGSMITH_ and LANGCHAIN_.
_ANSWERS: dict[str, str | None] = {
    "TRACING": "true",
    "TRACING_V2": "true",
    # Each of these sends runs elsewhere, drops some, or makes them something else than runs.
    "AGENT_ENVIRONMENT": None,
    "AGENT_ID": None,
    # A client that is made while recording is given no word of what its server can do, and
    # would log that the server cannot compress.
    "DISABLE_RUN_COMPRESSION": "true",
    "OTEL_ENABLED": None,
    "OTEL_ONLY": None,
    "RUNS_ENDPOINTS": None,
    "TRACING_MODE": None,
    "TRACING_SAMPLING_RATE": None,
    "USE_PYO3_CLIENT": None,
}

# Context variables that would win over the recorder where a recording begins.
_HIDDEN = (
    ("langsmith._internal._context", "_ADDRESS"),
    ("langsmith._internal._context", "_CLIENT"),
    ("langsmith._internal._context", "_TRACING_ENABLED"),
    ("langsmith.run_trees", "_REPLICAS"),
    ("langchain_core.tracers.context", "tracing_v2_callback_var"),
)
# Those among them that name a parent. They stay where the parent is a recorded run.
_PARENTS = (
    ("langsmith._internal._context", "_PARENT_RUN_TREE"),
    ("langsmith._internal._context", "_PARENT_RUN_TREE_REF"),
    ("langsmith.run_trees", "_DISTRIBUTED_PARENT_ID"),
    ("langchain_core.runnables.config", "var_child_runnable_config"),
)

_MISSING = object()
_on_behalf = threading.local()


def turn(switches: Replaced, make: Callable[[], Client]) -> None:
    """Have every run of the process go to one client, or to one that is intercepted.

    Args:
        switches: Puts everything back, also what was turned before an error.
        make: Returns the client. Called when LangSmith sees nothing of the environment any more
            that could give a new client a mind of its own.

    Raises:
        RuntimeError: This LangSmith is not laid out as the known ones are.
    """
    context, run_trees, utils = map(
        import_module,
        ("langsmith._internal._context", "langsmith.run_trees", "langsmith.utils"),
    )
    # Where one of them is not there, none is turned.
    deaf = _deaf(part(utils, "get_env_var"))
    part(run_trees, "_CLIENT")
    switches.replace(utils, "get_env_var", deaf)
    with _unset("LANGSMITH_RUNS_ENDPOINTS"):
        client = make()
    switches.replace(run_trees, "_CLIENT", client)
    for name, value in (
        ("_GLOBAL_TRACING_ENABLED", True),
        ("_GLOBAL_CLIENT", client),
        ("_GLOBAL_ADDRESS", None),
    ):
        if hasattr(context, name):
            switches.replace(context, name, value)


def say_for(switches: Replaced) -> None:
    """Have runs of async functions say where they start.

    Raises:
        RuntimeError: This LangSmith is not laid out as the known ones are.
    """
    aiter_ = import_module("langsmith._internal._aiter")
    switches.replace(aiter_, "aio_to_thread", _said_for(part(aiter_, "aio_to_thread")))


def part(module: Any, name: str) -> Any:
    """Return what LangSmith keeps under this name; without it nothing can be recorded."""
    try:
        return getattr(module, name)
    except AttributeError:
        from importlib.metadata import version

        raise RuntimeError(
            f"cannot record LangSmith {version('langsmith')}: {module.__name__}.{name} is not "
            "there, and without it runs could leave the process. Update ctxtrace."
        ) from None


class Replaced:
    """The attributes of modules and classes that hold something of ours.

    Each recording replaces and puts back a dozen, which a test suite does a thousand times.
    """

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any, Any]] = []

    def __bool__(self) -> bool:
        return bool(self._before)

    def replace(self, owner: Any, name: str, value: Any) -> None:
        """Set an attribute until `put_back` is called."""
        # As it stands there: not a method that is bound already.
        self._before.append((owner, name, value, vars(owner).get(name, _MISSING)))
        setattr(owner, name, value)

    def put_back(self) -> None:
        """Set all of them as they were, the last one first."""
        while self._before:
            owner, name, value, before = self._before.pop()
            # A function that install() has replaced since hands on to ours, and is to stay.
            if vars(owner).get(name) is not value and callable(value):
                continue
            if before is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)


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
        # It may be called when it should not be there any more, if what was put in front of it
        # in a recording was taken away after it.
        if name not in _ANSWERS or not _tape.is_open("langsmith"):
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
def hidden(is_recorded: Callable[[str], bool]) -> Generator[None, None, None]:
    """Hide what the current context says of LangSmith and LangChain, until the block ends.

    What the block itself has set by then stays: the run of a fixture that outlives a test is
    there for the next.

    Args:
        is_recorded: Whether the run with this identifier was recorded. Such a run goes on
            taking children.
    """
    current = _value("langsmith._internal._context", "_PARENT_RUN_TREE_REF")
    current = (
        current()
        if current is not None
        else _value("langsmith._internal._context", "_PARENT_RUN_TREE")
    )
    known = is_recorded(str(getattr(current, "id", None)))
    set_here: list[tuple[ContextVar[Any], Token[Any]]] = []
    for module, name in _HIDDEN if known else (*_HIDDEN, *_PARENTS):
        if _value(module, name) is not None:
            variable: ContextVar[Any] = getattr(sys.modules[module], name)
            set_here.append((variable, variable.set(None)))
    try:
        yield
    finally:
        for variable, token in reversed(set_here):
            # An async fixture may end in another context than it began in. That context was
            # not changed, and the one that was is gone.
            with contextlib.suppress(ValueError):
                if variable.get() is None:
                    variable.reset(token)


def _value(module: str, name: str) -> Any:
    variable = getattr(sys.modules.get(module), name, None)
    return None if variable is None else variable.get(None)


def whose() -> Place | None:
    """Return where a run starts that is being set up elsewhere, in this thread."""
    return getattr(_on_behalf, "place", None)


def _said_for(aio_to_thread: Any) -> Any:
    """Have runs of async functions say where they start, not where they are set up.

    `@traceable` sets up the run of a coroutine function in a pool thread of asyncio's, whose
    name would say nothing to anyone.
    """

    def in_name_of(whose: Place, func: Any, *args: Any, **kwargs: Any) -> Any:
        _on_behalf.place = whose
        try:
            return func(*args, **kwargs)
        finally:
            vars(_on_behalf).pop("place", None)  # of two recordings that say it

    async def aio_to_thread_while_recording(*args: Any, **kwargs: Any) -> Any:
        if not _tape.hears("langsmith"):
            return await aio_to_thread(*args, **kwargs)
        # Up to 0.7 the function comes first, later a context and then the function.
        at = next(index for index, value in enumerate(args) if callable(value))
        func = functools.partial(in_name_of, here(), args[at])
        return await aio_to_thread(*args[:at], func, *args[at + 1 :], **kwargs)

    return aio_to_thread_while_recording
