"""What happens when ctxtrace itself fails: it is said once, and the program goes on."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("ctxtrace")

_T = TypeVar("_T")
_said: set[tuple[str, str, type[Exception]]] = set()
_lock = threading.Lock()


def guard(
    who: str, call: Callable[..., _T], *args: Any, told: Callable[[Exception], object] | None = None
) -> _T | None:
    """Return ``call(*args)``, or None when that raises an `Exception`.

    The only place in the package that catches `Exception`: what tracing does wrong must
    not reach the program that is traced. The first failure of each kind (who, what was
    called, type of the exception) is logged with its traceback, later ones are silent:
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
        what = getattr(call, "__name__", type(call).__name__).lstrip("_")
        kind = (who, what, type(error))
        with _lock:
            first = kind not in _said
            _said.add(kind)
        if first:
            logger.warning(
                "%s failed in %s(); the program goes on, but its traces may split or lack "
                "something. Further failures of this kind are not logged.",
                who,
                what,
                exc_info=True,
            )
        if told is not None:
            told(error)
        return None
