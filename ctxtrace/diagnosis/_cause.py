"""Why a run stands where it does: which crossing lost its context, if one did."""

from __future__ import annotations

import linecache
import sys
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any

from ..carriers import holds_weakly
from ._calls import calls
from ._calls import forget_all as forget_sources
from ._crossings import Crossing, Mark, Taken
from ._found import (
    at_crossing,
    carrier_of,
    file_and_line,
    kind_of,
    line_fields,
    loss_here,
    place_of,
)
from ._loss import DETACHED, INSTALL, SNAPSHOT, STREAMING
from ._way import back, came, root_of, run_of

if TYPE_CHECKING:
    from types import CodeType

    from ..testing import _tape
    from ..testing._place import Place as Seen
    from ._crossings import At
    from ._found import Found
    from ._loss import How, Place
    from ._scene import Frame, Scene
    from ._source import Line

# By a frame: the run that was opened in it last. Of so many frames at most.
_opened: OrderedDict[Frame, _tape.Run] = OrderedDict()
_MOST_FRAMES = 10_000
# The last runs that started; and the code of generators, with the runs in which they were stepped.
_recent: deque[_tape.Run] = deque(maxlen=500)
_steps: deque[tuple[CodeType, str]] = deque(maxlen=2_000)

# Where a Python before 3.11 has no way to run a task in a context, these run the user's code in
# none.
_WITHOUT_CONTEXT = ("langchain", "langchain_core", "langgraph")

_LANGSMITH = "langsmith"


def forget_all() -> None:
    """Let go of everything, when nobody diagnoses any more."""
    _opened.clear()
    _recent.clear()
    _steps.clear()
    forget_sources()


def cause(run: _tape.Run) -> Found | None:
    """Return how a run that starts now lost its trace; None if it did not, or nothing shows it."""
    scene: Scene | None = run.place.scene
    if scene is None:
        return None
    lost = _split(run, scene) if run.parent_id is None else _leak(run, scene)
    _recent.append(run)
    if scene.stepped is not None and run.parent is not None:
        _steps.append((scene.stepped.code, run.parent.id))
    for frame in scene.openers:
        _opened.pop(frame, None)
        _opened[frame] = run
    while len(_opened) > _MOST_FRAMES:
        _opened.popitem(last=False)
    return lost


def missing(name: str, place: Seen) -> Found | None:
    """Return how a run of LangSmith's came not to be recorded; None if it was not to be."""
    scene: Scene | None = place.scene
    if scene is None:
        return None
    there = place_of(place)
    for crossing in came(scene.at, place, _LANGSMITH):
        if crossing.is_on:
            return at_crossing("missing", name, _LANGSMITH, crossing, there)
    around = _enclosing(_LANGSMITH, scene) if scene.at is None else None
    return None if around is None else _entered_empty("missing", name, scene, around, there)


def _split(run: _tape.Run, scene: Scene) -> Found | None:
    carrier = carrier_of(run.source)
    handed = scene.handed
    if handed is not None and carrier in handed.sent:
        return _in_generator(run, scene, run_of(handed.sent[carrier]))
    for crossing in came(scene.at, run.place, carrier):
        if carrier not in crossing.sent or str(crossing.sent[carrier][0]) in run.links:
            continue
        if carrier not in crossing.arrived:
            return at_crossing("split", run.name, run.source, crossing, place_of(run.place))
        sent, arrived = crossing.sent[carrier], crossing.arrived[carrier]
        if holds_weakly(carrier) and sent[0] == arrived[0] and _has_ended(sent):
            return at_crossing("split", run.name, run.source, crossing, place_of(run.place))
        break
    around = _enclosing(run.source, scene)
    if around is None:
        made_in = _calls_the_generator(run, scene)
        return None if made_in is None else _in_generator(run, scene, made_in)
    if around.place.scene.holder in scene.around:
        return _in_generator(run, scene, around)
    if scene.at is None:
        return _entered_empty("split", run.name, scene, around, place_of(run.place))
    if sys.version_info < (3, 11) and scene.package in _WITHOUT_CONTEXT:
        line = scene.entered or _line_into(scene.package, scene.at) or scene.line
        kind = "a step that is run in no context"
        found = loss_here(
            "split", run.source, run.name, place_of(run.place), kind, line, around, INSTALL
        )
        return found.but(package=scene.package)
    return None


def _entered_empty(how: How, name: str, scene: Scene, around: _tape.Run, there: Place) -> Found:
    kind = "a context that was entered empty"
    found = loss_here(how, around.source, name, there, kind, scene.line, around, SNAPSHOT)
    return found.but(**_line_of_run(scene))


