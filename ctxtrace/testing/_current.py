"""Whether a piece of a program leaves another run current than it found."""

from __future__ import annotations

from contextvars import copy_context

from .._overlay import traces_of
from ..carriers import active, current_runs, variables_of
from ._shape import printable


class Current:
    """The current runs, and all that the tracers keep in context variables, at one moment."""

    def __init__(self) -> None:
        self._context = copy_context()
        # Now: the context may hold a run only weakly.
        self._runs = current_runs()

    def put_back(self) -> list[str]:
        """Set the tracers' variables as they were, in the context that is current.

        Those of a tracer whose run was ended since, and of which no run is current, are left:
        the run that was must not have children any more.

        Returns:
            A sentence for each tracer of which another run is current than was.
        """
        before, now = self._runs, current_runs()
        ended = {
            variable
            for carrier in active()
            if carrier.name in before and carrier.name not in now
            for variable in variables_of(carrier)
        }
        # The moment is asked now for the variables of a tracer that was imported since.
        for variable, value in traces_of(self._context).items():
            if variable.get(None) is not value and variable not in ended:
                variable.set(value)
        return [
            _said(tracer, before.get(tracer), run)
            for tracer, run in sorted(now.items())
            if before.get(tracer) != run
        ]


def _said(tracer: str, before: tuple[object, str] | None, now: tuple[object, str]) -> str:
    then = "none was" if before is None else f"{printable(str(before[1]))!r} was"
    return f"{tracer}: the run {printable(str(now[1]))!r} is still current, and {then} before"
