"""Which line of the user's own code is behind what happens now.

Asked at every crossing, so what is found is kept raw: a code object and an offset into it.
Reading a file name and a line out of these is left to whoever looks at the crossing.
"""

from __future__ import annotations

import dis
from typing import TYPE_CHECKING, NamedTuple

from .._compat import is_standard_library
from ..testing._place import is_users

if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Optional

    # A `Caller` as it is found: a code object and an offset into it in place of the line.
    Seen = tuple[Optional[CodeType], int, Optional[CodeType], Optional[str], Optional[CodeType]]

_OURS, _STANDARD, _USERS = "ctxtrace", "", "user"

# What users call as they call the standard library.
_AS_STANDARD = ("anyio", "sniffio", "uvloop", "wrapt")

# What a code object belongs to: one of these, or the name of an installed package. By its
# identity, which it is kept for: to hash it takes longer than all the rest here.
_owners: dict[int, tuple[CodeType, str]] = {}
_MOST_OWNERS = 20_000


class Line(NamedTuple):
    """A line of source, as raw as a frame has it."""

    code: CodeType
    offset: int

    @property
    def number(self) -> int:
        line = self.code.co_firstlineno
        for start, number in dis.findlinestarts(self.code):
            if start > self.offset:
                break
            line = number or line
        return line

    @property
    def function(self) -> str:
        name: str = getattr(self.code, "co_qualname", self.code.co_name)  # from Python 3.11 on
        return name.rpartition("<locals>.")[2]


class Caller(NamedTuple):
    """Who is behind a call that ends in a library."""

    line: Line | None
    """The user's own line; None where a thread has none."""

    called: CodeType | None
    """The function of the standard library that is called there, if it is one."""

    package: str | None
    """The installed package that is called there, if it is one."""

    ours: CodeType | None
    """The function of ctxtrace that is called there, if it is one."""

    @classmethod
    def of(cls, seen: Seen) -> Caller:
        """Return what was seen, in words."""
        code, offset, called, package, ours = seen
        return cls(None if code is None else Line(code, offset), called, package, ours)


def owner(frame: FrameType) -> str:
    """Return whose code a frame runs."""
    code = frame.f_code
    found = _owners.get(id(code))
    if found is None:
        if len(_owners) >= _MOST_OWNERS:
            _owners.clear()  # a program that makes its functions anew each time
        found = code, _owner(str(frame.f_globals.get("__name__")), code)
        _owners[id(code)] = found
    return found[1]


def _owner(module: str, code: CodeType) -> str:
    if is_users(module, code):
        return _USERS
    package = module.partition(".")[0]
    if package == _OURS:
        return _OURS
    return _STANDARD if package in _AS_STANDARD or is_standard_library(module) else package


def is_the_users(frame: FrameType) -> bool:
    """Whether a frame runs the user's own code."""
    return owner(frame) == _USERS


def is_neutral(owner: str) -> bool:
    """Whether what belongs to it is looked through without a word."""
    return owner in (_OURS, _STANDARD)


def caller(frame: FrameType | None) -> Seen:
    """Look through libraries, from a frame outwards, to the first line of the user's."""
    # Written for speed: this is at every crossing.
    called = package = ours = None
    while frame is not None:
        code = frame.f_code
        found = _owners.get(id(code))
        whose = owner(frame) if found is None else found[1]
        if whose is _USERS:
            return code, frame.f_lasti, called, package, ours
        if whose is _STANDARD:
            called, ours = code, None
        elif whose is _OURS:
            ours = code
        else:
            called, package, ours = None, whose, None
        frame = frame.f_back
    return None, 0, called, package, ours
