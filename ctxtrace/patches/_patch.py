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

    cross_many: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None
    """Captures what those take along; None: nothing."""


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


# Those that are in place, of install() and of diagnose(), which may be ended in any order.
_standing: list[Patch] = []


class Patch:
    """Something of a library that is replaced for as long as it is `active`.

    What replaces it looks at that on every call, and hands on what it is given once it is
    false: it may be held by name where it cannot be put back.
    """

    __slots__ = ("_replaced", "_replacement", "active", "original", "place", "was_covered")

    def __init__(self, place: Place) -> None:
        self.place: Place = place
        self.original: Any = None
        self.active: bool = False
        # Whether something of it lies beneath another, and will for as long as that is there.
        self.was_covered: bool = False
        # Kept for the next time, if it is then to stand in the place of the same.
        self._replacement: Any = None
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
        original = getattr(owner, name, _MISSING)
        if original is _MISSING:
            raise Unexpected(f"{self.place.module} has no {self.place.attribute}")
        replacement = self._replacement if original is self.original else None
        if replacement is None:
            self.original = original
            replacement = self._replacement = self.place.replace(original, self, settings)
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
        if self not in _standing:
            _standing.append(self)

    def undo(self) -> list[str]:
        """Put back what was there.

        Returns:
            The places where somebody else has put something on top. Ours stays beneath it and
            hands on what it is given.
        """
        self.active = False
        if self in _standing:
            _standing.remove(self)
        self._add_copies_taken_since()
        covered: list[str] = []
        for owner, name, before, replacement in reversed(self._replaced):
            if vars(owner).get(name, _MISSING) is not replacement:
                self.was_covered = True
                if not any(
                    other._comes_off(owner, name, replacement, before) for other in _standing
                ):
                    covered.append(f"{_name_of(owner)}.{name}")
            elif before is _MISSING:
                delattr(owner, name)  # it was inherited
            else:
                setattr(owner, name, before)
        self._replaced.clear()
        return covered

    def _comes_off(self, owner: Any, name: str, beneath: Any, before: Any) -> bool:
        """Put back what was beneath another patch, in its turn, if that lies beneath this one."""
        for at, (own, its, was, replacement) in enumerate(self._replaced):
            if own is owner and its == name and was is beneath:
                self._replaced[at] = (owner, name, before, replacement)
                return True
        return False

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
