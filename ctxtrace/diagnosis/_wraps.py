"""`ctxtrace.wrap`, put on a function where it is defined: it captured the context of the import."""

from __future__ import annotations

import inspect
from dis import findlinestarts
from typing import TYPE_CHECKING, Any

from .._snapshot import Snapshot
from ..carriers import current_runs
from ._crossings import AT, DETACHED, Captured, leave
from ._found import WRAPPED
from ._source import Caller

if TYPE_CHECKING:
    from types import CodeType

    from ._source import Seen


def called(snapshot: Any, function: Any) -> Any:
    """Return the snapshot that a wrapped function is to be called in.

    One in which nothing is different but the crossing that has led there.
    """
    runs = current_runs()
    if not runs:
        return snapshot
    context = snapshot._context.copy()
    at = context.get(AT)
    if context.run(current_runs) or at is DETACHED:
        return snapshot
    crossing = leave(WRAPPED)
    if crossing is None:
        return snapshot
    code: CodeType | None = getattr(inspect.unwrap(function), "__code__", None)
    if isinstance(at, Captured) and not _decorates(at.seen, code):
        crossing = crossing._replace(seen=at.seen)
    elif code is not None:
        # A decorator; or wrapped before anybody looked, and then where it is defined.
        crossing = crossing._replace(seen=(code, -1, None, None, None))
    crossing.arrive({})
    context.run(AT.set, crossing)
    return Snapshot(context, snapshot._pins)


def _decorates(seen: Seen, code: CodeType | None) -> bool:
    # Before Python 3.10 a decorator is called from the line of the def.
    line = Caller.of(seen).line
    if line is None or code is None or line.code.co_filename != code.co_filename:
        return False
    starts = (
        number for _, number in findlinestarts(code) if number and number > code.co_firstlineno
    )
    return code.co_firstlineno <= line.number < min(starts, default=0)
