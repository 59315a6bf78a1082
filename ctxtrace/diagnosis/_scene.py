"""What can be seen where a run starts, and is gone a moment later."""

from __future__ import annotations

import inspect
import threading
from typing import TYPE_CHECKING, NamedTuple

from ..testing._place import running_task
from ._crossings import AT, At, Crossing
from ._handed import handed
from ._source import Line, is_neutral, is_the_users, owner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR

# Who steps generators that hold something over their one yield, for a block or for a test.
_STEPS_BLOCKS = frozenset(
    {
        "_pytest",
        "anyio",
        "contextlib",
        "dependency_injector",
        "fastapi",
        "litestar",
        "pluggy",
        "pytest_asyncio",
        "strawberry",
    }
)
# Between the start of a run and the block that it is for.
_ENTERS = frozenset({"__aenter__", "__enter__"})


class Frame(NamedTuple):
    """A frame, without what it keeps alive. Its identity may be another's when it is gone."""

    identity: int
    code: int

    @classmethod
    def of(cls, frame: FrameType) -> Frame:
        return cls(id(frame), id(frame.f_code))


class Flow(NamedTuple):
    """What runs code, one line after the other: a task, or a thread without one."""

    thread: int
    task: int


class Scene(NamedTuple):
    """What is seen where a run starts."""

    at: At
    """By which crossing the code has come."""

    flow: Flow

    line: Line | None
    """The user's line that starts it."""

    consumer: Line | None
    """Where that is in a generator: the user's line that steps it."""

    by_block: bool
    """Whether that line is of a ``with`` block."""

    stepped: Line | None
    """Where that is in a generator: the user's line in it, the innermost one."""

    holder: Frame | None
    """The frame of the user's generator that opens the run for a block of its own."""

    openers: tuple[Frame, ...]
    """The frames that the run is open in, if they are still there."""

    around: tuple[Frame, ...]
    """The frames outside of the call that starts it."""

    lines: tuple[Line, ...]
    """The user's lines on the stack, from the one that starts it outwards."""

    handed: Crossing | None
    """How the generator came here in which this happens."""

    package: str | None
    """The installed package that calls the user's code, if one does."""

    entered: Line | None
    """The user's line that calls that package, if it is on the same stack."""


def look(frame: FrameType) -> Scene:
    """Return what is seen from a frame outwards."""
    frames = list(_outwards(frame))
    first = next((at for at, each in enumerate(frames) if is_the_users(each)), len(frames))
    inner, outer = frames[:first], frames[first:]
    users = outer[0] if outer else None
    stepped, consumer = _in_generator(outer)
    by_block = any(each.f_code.co_name in _ENTERS for each in inner)
    holds = (
        users is not None
        and by_block
        and users.f_code.co_flags & _GENERATOR
        and not (len(outer) > 1 and _top(outer[1]) in _STEPS_BLOCKS)
    )
    package, entered = _package(outer)
    opened = [*inner, users] if users is not None and by_block else inner
    came: Crossing | None = None
    for each in outer:
        if each.f_code.co_flags & _GENERATOR:
            came = handed(each)
            if came is not None:
                break
    return Scene(
        at=AT.get(),
        flow=flow(),
        line=None if users is None else Line(users.f_code, users.f_lasti),
        consumer=consumer,
        by_block=by_block,
        stepped=stepped,
        holder=Frame.of(users) if users is not None and holds else None,
        openers=tuple(map(Frame.of, opened)),
        around=tuple(map(Frame.of, outer)),
        lines=tuple(Line(each.f_code, each.f_lasti) for each in outer if is_the_users(each)),
        handed=came,
        package=package,
        entered=entered,
    )


def flow() -> Flow:
    """Return what runs the current line."""
    return Flow(threading.get_ident(), id(running_task()))


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _top(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]


def _package(outer: list[FrameType]) -> tuple[str | None, Line | None]:
    package = None
    for each in outer:
        whose = owner(each)
        if is_the_users(each):
            if package is not None:
                return package, Line(each.f_code, each.f_lasti)
        elif package is None and not is_neutral(whose):
            package = whose
    return package, None


def _in_generator(outer: list[FrameType]) -> tuple[Line | None, Line | None]:
    """Return the line in the innermost generator of the user's, and the one that steps it."""
    stepped: Line | None = None
    for each in outer:
        if not is_the_users(each):
            continue
        line = Line(each.f_code, each.f_lasti)
        if stepped is not None:
            return stepped, line
        if each.f_code.co_flags & _GENERATOR:
            stepped = line
    return stepped, None
