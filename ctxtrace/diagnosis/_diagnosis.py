"""Observe a program, and say at its end where a run lost its trace."""

from __future__ import annotations

import contextlib
import re
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from ..testing import _langsmith, _otel, _tape
from ..testing._draw import draw_by_start
from ..testing._forest import Forest
from ..testing._words import MOST_LINES, first, rows
from . import _watch
from ._loss import Place
from ._timeline import timeline

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

    from ._crossings import Crossing
    from ._found import Found
    from ._loss import Loss

# Of a program that runs for days: so many of the last runs and crossings are kept, and of the
# first losses of different kinds. What is kept is counted to the end.
MOST_RUNS = 5_000
MOST_CROSSINGS = 10_000
MOST_LOSSES = 1_000

_ANYWHERE = Place(None, None)


def _numberless(name: str) -> str:
    return re.sub(r"\d+", "0", name)


class _Count:
    """How often something has happened, in any thread.

    Each thread counts for itself, and none waits for another: it may be in a finalizer, or in the
    child of a fork.
    """

    def __init__(self) -> None:
        self._by_thread: dict[int, int] = {}

    def add(self) -> None:
        thread = threading.get_ident()
        self._by_thread[thread] = self._by_thread.get(thread, 0) + 1

    def total(self) -> int:
        return sum(self._by_thread.copy().values())


class _Seen:
    """What is kept of what those tell who see it happen, in any thread."""

    def __init__(self) -> None:
        self.runs: deque[_tape.Run] = deque()
        self.runs_before = _Count()
        self.crossings: deque[Crossing] = deque(maxlen=MOST_CROSSINGS)
        # Called at every crossing.
        self.crossed: Callable[[Crossing], None] = self.crossings.append
        # How many runs each was the loss of.
        self.losses: dict[Loss, _Count] = {}
        # The first of those that were lost at the same line in the same way, by what they share;
        # and those of them that have more names than one.
        self._first: dict[Loss, Loss] = {}
        self.also_named: set[Loss] = set()
        self.losses_after = _Count()
        # By identity of the crossing, which is kept for it; and by the run's identifier.
        self.blamed: dict[int, tuple[Crossing, Loss]] = {}
        self.lost_runs: dict[str, Loss] = {}

    def append(self, run: _tape.Run) -> None:
        self.runs.append(run)
        while len(self.runs) > MOST_RUNS:
            before = self.runs.popleft()
            self.runs_before.add()
            self.lost_runs.pop(before.id, None)
            _tape.forget([before])

    def lost(self, run_id: str | None, found: Found) -> None:
        loss, crossing = found
        # What is to be done is the same for all threads of a pool, and for all jobs that have a
        # number in their names.
        shared = loss._replace(
            run=_numberless(loss.run),
            caller=tuple(map(_numberless, loss.caller)),
            left=_ANYWHERE,
            arrived=_ANYWHERE,
        )
        if shared not in self._first and len(self.losses) >= MOST_LOSSES:
            self.losses_after.add()
            return
        first = self._first.setdefault(shared, loss)
        if first.run != loss.run:
            self.also_named.add(first)
        loss = first
        self.losses.setdefault(loss, _Count()).add()
        if run_id is not None:
            self.lost_runs[run_id] = loss
        if crossing is not None and len(self.blamed) < MOST_CROSSINGS:
            self.blamed[id(crossing)] = crossing, loss

    def times(self) -> dict[Loss, int]:
        """Return how many runs each was the loss of, so far."""
        return {loss: count.total() for loss, count in self.losses.copy().items()}


