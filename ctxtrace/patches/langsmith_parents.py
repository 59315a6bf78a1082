"""LangSmith: what outlives its parent run still has it for a parent.

From 0.7.30 on LangSmith's context variable holds the current run by a weak reference, because
contexts outlive requests and took the data of every run with them. What outlives the run itself
then finds nothing there, and starts a trace of its own. In the modules that write the variable,
the name ``weakref`` stands for one whose references remember what names the run. From that
they make a run again, when the first one has died: enough of one to be a parent.
"""

from __future__ import annotations

import sys
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from .._errors import guard
from ._patch import Place, Unexpected

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from ._patch import Patch, Settings

_SITE = "langsmith_parents"
_WHO = f"site {_SITE!r}"
_CONTEXT = "langsmith._internal._context"
_RUN_TREES = "langsmith.run_trees"

# What a run is named by, and what sends its children where it went itself. Never its inputs,
# outputs, metadata, tags, events or attachments: nobody knows for how long they would be kept.
_NEEDED = ("id", "trace_id", "dotted_order", "parent_run_id", "name", "run_type", "start_time")
_DESTINATION = ("session_name", "session_id", "address", "replicas", "dangerously_allow_filesystem")
_KEPT = (*_NEEDED, *_DESTINATION)


class StandIn(weakref.ref[Any]):
    """A reference to a run that gives one of the same name when the run has died.

    It compares, and calls back, as a weak reference to the run does.
    """

    __slots__ = ("_again", "_client", "_names")

    _again: Callable[[], Any]
    _client: Callable[[], Any] | None
    _names: tuple[Any, ...]

    def __new__(cls, run: Any, callback: Callable[[Any], Any] | None = None) -> Self:
        self = super().__new__(cls, run, callback)
        fields = vars(run)
        self._names = tuple(map(fields.get, _KEPT))
        # Weakly too: it has a thread, and connections.
        client = fields["ls_client"]
        self._client = None if client is None else weakref.ref(client)
        self._again = _nobody
        return self

    def __call__(self) -> Any:
        run = super().__call__()
        if run is None:
            run = self._again()
        return guard(_WHO, self._named_again) if run is None else run

    def _named_again(self) -> Any:
        client = None
        if self._client is not None:
            client = self._client()
            if client is None:
                return None  # another client's server would not know the parent
        # Without validation, which would ask the environment for what is not given. What is
        # empty is given too: pydantic takes 20 times as long to find that out.
        run = sys.modules[_RUN_TREES].RunTree.model_construct(
            **dict(zip(_KEPT, self._names)),
            ls_client=client,
            child_runs=_NoList(),
            inputs={},
            extra={},
            tags=[],
            events=[],
            attachments={},
        )
        # It knows nothing of what was sent of the run, and would overwrite that.
        vars(run).update(post=_send_nothing, patch=_send_nothing)
        # Who starts a child asks for its parent half a dozen times.
        self._again = weakref.ref(run)
        return run


def _nobody() -> None:
    return None


class _NoList(list[Any]):
    """The `child_runs` of a run that LangSmith or LangChain may hold for long."""

    __slots__ = ()

    def append(self, run: Any) -> None:
        pass


def _send_nothing(*_: object, **__: object) -> None:
    pass


class Weakref:
    """The weakref of a module that refers to runs in contexts. To stand there under that name."""

    def __init__(self, patch: Patch, run_tree: type) -> None:
        self._patch = patch
        self._run_tree = run_tree

    def __getattr__(self, name: str) -> Any:
        return getattr(weakref, name)

    def __dir__(self) -> list[str]:
        return dir(weakref)

    def ref(self, thing: Any, *callback: Any) -> Any:
        if not self._patch.active or not isinstance(thing, self._run_tree):
            return weakref.ref(thing, *callback)
        stand_in = guard(_WHO, StandIn, thing, *callback)
        return weakref.ref(thing, *callback) if stand_in is None else stand_in


def _weakref(original: Any, patch: Patch, _: Settings) -> Any:
    run_tree: Any = getattr(sys.modules.get(_RUN_TREES), "RunTree", None)
    known = getattr(run_tree, "model_fields", {})
    missing = [name for name in (*_NEEDED, "ls_client", "child_runs") if name not in known]
    if missing:
        raise Unexpected(f"RunTree has no {', '.join(missing)}")
    variable = getattr(sys.modules.get(_CONTEXT), "_PARENT_RUN_TREE_REF", None)
    if not isinstance(variable, ContextVar):
        raise Unexpected(f"{_CONTEXT} has no _PARENT_RUN_TREE_REF")
    if original is not weakref:
        raise Unexpected("it is not the module weakref")
    return Weakref(patch, run_tree)


def _needless(_: object) -> str:
    strong = isinstance(getattr(sys.modules.get(_CONTEXT), "_PARENT_RUN_TREE", None), ContextVar)
    return "the contexts of this LangSmith hold the run itself" if strong else ""


PLACES = tuple(
    Place(_SITE, module, "weakref", _weakref, needless_in=_needless)
    for module in (
        "langsmith.run_helpers",
        "langsmith.integrations.claude_agent_sdk._client",
        "langsmith.integrations.openai_agents_sdk._openai_agents",
    )
)
