"""A loss that was found, in words: the line, what was called there, who called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ._crossings import OURS, Crossing
from ._loss import WRAP_LATE, Loss, Place, fix_of
from ._way import back, run_of

if TYPE_CHECKING:
    from ..testing import _tape
    from ..testing._place import Place as Seen
    from ._loss import Fix, How
    from ._source import Line

# The kind of crossing that a bare @wrap makes.
WRAPPED = "ctxtrace.wrap"


class Found(NamedTuple):
    """A loss, and the crossing that is to blame if there is one."""

    loss: Loss
    crossing: Crossing | None

    def but(self, **fields: Any) -> Found:
        """Return the same with some of the loss said otherwise."""
        return self._replace(loss=self.loss._replace(**fields))


def at_crossing(how: How, name: str, source: str, crossing: Crossing, there: Place) -> Found:
    """Return the loss of a run that a crossing is to blame for.

    Args:
        how: What became of the run.
        name: Its name.
        source: Who recorded it.
        crossing: Where its context was lost.
        there: Where it started.
    """
    line = crossing.caller.line
    package = crossing.caller.package
    if line is None:
        # A library in a thread of its own: what is the user's is further back.
        for each in back(crossing.before):
            package = package or each.caller.package
            line = each.caller.line
            if line is not None:
                break
    kind = kind_of(crossing)
    carrier = carrier_of(source)
    token = crossing.sent.get(carrier)
    loss = Loss(
        run=name,
        source=source,
        how=how,
        kind=kind,
        package=package,
        caller=() if token is None else _path(token),
        left=Place(crossing.thread, crossing.task),
        arrived=there,
        consumer=None,
        fix=WRAP_LATE if kind == WRAPPED else fix_of(kind, package),
        **line_fields(line),
    )
    return Found(loss, crossing)


def loss_here(
    how: How,
    source: str,
    name: str,
    there: Place,
    kind: str,
    line: Line | None,
    caller: _tape.Run | None,
    fix: Fix,
) -> Found:
    """Return the loss of a run that was lost where it started.

    Args:
        how: What became of the run.
        source: Who recorded it.
        name: Its name.
        there: Where it started.
        kind: What happened there.
        line: The user's line.
        caller: The run that it should have been in, or None.
        fix: What to write there instead.
    """
    loss = Loss(
        run=name,
        source=source,
        how=how,
        kind=kind,
        package=None,
        caller=_names_to(caller),
        left=there,
        arrived=there,
        consumer=None,
        fix=fix,
        **line_fields(line),
    )
    return Found(loss, None)


# What users call, by what they end in and the function of the standard library on the way.
_BY_WAY = {
    ("ThreadPoolExecutor.submit", "map"): "ThreadPoolExecutor.map",
    ("ThreadPoolExecutor.submit", "run_in_executor"): "loop.run_in_executor",
    ("loop.create_task", "create_task"): "asyncio.create_task",
    ("loop.create_task", "ensure_future"): "asyncio.ensure_future",
    ("loop.create_task", "gather"): "asyncio.gather",
    ("loop.create_task", "start_soon"): "TaskGroup.start_soon",
    ("loop.call_at", "call_later"): "loop.call_later",
}


def kind_of(crossing: Crossing) -> str:
    """Return what was called there, as the user would write it."""
    called, ours = crossing.caller.called, crossing.caller.ours
    if crossing.kind == OURS and ours is not None:
        return f"ctxtrace's {ours.co_name}()"
    if called is None:
        return crossing.kind
    if called.co_filename.endswith("taskgroups.py"):
        return "TaskGroup.create_task"
    return _BY_WAY.get((crossing.kind, called.co_name), crossing.kind)


def line_fields(line: Line | None) -> dict[str, Any]:
    """Return what a `Loss` says of a line."""
    if line is None:
        return {"file": None, "line": 0, "function": ""}
    return {"file": line.code.co_filename, "line": line.number, "function": line.function}


def file_and_line(line: Line | None) -> tuple[str, int] | None:
    """Return the file and the number of a line."""
    return None if line is None else (line.code.co_filename, line.number)


def place_of(seen: Seen) -> Place:
    """Return what a `Loss` says of a place."""
    return Place(seen.thread, seen.task)


def _path(token: tuple[object, str]) -> tuple[str, ...]:
    run = run_of(token)
    return (str(token[1]),) if run is None else _names_to(run)


def _names_to(run: _tape.Run | None) -> tuple[str, ...]:
    names: list[str] = []
    while run is not None and len(names) < 100:
        names.append(run.name)
        run = run.parent
    return tuple(reversed(names))


def carrier_of(source: str) -> str:
    """Return the name of the carrier of those who record."""
    return "opentelemetry" if source == "otel" else source
