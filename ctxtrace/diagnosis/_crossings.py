"""What is known of a crossing, and by which of them the code that runs now has come.

The last crossing stands in a context variable. Where a boundary copies the context, the variable
goes along by itself; where it does not, the crossing is set on the far side, around the work
and nothing else. So the variable arrives also where the trace does not: that is what tells a
run that began alone from one that was lost.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from contextvars import Context, ContextVar, copy_context
from functools import partial
from time import time
from types import MethodType
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from .. import carriers
from .._compat import without_our_frames
from .._errors import guard
from .._snapshot import context_of
from ..carriers import Carrier, current_runs
from ..testing._place import task, thread_name
from ._source import Caller, caller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import FrameType

    from ._source import Seen

    Runs = Mapping[str, tuple[object, str]]

# How many crossings are followed back. What starts itself anew for ever has no end of them.
_MOST_BACK = 16

WHO = "diagnose()"


class Mark:
    """What stands in the variable where nothing was crossed."""

    __slots__ = ("what",)
    depth = 0
    is_light = True

    def __init__(self, what: str) -> None:
        self.what: str = what


class Captured(Mark):
    """What stands there where ctxtrace captured a context in which nothing could be lost."""

    __slots__ = ("seen",)

    def __init__(self, seen: Seen) -> None:
        super().__init__("captured where no run was current")
        self.seen = seen


START = Mark("a context that was there when the diagnosis began, or a copy of one")
DETACHED = Mark("inside detached()")


class Arrival(NamedTuple):
    """The far side of a crossing."""

    runs: Runs
    when: float
    thread: str
    task: str | None


class _Left(NamedTuple):
    kind: str
    before: At
    depth: int
    # Whether nothing could be lost by it, nor by those before.
    is_light: bool
    sent: Runs
    is_on: bool
    seen: Seen
    thread: str
    task: str | None
    when: float


class Crossing(_Left):
    """One passage of one boundary. It keeps no run alive, and nothing of the work that crosses.

    A tuple, for it is made at every crossing; what comes later, of few of them, is an attribute.
    """

    # None where nobody has arrived, and where it is not seen: what copies the context arrives
    # with what was sent.
    there: Arrival | None = None

    @property
    def arrived(self) -> Runs:
        """The runs that are current on the far side."""
        return self.sent if self.there is None else self.there.runs

    @property
    def caller(self) -> Caller:
        """Who crosses there."""
        return Caller.of(self.seen)

    def arrive(self, runs: Runs | None = None) -> None:
        """Tell of the far side, where the work begins."""
        if runs is None:
            runs = current_runs()
        self.there = Arrival(runs, time(), _name_of_thread(), task())


_names = threading.local()


def _name_of_thread() -> str:
    # Kept for the thread: of one that is renamed later, the old name is reported.
    try:
        name: str = _names.name
    except AttributeError:
        name = _names.name = thread_name()
    return name


class Taken:
    """What stands there where an item was taken from a queue, until the next one is."""

    __slots__ = ("before", "crossing", "depth", "is_light")

    def __init__(self, crossing: Crossing | None, before: At) -> None:
        self.crossing: Crossing | None = crossing
        # What stood there before the first item.
        self.before: At = before.before if isinstance(before, Taken) else before
        both = [each for each in (crossing, self.before) if each is not None]
        self.depth: int = max((each.depth for each in both), default=0)
        self.is_light: bool = all(each.is_light for each in both)


At = Union[None, Mark, Crossing, Taken]

AT: ContextVar[At] = ContextVar("ctxtrace_crossing", default=None)


class Provenance(Carrier):
    """Has `detached`, and whatever else sets the tracers' variables, mind this one too."""

    name = "ctxtrace.diagnose"

    def clear(self) -> None:
        AT.set(DETACHED)

    def variables(self) -> Iterable[ContextVar[Any]]:
        return (AT,)


# Past the Python function that a NamedTuple is made by.
_new: Any = vars(tuple)["__new__"]

# Called with each crossing, while somebody diagnoses.
noted: Callable[[Crossing], object] | None = None


