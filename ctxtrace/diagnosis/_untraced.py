"""LangSmith: a run that is not recorded, because tracing was on in a context that was lost.

`langsmith.tracing_context(enabled=True)` is itself a context variable. Where the context does not
go, nothing is traced, and a count of traces sees nothing wrong.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from .._errors import guard
from ..patches._patch import Place
from ..testing._langsmith_switches import whose
from ..testing._place import here
from ._crossings import AT, WHO, Mark

if TYPE_CHECKING:
    from ..patches._patch import Patch, Settings
    from ..testing._place import Place as Seen

_RUN_HELPERS = "langsmith.run_helpers"

# Called with the name of a run that is not recorded, and where it would have started.
told: Any = None


def _call(original: Any, patch: Patch, _: Settings) -> Any:
    @functools.wraps(original)
    def _setup_run(func: Any, *args: Any, **kwargs: Any) -> Any:
        container = original(func, *args, **kwargs)
        if patch.active and _has_come() and container.get("new_run") is None:
            guard(WHO, functools.partial(_tell_of_call, func, *args, **kwargs))
        return container

    return _setup_run


def _tell_of_call(
    func: Any, container_input: Any = None, langsmith_extra: Any = None, *_: Any, **__: Any
) -> None:
    for options in (langsmith_extra, container_input):
        name = None if options is None else options.get("name")
        if name:
            break
    else:
        name = getattr(func, "__name__", type(func).__name__)
    _tell(name)


def _block(original: Any, patch: Patch, _: Settings) -> Any:
    @functools.wraps(original)
    def _setup(self: Any) -> Any:
        if patch.active and _has_come() and not sys.modules["langsmith.utils"].tracing_is_enabled():
            guard(WHO, _tell, self.name)
        return original(self)

    return _setup


def _has_come() -> bool:
    if isinstance(AT.get(), Mark):
        return False
    # Unless the program says that it is not to be traced here.
    return sys.modules["langsmith._internal._context"]._TRACING_ENABLED.get() is None


def _tell(name: Any) -> None:
    seen: Seen = whose() or here()
    if told is not None:
        told(str(name), seen)


PLACES = (
    Place("langsmith", _RUN_HELPERS, "_setup_run", _call),
    Place("langsmith", _RUN_HELPERS, "trace._setup", _block),
)
