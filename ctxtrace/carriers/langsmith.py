"""LangSmith: pins the current `RunTree`.

LangSmith up to 0.7.29 keeps the current run itself in a context variable; from 0.7.30 on it
keeps a weak reference there, because contexts outlive requests (timers, connection pools,
finished tasks) and took every run with them (langsmith-sdk issue 2689). So a thread or task
that outlives its parent finds the reference dead and starts a trace of its own. The pin is
the missing strong reference, held by the work that crossed and by nothing else.

A run appends each child it gets to its `child_runs`. A task that outlives its request would
so collect, through its pin, every run it ever starts. A run that is pinned therefore gets a
list that takes no more children once the run has ended.
"""

from __future__ import annotations

import os
import sys
import traceback
import weakref
from contextvars import Context, ContextVar, copy_context
from datetime import timedelta
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from . import Carrier, _langsmith_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

    from . import StreamEnd

_CONTEXT = "langsmith._internal._context"
_RUN_TREES = "langsmith.run_trees"


def _nobody() -> None:
    return None


class _ChildrenOfARunningParent(list[Any]):
    """A `child_runs` that takes no more children once the run it belongs to has ended."""

    __slots__ = ("_parent",)

    def __init__(self, children: Iterable[Any] = (), parent: Any = None) -> None:
        # Without a parent: pydantic 1 makes a copy of a sequence by calling its class.
        super().__init__(children)
        self._parent: Callable[[], Any]
        try:
            self._parent = _nobody if parent is None else weakref.ref(parent)
        except TypeError:
            # LangSmith's RunTree on pydantic 1. A cycle, and better than a list without end.
            self._parent = lambda: parent

    def append(self, run: Any) -> None:
        if getattr(self._parent(), "end_time", None) is None:
            super().append(run)

    def __reduce__(self) -> Any:
        return list, (list(self),)  # a copy is nobody's list, and weak references do not pickle


class _LangSmith(Carrier):
    name = "langsmith"

    def __init__(self, parent: ContextVar[Any], weak: bool) -> None:
        self._parent = parent
        self._peek: Callable[[], Any] = parent.get
        self._weak = self.holds_weakly = weak
        self._is_on: Callable[[], Any] = sys.modules[_CONTEXT]._TRACING_ENABLED.get
        self._variables: tuple[ContextVar[Any], ...] = ()

    def pin(self) -> object | None:
        run = self._peek()
        if run is None:
            return None
        if self._weak:
            run = run()
            if run is None:
                return None
        fields = run.__dict__  # past pydantic's own __getattr__, and faster than vars()
        children = fields["child_runs"]
        if type(children) is list:
            # Past RunTree's own __setattr__, which validates. Whoever appends to the old
            # list while this runs is another thread that has had the run without any
            # crossing of ours; what it appended until now comes along.
            fields["child_runs"] = _ChildrenOfARunningParent(children, run)
        return run

    def current(self) -> tuple[object, str] | None:
        run = self._peek()
        if run is None or (self._weak and (run := run()) is None):
            return None
        fields = run.__dict__  # past pydantic's own __getattr__
        return fields["id"], fields["name"]

    def is_on(self) -> bool:
        return self._is_on() in (True, "local")

    def _run(self) -> Any:
        run = self._peek()
        return run() if run is not None and self._weak else run

    def clear(self) -> None:
        run = self._run()
        if run is None:
            self._parent.set(None)
            return
        context: Any = sys.modules[_CONTEXT]
        tracing_is_enabled = sys.modules["langsmith.utils"].tracing_is_enabled
        enabled = tracing_is_enabled()
        self._parent.set(None)
        # Some settings reach a child through its parent alone: that tracing is on, and the
        # client that the parent was given. They are not the parent, so they stay.
        if tracing_is_enabled() != enabled:
            context._TRACING_ENABLED.set(enabled)
        client = getattr(run, "ls_client", None)
        if client is not None and context._CLIENT.get() is None:
            context._CLIENT.set(client)

    def open_run(
        self, name: str, run_type: Any, inputs: Callable[[], dict[str, Any] | None]
    ) -> Callable[[StreamEnd], None] | None:
        """Start a run, if tracing is on, with everything that LangSmith's own `trace` minds."""
        utils: Any = import_module("langsmith.utils")
        if not utils.tracing_is_enabled():
            return None
        run_helpers: Any = import_module("langsmith.run_helpers")
        block = run_helpers.trace(name, run_type, inputs=inputs())
        run = block.__enter__()
        end = partial(_end, block, run)
        vars(end)["pin"] = run
        return end

    def context_meant_by(self, frame: FrameType) -> Context | None:
        # @traceable calls an async generator function in its caller's context, and takes the
        # steps in the run's.
        if frame.f_globals.get("__name__") != "langsmith.run_helpers":
            return None
        container = frame.f_locals.get("run_container") or {}
        return container.get("context")

    def revive(self, pin: Any) -> None:
        reference = self._peek()
        if not self._weak or reference is None or not hasattr(pin, "child_runs"):
            return
        current = reference()
        # Another pin, of the run's parent, may have been revived before.
        if current is None or current.id == pin.parent_run_id:
            self._parent.set(weakref.ref(pin))

    def variables(self) -> Iterable[ContextVar[Any]]:
        # Some of them are in run_trees, which may be imported after us: remember none
        # before it is there.
        if self._variables:
            return self._variables
        modules = [sys.modules[name] for name in (_CONTEXT, _RUN_TREES) if name in sys.modules]
        found = {
            value: None
            for module in modules
            for value in vars(module).values()
            if isinstance(value, ContextVar)
        }
        if len(modules) == 2:
            self._variables = tuple(found)
        return tuple(found)

    def exporters(self) -> list[Any]:
        """Return the clients that there are."""
        return [_langsmith_client.Client(client) for client in _langsmith_client.live_clients()]

    def ending(self, bounded: Callable[[Callable[[], Any]], Callable[[], Any]]) -> list[Any]:
        """Have LangSmith go on recording while the interpreter ends."""
        return _langsmith_client.end()

    def after_fork(self) -> Callable[[], None] | None:
        """Make LangSmith work in the child of a fork."""
        return import_module(f"{__package__}._langsmith_fork").renew()


