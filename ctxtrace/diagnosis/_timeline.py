"""What was seen, as data: runs and crossings over time, in lanes of threads and tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..testing._shape import printable
from ._found import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..testing._tape import Run
    from ._crossings import Crossing
    from ._loss import Loss
    from ._scene import Scene


class _Lanes:
    """The threads and tasks, numbered as they first turn up."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str | None, str | None], int] = {}

    def of(self, thread: str | None, task: str | None) -> int:
        return self._numbers.setdefault((thread, task), len(self._numbers))

    def to_list(self) -> list[dict[str, str | None]]:
        return [{"thread": _named(thread), "task": _named(task)} for thread, task in self._numbers]


def timeline(
    runs: Sequence[Run],
    crossings: Sequence[Crossing],
    losses: Mapping[Loss, int],
    lost: Mapping[str, Loss],
    blamed: Mapping[int, tuple[Crossing, Loss]],
) -> dict[str, Any]:
    """Return lanes, runs, crossings and losses, which refer to each other by number.

    Args:
        runs: In order of start.
        crossings: In the order in which they were made.
        losses: Each with the number of runs that were lost so.
        lost: By the identifier of a run.
        blamed: By the identity of a crossing.
    """
    lanes = _Lanes()
    numbers = {loss: number for number, loss in enumerate(losses)}
    # Where a task began is not seen; the first run in it is.
    first_run: dict[int, Run] = {}
    for run in runs:
        scene: Scene | None = run.place.scene
        if scene is not None:
            first_run.setdefault(id(scene.at), run)
    kept = {id(crossing) for crossing in crossings}
    before = [crossing for at, (crossing, _) in blamed.items() if at not in kept]
    return {
        "runs": [
            _run(run, lanes, numbers[lost[run.id]] if run.id in lost else None) for run in runs
        ],
        "crossings": [
            _crossing(crossing, lanes, first_run.get(id(crossing)), numbers, blamed)
            for crossing in (*before, *crossings)
        ],
        "losses": [{**loss.to_dict(), "times": times} for loss, times in losses.items()],
        "lanes": lanes.to_list(),
    }


def _run(run: Run, lanes: _Lanes, loss: int | None) -> dict[str, Any]:
    return {
        "id": run.id,
        "parent": run.parent_id,
        "name": printable(run.name),
        "source": run.source,
        "lane": lanes.of(run.place.thread, run.place.task),
        "start": run.start,
        "end": run.end,
        "error": run.error,
        "loss": loss,
    }


def _crossing(
    crossing: Crossing,
    lanes: _Lanes,
    first_run: Run | None,
    numbers: Mapping[Loss, int],
    blamed: Mapping[int, tuple[Crossing, Loss]],
) -> dict[str, Any]:
    there, when = None, None
    if crossing.there is not None:
        there, when = lanes.of(crossing.there.thread, crossing.there.task), crossing.there.when
    elif first_run is not None:
        there, when = lanes.of(first_run.place.thread, first_run.place.task), first_run.start
    line = crossing.caller.line
    _, loss = blamed.get(id(crossing), (None, None))
    return {
        "kind": printable(kind_of(crossing)),
        "lane": lanes.of(crossing.thread, crossing.task),
        "when": crossing.when,
        "lane_there": there,
        "when_there": when,
        "file": None if line is None else printable(line.code.co_filename),
        "line": 0 if line is None else line.number,
        "function": "" if line is None else printable(line.function),
        "run": next((str(run) for run, _ in crossing.sent.values()), None),
        "loss": None if loss is None else numbers.get(loss),
    }


def _named(name: str | None) -> str | None:
    return None if name is None else printable(name)