def leave(kind: str, *, always: bool = False) -> Crossing | None:
    """Return the crossing that the caller's caller makes now; None if nothing could be lost by it.

    Args:
        kind: What is called there, as the user would write it.
        always: Return it all the same: where the context is not copied, the far side would not
            know where it has come from.
    """
    # None where C calls: atexit.register(queue.put, None)
    frame = sys._getframe(1).f_back  # pyright: ignore[reportPrivateUsage]
    return guard(WHO, leave_from, kind, frame, always)


def leave_from(kind: str, frame: FrameType | None, always: bool = False) -> Crossing | None:
    """Do what `leave` does, unguarded, for a frame."""
    # Written for speed: this is at every crossing.
    before = AT.get()
    sent: dict[str, tuple[object, str]] = {}
    for _, carrier in carriers.naming:
        run = carrier.current()
        if run is not None:
            sent[carrier.name] = run
    # Where a run is current, work is traced, whoever has said so.
    is_on = True
    is_light = False
    if not sent:
        is_on = any(carrier.is_on() for carrier in carriers.switched)
        is_light = not is_on and (before is None or before.is_light)
        if is_light and not always:
            return None
    crossing = _made(kind, before, is_light, sent, is_on, frame)
    if noted is not None and not is_light:
        noted(crossing)
    return crossing


def _made(
    kind: str, before: At, is_light: bool, sent: Runs, is_on: bool, frame: FrameType | None
) -> Crossing:
    depth = 1
    if before is not None:
        depth += before.depth
        if depth > _MOST_BACK:
            before, depth = None, 1
    crossing: Crossing = _new(
        Crossing,
        (
            kind,
            before,
            depth,
            is_light,
            sent,
            is_on,
            caller(frame),
            _name_of_thread(),
            task(),
            time(),
        ),
    )
    return crossing


def returned_from(carrier: str, run_id: str, name: str) -> Crossing:
    """Return the crossing that what a run has returned makes."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    return _made("return", AT.get(), False, {carrier: (run_id, name)}, True, frame)


OURS = "ctxtrace"


def copied() -> Context:
    """Return a copy of the current context, for a crossing of ctxtrace's own."""
    context = copy_context()
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    crossing = guard(WHO, leave_from, OURS, frame)
    if crossing is not None:
        context.run(AT.set, crossing)
    elif context.get(AT) is not DETACHED:
        context.run(AT.set, Captured(caller(frame)))
    return context


def crossing_with(kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what is to cross in place of a function."""
    context = _context_with(function)
    if context is None:
        crossing = leave(kind, always=True)
        return function if crossing is None else Arriving(crossing, function)
    # The context is of a copy made a moment ago, for this call.
    at = context.get(AT)
    if not (isinstance(at, Crossing) and at.kind == OURS):
        crossing = context.copy().run(leave, kind)
        if crossing is not None:
            guard(WHO, context.run, AT.set, crossing)
    return function


def _context_with(function: Any) -> Context | None:
    if type(function) is MethodType and isinstance(function.__self__, threading.Thread):
        # Thread(target=copy_context().run, args=(function,))
        function = vars(function.__self__).get("_target")
    return context_of(function)


def starting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what is to run in place of what a thread that serves many does."""
    return Arriving(START, function)


def observed(kind: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what captures a crossing of one kind in place of what carries the context."""

    return partial(crossing_with, kind)


class Arriving:
    """A function that tells where it arrives, and is otherwise as it was."""

    __slots__ = ("_crossing", "_function")

    def __init__(self, crossing: Crossing | Mark, function: Callable[..., Any]) -> None:
        self._crossing = crossing
        self._function = function

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        crossing, function = self._crossing, self._function
        if isinstance(crossing, Crossing):
            guard(WHO, crossing.arrive)
        token = AT.set(crossing)
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            without_our_frames(error)
            raise
        finally:
            with contextlib.suppress(ValueError):  # Python's word for "this is another context"
                AT.reset(token)
            del self, function, args, kwargs  # a kept error keeps the frames it came through

    def __repr__(self) -> str:
        return repr(self._function)