def _end(block: Any, run: Any, end: StreamEnd) -> None:
    try:
        _describe(run, end)
    finally:
        # Whatever cannot be described, the run ends. In a copy: on leaving, the block sets all
        # of LangSmith's variables to what they were where it was entered, and a stream may end
        # anywhere.
        copy_context().run(block.__exit__, None, None, None)


def _describe(run: Any, end: StreamEnd) -> None:
    outputs = end.outputs
    if outputs is not None and not isinstance(outputs, dict):
        outputs = {"output": outputs}
    run.end(outputs=outputs)
    metadata: dict[str, Any] = {
        "ctxtrace.stream.chunks": end.chunks,
        "ctxtrace.stream.closed_early": end.closed_early,
    }
    if end.kept < end.chunks and outputs is not None:
        metadata["ctxtrace.stream.chunks_kept"] = end.kept
    run.add_metadata(metadata)
    if end.first_chunk_after is not None:
        # LangSmith's word for it, whatever the chunk is; from it comes the time to first token.
        time = run.start_time + timedelta(seconds=end.first_chunk_after)
        run.add_event({"name": "new_token", "time": time.isoformat()})
    if end.error is not None:
        run.error = type(end.error).__qualname__  # if it fails to say more
        run.error = _formatted(end.error)
    if end.reduce_error is not None:
        run.add_metadata({"ctxtrace.stream.reduce_error": repr(end.reduce_error)})


def _formatted(error: Exception) -> str:
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return f"{error!r}\n\n{trace}"


def load_if_wanted() -> None:
    """Import LangSmith if the environment says that it is to trace."""
    names = (
        "LANGSMITH_TRACING_V2",
        "LANGCHAIN_TRACING_V2",
        "LANGSMITH_TRACING",
        "LANGCHAIN_TRACING",
    )
    if any(os.environ.get(name) == "true" for name in names) and find_spec("langsmith"):
        import_module("langsmith.run_helpers")


def make() -> Carrier:
    """Return the carrier for the LangSmith that is loaded.

    Raises:
        LookupError: The loaded version keeps its run where none before it did.
    """
    context = sys.modules[_CONTEXT]
    for name, weak in (("_PARENT_RUN_TREE_REF", True), ("_PARENT_RUN_TREE", False)):
        parent = getattr(context, name, None)
        if isinstance(parent, ContextVar):
            Context().run(parent.get)  # so it has a default, and never fails
            return _LangSmith(parent, weak)
    raise LookupError(
        f"{_CONTEXT} has neither _PARENT_RUN_TREE_REF nor _PARENT_RUN_TREE: this version of "
        "langsmith is newer than this version of ctxtrace; please update ctxtrace"
    )
