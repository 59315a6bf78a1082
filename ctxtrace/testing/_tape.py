"""What is known of the runs of the process, whichever tracer tells of them.

The recorders of the tracers write here; the recordings that are open read. A run belongs to
every recording that was open when it started, and is followed to its end, also past that of
the recording: a child that starts in a later recording, below a run that a fixture opened
before, then still finds its parent.

No lock: a tracer may tell of the end of a run from a finalizer, which the garbage collector
calls at any moment, in a thread that would hold it. What is done here are single operations on
dictionaries and lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._forest import Record
from ._place import here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from collections.abc import Set as AbstractSet

    from ._place import Place


class Run:
    """One run, as it is known so far."""

    __slots__ = (
        "ended",
        "error",
        "id",
        "name",
        "parent",
        "parent_id",
        "parent_is_remote",
        "place",
        "source",
        "start",
    )

    def __init__(
        self, source: str, id: str, parent_id: str | None, name: str, start: float, place: Place
    ) -> None:
        self.source = source
        self.id = id
        self.parent_id = parent_id
        self.name = name
        self.start = start
        self.place = place
        self.ended = False
        self.error = False
        # If it was known when this one started. It may be of an earlier recording.
        self.parent: Run | None = None
        # Whether it came from elsewhere by its identifier, perhaps from another process.
        self.parent_is_remote = False

    def record(self, recorded: AbstractSet[str]) -> Record:
        """Return what the trace tree is built from.

        Args:
            recorded: Identifiers of the runs that the tree is built of. A parent in another
                process is not for this one to have recorded.
        """
        place = self.place
        parent_id = self.parent_id
        if self.parent_is_remote and parent_id not in recorded:
            parent_id = None
        return Record(
            id=self.id,
            parent_id=parent_id,
            name=self.name,
            start=self.start,
            ended=self.ended,
            error=self.error,
            thread=place.thread,
            task=place.task,
            source=self.source,
            position=place.position,
        )


# Every run that a tracer may still tell of: the unfinished ones, and while a recording is open
# those that ended in it.
_known: dict[str, Run] = {}
# The lists of the recordings that are open, by source, each under its own identity.
_open: dict[str, dict[int, list[Run]]] = {}
_when_done: dict[str, Callable[[], None]] = {}


def open_for(source: str, runs: list[Run], when_done: Callable[[], None]) -> None:
    """Have each run of the source that starts from now on appended to the list.

    Args:
        source: The tracer: "langsmith" or "otel".
        runs: Where to.
        when_done: Called when nobody records the source any more and the last of its recorded
            runs has ended; from any thread, perhaps several times.
    """
    _when_done[source] = when_done
    _open.setdefault(source, {})[id(runs)] = runs


def close_for(source: str, runs: list[Run]) -> None:
    """Take back what `open_for` did."""
    _open[source].pop(id(runs), None)
    if not _open[source]:
        for key, run in list(_known.items()):
            if run.source == source and run.ended:
                _known.pop(key, None)
        _be_done(source)


def is_open(source: str) -> bool:
    """Whether anybody wants to hear of new runs of the source."""
    return bool(_open.get(source))


def _be_done(source: str) -> None:
    if not any(run.source == source for run in list(_known.values())):
        _when_done[source]()


def knows(id: str) -> bool:
    """Whether the run was recorded, and may yet be of interest."""
    return id in _known


def unfinished() -> frozenset[str]:
    """Return the identifiers of the recorded runs that have not ended."""
    return frozenset(run.id for run in list(_known.values()) if not run.ended)


def started(
    source: str,
    id: str,
    parent_id: str | None,
    name: str,
    start: float,
    place: Place | None = None,
    *,
    parent_is_remote: bool = False,
) -> bool:
    """Tell of a run that starts, and say whether it was taken, so that nobody else is told.

    It is not where nobody records, unless its parent was recorded and is open: whoever the run
    would be sent to does not know its parent.

    Args:
        source: The tracer.
        id: Identifier of the run, unique over all sources.
        parent_id: That of its parent, or None.
        name: Its name.
        start: When it started, in seconds since the epoch.
        place: Where it started, unless that is here.
        parent_is_remote: Whether the parent may be another process's.
    """
    if id in _known:
        return True
    if not is_open(source) and parent_id not in _known:
        return False
    run = Run(source, id, parent_id, name, start, place or here())
    run.parent_is_remote = parent_is_remote
    if parent_id is not None:
        run.parent = _known.get(parent_id)
    if _known.setdefault(id, run) is not run:
        return True
    recordings = list(_open[source].values())
    if not recordings and run.parent is None:
        # The last one was closed while the frames were walked.
        _known.pop(id, None)
        _be_done(source)
        return False
    for runs in recordings:
        runs.append(run)
    return True


def updated(id: str, *, ended: bool, error: bool, name: str | None = None) -> bool:
    """Tell of what became of a run; say whether the run is known."""
    run = _known.get(id)
    if run is None:
        return False
    run.ended = run.ended or ended
    run.error = run.error or error
    if name is not None:
        run.name = name
    if run.ended and not is_open(run.source):
        _known.pop(id, None)
        _be_done(run.source)
    return True


def with_ancestors(runs: list[Run]) -> Iterator[Record]:
    """Yield the records of the runs, and of the runs they are below that started before."""
    above: dict[str, Run] = {}
    seen = {run.id for run in runs}
    for run in runs:
        parent = run.parent
        while parent is not None and parent.id not in seen:
            seen.add(parent.id)
            above[parent.id] = parent
            parent = parent.parent
    for run in (*above.values(), *runs):
        yield run.record(seen)
