"""What is known of the runs of the process, whichever tracer tells of them.

The recorders of the tracers write here; the recordings that are open read. A run belongs to
every recording that was open when it started, and is followed to its end, also past that of
the recording: a child that starts in a later recording, below a run that a fixture opened
before, then still finds its parent.

Some only watch: a run that is told to them alone goes where it would have gone.

No lock: a tracer may tell of the end of a run from a finalizer, which the garbage collector
calls at any moment, in a thread that would hold it. What is done here are single operations on
dictionaries and lists.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ._forest import Record
from ._place import here

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet
    from typing import Protocol

    from ._place import Place

    class Runs(Protocol):
        """Where the runs of one recording go: a list, or what forgets the oldest."""

        def append(self, run: Run, /) -> None: ...


class Run:
    """One run, as it is known so far."""

    __slots__ = (
        "end",
        "ended",
        "error",
        "forgotten",
        "id",
        "links",
        "name",
        "parent",
        "parent_id",
        "parent_is_remote",
        "place",
        "source",
        "start",
        "taken",
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
        # When that was told of.
        self.end: float | None = None
        self.error = False
        # If it was known when this one started. It may be of an earlier recording.
        self.parent: Run | None = None
        # Whether it came from elsewhere by its identifier, perhaps from another process.
        self.parent_is_remote = False
        # Whether it was recorded, and goes nowhere else.
        self.taken = False
        # Identifiers of runs that it says it belongs to in another way.
        self.links: Collection[str] = ()
        # Whether those who watch have let go of it.
        self.forgotten = False

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
# Where the runs of those who are open go, by source, each under its own identity: of those who
# take them, and of those who watch.
_open: dict[str, dict[int, Runs]] = {}
_watching: dict[str, dict[int, Runs]] = {}
_when_done: dict[str, Callable[[], None]] = {}

# Called with every run that starts, once all is known of it, while somebody diagnoses.
notice: Callable[[Run], object] | None = None
# Called with a run and its outputs, which are not to be kept.
notice_outputs: Callable[[Run, object], object] | None = None


def open_for(source: str, runs: Runs, when_done: Callable[[], None], *, watch: bool) -> None:
    """Have each run of the source that starts from now on appended.

    Args:
        source: The tracer: "langsmith" or "otel".
        runs: Where to.
        when_done: Called when nobody hears of the source any more and the last of its runs that
            were taken has ended; from any thread, perhaps several times.
        watch: Leave the runs to whom they were meant for.
    """
    _when_done[source] = when_done
    (_watching if watch else _open).setdefault(source, {})[id(runs)] = runs


def close_for(source: str, runs: Runs) -> None:
    """Take back what `open_for` did."""
    for those in (_open, _watching):
        those.get(source, {}).pop(id(runs), None)
    if not hears(source):
        for key, run in list(_known.items()):
            if run.source == source and (run.ended or not run.taken):
                _known.pop(key, None)
        _be_done(source)


def is_open(source: str) -> bool:
    """Whether anybody takes the new runs of the source."""
    return bool(_open.get(source))


def hears(source: str) -> bool:
    """Whether anybody wants to hear of new runs of the source."""
    return bool(_open.get(source) or _watching.get(source))


def _be_done(source: str) -> None:
    if not any(run.source == source for run in list(_known.values())):
        _when_done[source]()


def find(id: str) -> Run | None:
    """Return a run that was told of, and may yet be of interest."""
    return _known.get(id)


def knows(id: str) -> bool:
    """Whether the run was taken, and may yet be of interest."""
    run = _known.get(id)
    return run is not None and run.taken


def forget(runs: Iterable[Run]) -> None:
    """Let go of runs that nobody asks for any more, while others go on; each once it has ended.

    Those that were taken are kept, for nobody else knows of them.
    """
    for run in runs:
        run.forgotten = not run.taken
        if run.ended and run.forgotten:
            _known.pop(run.id, None)


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
    links: Collection[str] = (),
) -> bool:
    """Tell of a run that starts, and say whether it was taken, so that nobody else is told.

    It is not where nobody records, unless its parent was taken and is open: whoever the run
    would be sent to does not know its parent.

    Args:
        source: The tracer.
        id: Identifier of the run, unique over all sources.
        parent_id: That of its parent, or None.
        name: Its name.
        start: When it started, in seconds since the epoch.
        place: Where it started, unless that is here.
        parent_is_remote: Whether the parent may be another process's.
        links: Identifiers of runs that it says it belongs to in another way.
    """
    known = _known.get(id)
    if known is not None:
        return known.taken
    parent = None if parent_id is None else _known.get(parent_id)
    if parent is None and not hears(source):
        return False
    run = Run(source, id, parent_id, name, start, place or here())
    run.parent_is_remote = parent_is_remote
    run.links = links
    run.parent = parent
    run.taken = parent is not None and parent.taken
    known = _known.setdefault(id, run)
    if known is not run:
        return known.taken
    recordings = list(_open.get(source, {}).values())
    run.taken = run.taken or bool(recordings)
    recordings += _watching.get(source, {}).values()
    if not recordings and not run.taken:
        # The last one was closed while the frames were walked.
        _known.pop(id, None)
        _be_done(source)
        return False
    for runs in recordings:
        runs.append(run)
    if notice is not None:
        notice(run)
    return run.taken


def updated(id: str, *, ended: bool, error: bool, name: str | None = None) -> bool:
    """Tell of what became of a run; say whether it was taken."""
    run = _known.get(id)
    if run is None:
        return False
    if ended and not run.ended:
        run.ended, run.end = True, time.time()
    run.error = run.error or error
    if name is not None:
        run.name = name
    if run.ended and (run.forgotten or not hears(run.source)):
        _known.pop(id, None)
        _be_done(run.source)
    return run.taken


def with_ancestors(runs: Sequence[Run]) -> Iterator[Record]:
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
