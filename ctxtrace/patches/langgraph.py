"""LangGraph: its nodes have a context on every Python, in the task that LangGraph runs them in.

It starts a task only to await it there, in the node's context; before Python 3.11 it does not,
and runs the node in none. Its other gates, both called ``CONTEXT_NOT_SUPPORTED``, stay shut:
behind them it gives a new task a copy of the current context, which it has without being given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._in_place import in_place_of_asyncio
from ._patch import Place, Unexpected
from .asyncio_tasks import NEEDLESS, takes_context

if TYPE_CHECKING:
    from ._patch import Patch, Settings

_RUNNABLE = "langgraph._internal._runnable"


class _Gate:
    """True for as long as what lies behind it works."""

    def __init__(self, patch: Patch) -> None:
        self._patch = patch

    def __bool__(self) -> bool:
        return self._patch.active and takes_context()


def _opened(original: Any, patch: Patch, _: Settings) -> Any:
    if original is not False:
        raise Unexpected(f"it is {original!r}, and not False")
    if not takes_context():
        raise Unexpected("it needs the site 'asyncio'")
    return _Gate(patch)


PLACES = (
    Place("langgraph", _RUNNABLE, "ASYNCIO_ACCEPTS_CONTEXT", _opened, needless=NEEDLESS),
    Place("langgraph_steps", _RUNNABLE, "asyncio", in_place_of_asyncio),
)
