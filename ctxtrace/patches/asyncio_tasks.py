"""asyncio before Python 3.11: `create_task` takes ``context=``.

The task then runs in that very context, as on later Pythons, and not in a copy. Any loop's
task does, and what any task factory makes of it: the context goes with the coroutine, which is
stepped inside it, and neither the loop nor the factory is told.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from contextvars import Context
from typing import TYPE_CHECKING, Any

from .._compat import TASKS_TAKE_CONTEXT
from .._drive import Steps
from ._patch import Place, Unexpected

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._patch import Patch, Settings

NEEDLESS = "Python 3.11 and later do it themselves" if TASKS_TAKE_CONTEXT else ""

# On what stands in the place of a create_task(). A signature alone says nothing: uvloop's shows
# a context that it then refuses.
_MARK = "_ctxtrace_takes_context"


def takes_context() -> bool:
    """Whether ``asyncio.create_task`` takes a context now, thanks to us."""
    return hasattr(asyncio.create_task, _MARK)


# Both go on taking a context when their patch is not active any more, where they are held by name
# or lie beneath what others have put there: LangSmith and LangChain remember that they do.


def _function(original: Any, _patch: Patch, _: Settings) -> Any:
    def create_task(coro: Any, *, context: Context | None = None, **kwargs: Any) -> Any:
        return original(_within(context, coro), **kwargs)

    return _shown_as(original, create_task)


def _method(original: Any, _patch: Patch, _: Settings) -> Any:
    def create_task(self: Any, coro: Any, *, context: Context | None = None, **kwargs: Any) -> Any:
        return original(self, _within(context, coro), **kwargs)

    return _shown_as(original, create_task)


def _within(context: Any, coro: Any) -> Any:
    if context is None:
        return coro
    if not isinstance(context, Context):
        # Later Pythons make the task, which then never ends.
        raise TypeError(f"create_task() takes a contextvars.Context, and got context={context!r}")
    if not asyncio.iscoroutine(coro):
        return coro  # of which the original says what is wrong with it
    return Steps.of(context, coro)


def _shown_as(original: Any, create_task: Callable[..., Any]) -> Any:
    signature = inspect.signature(original)
    if "coro" not in signature.parameters:
        raise Unexpected("it takes no 'coro'")
    # LangSmith and LangChain look here, before they use it.
    parameters = dict(signature.parameters)
    kind = inspect.Parameter.KEYWORD_ONLY
    parameters["context"] = inspect.Parameter("context", kind, default=None)
    functools.update_wrapper(create_task, original)
    shown: Any = create_task
    shown.__signature__ = signature.replace(parameters=tuple(parameters.values()))
    setattr(shown, _MARK, True)
    return shown


def _asks_again(original: Any, patch: Patch, _: Settings) -> Any:
    if inspect.signature(original).parameters:
        raise Unexpected("it takes arguments")

    @functools.wraps(original)
    def asyncio_accepts_context() -> bool:
        # The original looks at Python's version, or remembers its first look at the signature:
        # the one would be wrong for as long as we are here, the other once we have gone.
        return takes_context() if patch.active else bool(original())

    return asyncio_accepts_context


PLACES = (
    Place("asyncio", "asyncio", "create_task", _function, ("asyncio.tasks",), needless=NEEDLESS),
    Place(
        "asyncio", "asyncio.base_events", "BaseEventLoop.create_task", _method, needless=NEEDLESS
    ),
    Place("uvloop", "uvloop", "Loop.create_task", _method, needless=NEEDLESS),
    *(
        Place("asyncio", module, "asyncio_accepts_context", _asks_again, needless=NEEDLESS)
        for module in ("langsmith._internal._aiter", "langchain_core.runnables.utils")
    ),
)