class Diagnosis:
    """What `diagnose` returns: a context manager, and what was found.

    True if anything was lost. May be asked while it goes on and after it has ended, from any
    thread.
    """

    def __init__(self) -> None:
        self._undo: contextlib.ExitStack | None = None
        self._seen = _Seen()

    def start(self) -> None:
        """Begin, as the block of `with` does; for code that has no block.

        Raises:
            RuntimeError: It was begun before, or this LangSmith is not laid out as the known
                ones are.
        """
        if self._undo is not None:
            raise RuntimeError("this diagnosis was begun before: call diagnose() for each")
        self._undo = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:
            _watch.start(self._seen)
            undo.callback(_watch.stop, self._seen)
            undo.enter_context(_langsmith.listening(self._seen, watch=True))
            undo.enter_context(_otel.listening(self._seen, watch=True))
            undo.enter_context(_watch.beginning_here())
            self._undo = undo.pop_all()

    def stop(self) -> None:
        """End the diagnosis. Stopping twice does nothing."""
        if self._undo is not None:
            self._undo.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def losses(self) -> list[Loss]:
        """What was lost, in order; each once for all runs of which the same is to be said."""
        return list(self._seen.losses)

    def __bool__(self) -> bool:
        return bool(self._seen.losses)

    def forest(self) -> Forest:
        """Build the forest of the runs that were seen: of the last ones, if there were many."""
        return Forest.from_records(_tape.with_ancestors(list(self._seen.runs)))

    def drawing(self, *, ascii: bool = False, color: bool = False) -> str:
        """Draw the forest in order of start; marked are runs that were lost, or did not end."""
        forest = self.forest()
        lost = [node for node in forest.nodes if node.id in self._seen.lost_runs]
        drawing = draw_by_start(forest, ascii=ascii, color=color, splits=lost)
        lines = first(rows(drawing), MOST_LINES, "lines")
        before = self._seen.runs_before.total()
        if before:
            lines.append(f"(without the {before} runs before these)")
        return "\n".join(lines)

    def explain(self) -> str:
        """Say for each run that was lost where that was, and what to write there instead.

        Returns:
            An empty text if nothing was lost. Names lose their control characters.
        """
        parts: list[str] = []
        for loss, times in self._seen.times().items():
            what, end, where = str(loss).partition("\n")
            if times > 1:
                names = ", whose names differ in a number" if loss in self._seen.also_named else ""
                what = f"{what} ({times} runs{names})"
            parts.append(what + end + where)
        after = self._seen.losses_after.total()
        if after:
            parts.append(f"and {after} more runs")
        return "\n\n".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return all that was seen as data that `json.dumps` takes.

        Names, threads, tasks, source positions and times; never inputs, outputs or metadata.
        """
        # In this order, for other threads may go on: whatever refers to a loss comes before it.
        lost, blamed = self._seen.lost_runs.copy(), self._seen.blamed.copy()
        return {
            **timeline(
                list(self._seen.runs),
                list(self._seen.crossings),
                self._seen.times(),
                lost,
                blamed,
            ),
            "losses_not_kept": self._seen.losses_after.total(),
            "runs_not_kept": self._seen.runs_before.total(),
        }

    def __repr__(self) -> str:
        return f"<Diagnosis: {sum(self._seen.times().values())} runs lost>"


def diagnose() -> Diagnosis:
    """Find out where a program's trace falls apart, without changing what nests.

    A context manager, for the whole process: all threads and tasks. At every boundary it notes
    who crosses, with the line of the user's own code; when a run becomes a root, is not
    recorded or takes a parent that it should not have, the crossing is looked up that is to
    blame. Runs go where they would have gone, and nothing is traced that would not be::

        with ctxtrace.diagnose() as report:
            main()
        print(report.explain())

    A program whose trace is whole gets an empty report. Work that is meant to stand alone is
    started inside `ctxtrace.detached()`, and not reported.

    Returns:
        A `Diagnosis`, to be used with `with`.

    Entering the block raises `RuntimeError` where this LangSmith is not laid out as the known
    ones are. Safe to use from any thread; several may overlap. What was patched is put back at
    the end.
    """
    return Diagnosis()


for _name in (Diagnosis, diagnose):
    _name.__module__ = "ctxtrace"
