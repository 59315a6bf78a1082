"""What happens when ctxtrace itself fails: it is said once, and the program goes on."""

from __future__ import annotations

import contextlib
import logging
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ._compat import strip_our_frames

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

logger = logging.getLogger("ctxtrace")

_T = TypeVar("_T")
_said: set[tuple[str, str, type[Exception]]] = set()


def guard(
    who: str, call: Callable[..., _T], *args: Any, told: Callable[[Exception], object] | None = None
) -> _T | None:
    """Return ``call(*args)``, or None when that raises an `Exception`.

    The only place in the package that catches `Exception`: what tracing does wrong must
    not reach the program that is traced. The first failure of each kind (who, what was
    called, type of the exception) is logged with where it happened, later ones are silent:
    this code runs at every crossing.

    Args:
        who: Whose failure it would be, as the log is to say it: "carrier 'langsmith'".
        call: What to call. Code of ours or of a vendor, or what a user gave us to help with
            tracing; never the user's own work.
        *args: Positional arguments for it.
        told: Called with the exception, each time.

    Safe to call from any thread.
    """
    try:
        return call(*args)
    except Exception as error:
        if not sys.is_finalizing():  # when half of what is called may be gone
            # Where sys.stderr is closed, logging raises.
            with contextlib.suppress(Exception):
                _say_once(who, call, error)
        if told is not None:
            told(error)
        return None


def _say_once(who: str, call: Any, error: Exception) -> None:
    function = call.func if isinstance(call, partial) else call
    what: str = getattr(function, "__name__", type(function).__name__).lstrip("_")
    kind = (who, what, type(error))
    # Without a lock: the garbage collector may call finalizers of ours at any moment, and
    # while this thread holds the lock. Two threads at once may say it twice.
    if kind in _said:
        return
    _said.add(kind)
    # Not the exception itself: its text, and that of its context, may quote what is traced.
    logger.warning(
        "%s failed in %s(); the program goes on, but its traces may split or lack something. "
        "Further failures of this kind are not logged. It was a %s, raised here:\n%s",
        who,
        what,
        type(error).__qualname__,
        where(error),
    )


def where(error: BaseException) -> str:
    """Return the frames that an exception came through, for the log, without its text."""
    import traceback

    return "".join(traceback.format_tb(error.__traceback__)).rstrip()


class Caught:
    """Takes an `Exception` of the user's own work out of its block, to be told of it.

    For a loop that has to go on after it. What is no `Exception`, as a cancellation is none,
    passes unchanged.
    """

    __slots__ = ("error",)

    def __init__(self) -> None:
        self.error: Exception | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: object, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        strip_our_frames(error)
        self.error = error
        return True
