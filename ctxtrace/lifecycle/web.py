"""Flush when a web application ends: `flush_lifespan`."""

from __future__ import annotations

import inspect
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from .flushing import aflush, check_timeout

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractAsyncContextManager

__all__ = ["flush_lifespan"]


def flush_lifespan(
    inner: Callable[[Any], Any] | None = None, *, timeout: float = 10.0
) -> Callable[[Any], AbstractAsyncContextManager[Any]]:
    """Make a lifespan for Starlette or FastAPI that sends what was recorded when it ends.

    ``FastAPI(lifespan=flush_lifespan())``, or around one of the program's own:
    ``FastAPI(lifespan=flush_lifespan(lifespan))``. It is flushed when that one has ended, so
    with what it recorded at its end; and if it fails, too.

    Args:
        inner: The program's own lifespan: takes the application, returns an async context
            manager; or is the async generator function that would make one.
        timeout: Seconds that stopping may take longer for it, at most.

    Returns:
        A lifespan, that yields the state that `inner` yields.

    Raises:
        ValueError: `timeout` is negative.
        TypeError: `timeout` is no number, or `inner` cannot be called.

    Safe to use for several applications. A server that is killed has no lifespan's end: see
    `flush_on_exit`, which does not stand in its way.
    """
    seconds = check_timeout("flush_lifespan", timeout)
    if inner is not None and not callable(inner):
        raise TypeError(
            "flush_lifespan() takes a lifespan, a function of the application, and got an object "
            f"of type {type(inner).__qualname__!r}."
        )
    if inspect.isasyncgenfunction(inner):
        inner = asynccontextmanager(inner)

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncGenerator[Any, None]:
        try:
            if inner is None:
                yield None
            else:
                async with inner(app) as state:
                    yield state
        finally:
            await aflush(seconds)

    return lifespan


flush_lifespan.__module__ = "ctxtrace"
