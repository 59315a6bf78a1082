"""LangChain: the steps that it takes in a context are taken in the caller's own task.

On Pythons before 3.11 it runs them in no context, or each in a copy of its own. Where it asks for
a task in so many words, it gets one: see `asyncio_tasks` for what that lacks.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from ._in_place import within
from ._patch import Place, Unexpected

if TYPE_CHECKING:
    from contextvars import Context

    from ._patch import Patch, Settings


def _in_place(original: Any, patch: Patch, _: Settings) -> Any:
    if list(inspect.signature(original).parameters) != ["coro", "context", "create_task"]:
        raise Unexpected("it takes something else than a coroutine, a context and 'create_task'")

    @functools.wraps(original)
    def coro_with_context(coro: Any, context: Context, *, create_task: bool = False) -> Any:
        if create_task or not patch.active:
            return original(coro, context, create_task=create_task)
        return within(context, coro)

    return coro_with_context


PLACES = (
    Place(
        "langchain_steps",
        "langchain_core.runnables.utils",
        "coro_with_context",
        _in_place,
        (
            "langchain_core.runnables.base",
            "langchain_core.runnables.fallbacks",
            "langchain_core.tools.base",
        ),
    ),
)