def _leak(run: _tape.Run, scene: Scene) -> Found | None:
    parent = run.parent
    there: Scene | None = None if parent is None else parent.place.scene
    if parent is None or there is None:
        return None
    if (
        there.holder is not None
        and there.holder not in scene.around
        and there.flow == scene.flow
        and not _is_sent_by(parent, scene.at, carrier_of(run.source))
    ):
        kind = f"{parent.name!r} is open over a yield"
        place = place_of(run.place)
        found = loss_here(
            "leak", run.source, run.name, place, kind, there.line, parent.parent, STREAMING
        )
        return found.but(consumer=file_and_line(there.consumer))
    return _stuck(run, parent, scene)


def _is_sent_by(parent: _tape.Run, at: At, carrier: str) -> bool:
    """Whether what runs now was sent on its way in this run."""
    crossing = at.crossing if isinstance(at, Taken) else at
    if not isinstance(crossing, Crossing) or crossing is parent.place.scene.at:
        return False
    sent = crossing.sent.get(carrier)
    return sent is not None and str(sent[0]) == parent.id


def _stuck(run: _tape.Run, parent: _tape.Run, scene: Scene) -> Found | None:
    """Look whether what serves many still holds the run of one that ended long ago."""
    if not parent.ended or scene.at is None or isinstance(scene.at, Mark):
        return None
    carrier, root = carrier_of(run.source), root_of(parent)
    if isinstance(scene.at, Taken):
        item, since = scene.at.crossing, scene.at.before
    else:
        item, since = scene.at, scene.at.before
    if item is None:
        sender = None if root.ended else parent
    else:
        nearest = next((each for each in back(item) if carrier in each.sent), None)
        sender = None if nearest is None else run_of(nearest.sent[carrier])
        if nearest is None and not root.ended:
            return None
    if sender is not None and root_of(sender) is root:
        return None
    for crossing in back(since):
        if carrier in crossing.sent:
            token = crossing.sent[carrier]
            holder = run_of(token)
            if holder is not None and root_of(holder) is root:
                kind = f"{kind_of(crossing)}, in the run {token[1]!r} that has ended since"
                found = at_crossing("leak", run.name, run.source, crossing, place_of(run.place))
                return found.but(kind=kind, fix=DETACHED)
    arrived = None if item is None else item.arrived.get(carrier)
    if item is not None and carrier in item.sent and arrived and str(arrived[0]) == parent.id:
        # Whoever started it did so unseen: the crossing that does not bring a context along.
        return at_crossing("leak", run.name, run.source, item, place_of(run.place))
    return None


def _in_generator(run: _tape.Run, scene: Scene, made_in: _tape.Run | None) -> Found:
    kind = "a generator that is stepped in another context than it was called in"
    line = scene.stepped or scene.line
    found = loss_here(
        "split", run.source, run.name, place_of(run.place), kind, line, made_in, STREAMING
    )
    return found.but(consumer=file_and_line(scene.consumer))


def _calls_the_generator(run: _tape.Run, scene: Scene) -> _tape.Run | None:
    """Return the last run whose code calls the generator that this one started in."""
    if scene.stepped is None:
        return None
    code = scene.stepped.code
    for other in reversed(_recent.copy()):
        there: Scene = other.place.scene
        if other.source != run.source or other is run or _is_in(there, code):
            continue
        if calls(there, other.place.position, code.co_name):
            return None if (code, other.id) in _steps else other
    return None


def _is_in(scene: Scene, generator: CodeType) -> bool:
    return scene.stepped is not None and scene.stepped.code is generator


def _enclosing(source: str, scene: Scene) -> _tape.Run | None:
    """Return the run that is open around a place on the stack, whatever its context says."""
    for frame in scene.around:
        other = _opened.get(frame)
        if other is not None and other.source == source and not other.ended:
            there: Scene = other.place.scene
            # A generator may be stepped by anybody. All other frames are of who runs in them, and
            # an identity may be another's by now.
            if there.flow == scene.flow or frame == there.holder:
                return other
    return None


def _line_into(package: str | None, at: At) -> Line | None:
    for crossing in back(at):
        if crossing.caller.package == package:
            return crossing.caller.line
    return None


def _line_of_run(scene: Scene) -> dict[str, Any]:
    """Name the line that enters a context, if the source shows it."""
    for line in scene.lines:
        if ".run(" in linecache.getline(line.code.co_filename, line.number):
            return line_fields(line)
    return {}


def _has_ended(token: tuple[object, str]) -> bool:
    # One that is not known may be of another process.
    run = run_of(token)
    return run is not None and run.ended
