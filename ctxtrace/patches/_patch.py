"""One attribute of a library, replaced, and put back: what a site is made of.

A site says where it is and what is to stand there instead. It is not as expected when what it
looks for is missing or has another shape, and is then left alone: a private name of a library
may be gone in its next release.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_MISSING: Any = object()


class Unexpected(LookupError):
    """A site is not as this version of ctxtrace knows it. Says what is different."""


class Settings(NamedTuple):
    """What one `install()` was asked for, as far as its sites need it."""

    cross: Callable[[Callable[..., Any]], Callable[..., Any]]
    """Captures what is to be carried, for one call of a function in another thread."""

    cross_each: Callable[[Callable[..., Any]], Callable[..., Any]]
    """The same for any number of calls, at once too."""

    infrastructure: tuple[str, ...]
    """The packages whose threads serve many requests."""


class Place(NamedTuple):
    """Where a library is to be changed, and into what."""

    site: str
    """The name to switch it off by. Several places may share it."""

    module: str
    """The module it is in; it is patched once that has been imported."""

    attribute: str
    """The path from the module: ``"ThreadPoolExecutor.submit"``."""

    replace: Callable[[Any, Patch, Settings], Any]
    """Returns what is to stand there. Raises `Unexpected` if what stands there is another."""

    copies: tuple[str, ...] = ()
    """Modules that may have taken it by name, under the same name."""

    needless: str = ""
    """Why this Python has no need of it, if it has none."""

    needless_in: Callable[[Any], str] | None = None
    """Called with the module: why this version of its library has no need of it, or ``""``."""

    @property
    def target(self) -> str:
        return f"{self.module}.{self.attribute}"


class Patch:
    """Something of a library that is replaced for as long as it is `active`.

    What replaces it looks at that on every call, and hands on what it is given once it is
    false: it may be held by name where it cannot be put back.
    """

    __slots__ = ("_replaced", "active", "original", "place")

    def __init__(self, place: Place) -> None:
        self.place: Place = place
        self.original: Any = None
        self.active: bool = False
        # What was replaced: owner, name, what stood in the owner itself, what stands there now.
        self._replaced: list[tuple[Any, str, Any, Any]] = []

    def put(self, module: Any, settings: Settings) -> None:
        """Put the replacement in its place, and where the original was taken to by name.

        Raises:
            Unexpected: The place is not as it should be. Nothing was changed.
        """
        *path, name = self.place.attribute.split(".")
        owner = module
        for step in path:
            owner = getattr(owner, step, None)
        self.original = getattr(owner, name, _MISSING)
        if self.original is _MISSING:
            raise Unexpected(f"{self.place.module} has no {self.place.attribute}")
        replacement = self.place.replace(self.original, self, settings)
        self.active = True
        self._set(owner, name, replacement)
        for copy in self.place.copies:
            there = sys.modules.get(copy)
            if there is not None and vars(there).get(name) is self.original:
                self._set(there, name, replacement)

    def _set(self, owner: Any, name: str, replacement: Any) -> None:
        before = vars(owner).get(name, _MISSING)
        setattr(owner, name, replacement)
        self._replaced.append((owner, name, before, replacement))

    def undo(self) -> list[str]:
        """Put back what was there.

        Returns:
            The places where somebody else has put something on top. Ours stays beneath it and
            hands on what it is given.
        """
        self.active = False
        self._add_copies_taken_since()
        covered: list[str] = []
        for owner, name, before, replacement in reversed(self._replaced):
            if vars(owner).get(name, _MISSING) is not replacement:
                covered.append(f"{_name_of(owner)}.{name}")
            elif before is _MISSING:
                delattr(owner, name)  # it was inherited
            else:
                setattr(owner, name, before)
        self._replaced.clear()
        return covered

    def _add_copies_taken_since(self) -> None:
        # By modules that were imported after the patch was put in place.
        owners = [owner for owner, *_ in self._replaced]
        for _, name, _, replacement in self._replaced[:1]:
            for copy in self.place.copies:
                there = sys.modules.get(copy)
                if there is None or there in owners:
                    continue
                if vars(there).get(name) is replacement:
                    self._replaced.append((there, name, self.original, replacement))


def _name_of(owner: Any) -> str:
    return getattr(owner, "__qualname__", None) or getattr(owner, "__name__", type(owner).__name__)
