"""concurrent.futures: a submitted call runs in the context of whoever submitted it.

What submits for others comes here too: `Executor.map`, ``loop.run_in_executor``.
"""

from __future__ import annotations

import functools
from contextvars import Context
from typing import TYPE_CHECKING, Any

from .._snapshot import release
from ._patch import Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._patch import Patch, Settings


def _submit(original: Any, patch: Patch, settings: Settings) -> Any:
    cross = settings.cross

    @functools.wraps(original)
    def submit(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if not patch.active:
            return original(self, fn, *args, **kwargs)
        crossing = cross(fn)
        try:
            # In an empty context, for a worker that is started now, see ThreadPoolExecutor.
            return Context().run(original, self, crossing, *args, **kwargs)
        except BaseException:
            release(crossing)
            raise

    return submit


PLACES = (Place("thread_pools", "concurrent.futures.thread", "ThreadPoolExecutor.submit", _submit),)
