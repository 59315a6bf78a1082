"""Change libraries that cannot be edited, so that programs nest as they are: `install`.

Each module here knows one library: `_places` lists where they change it. This file knows
nothing of any of them: it waits for the modules, puts the patches in place, and takes them out.
"""

# Patches are put in place from outside of the installation that asked for them.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from .._errors import guard, logger
from .._snapshot import carry_each, carry_once, carry_traces
from ..lifecycle import _fork
from ._callers import INFRASTRUCTURE
from ._patch import Patch, Settings, Unexpected
from ._places import PLACES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType, TracebackType

    from typing_extensions import Self

    from ._patch import Place

State = Literal["patched", "absent", "unknown version", "off", "not needed"]

SITES = tuple(dict.fromkeys(place.site for place in PLACES))

# Held while patches are put in place or taken out, and never while anything is imported or
# logged: a module's import lock, or a log handler's, may be held by who waits for this one.
_lock = threading.RLock()
_fork.renew_lock(_lock)
_installations: list[Installation] = []
_put: dict[Place, Patch] = {}
_awaited: set[str] = set()


class Site(NamedTuple):
    """One place in a library that `install` changes, and what became of it."""

    name: str
    """What ``install(skip=[name])`` switches it off by. Several places may share a name."""

    target: str
    """What is changed there, by its full name."""

    state: State
    """``"absent"`` while its library is not imported; it is patched when that is."""

    detail: str
    """Why it is as it is, where there is something to say."""


class Installation:
    """What one call of `install` changed. A context manager that takes it back at the end.

    Safe to use from any thread.
    """

    def __init__(self, settings: Settings | None, skip: frozenset[str], reason: str) -> None:
        self._settings = settings
        self._skip = skip
        self._reason = reason
        self._patches: list[Patch] = []
        self._refused: dict[Place, str] = {}
        self._needless: dict[Place, str] = {}

    @property
    def sites(self) -> tuple[Site, ...]:
        """Every place that `install` knows, in the state that it is in now."""
        with _lock:
            return tuple(Site(place.site, place.target, *self._state(place)) for place in PLACES)

    def uninstall(self) -> None:
        """Put back what this call changed.

        What an earlier call had changed stays as it is. Work in flight ends as it began. Where
        somebody else has changed the same thing since, what ctxtrace put there does nothing
        from now on, and a line in the log says so. A second call does nothing.
        """
        with _lock:
            covered = self._take_out()
        _say_covered(covered)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.uninstall()

    def __str__(self) -> str:
        rows = [tuple(map(str, site)) for site in self.sites]
        widths = [max(map(len, column)) for column in zip(*rows)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
            for row in rows
        )

    def __repr__(self) -> str:
        count = sum(site.state == "patched" for site in self.sites)
        return f"<ctxtrace.Installation: {count} of {len(PLACES)} places patched>"

    def _state(self, place: Place) -> tuple[State, str]:
        if place in _put:
            by_another = place not in (patch.place for patch in self._patches)
            return "patched", "by another install()" if by_another else ""
        if self._settings is None:
            return "off", self._reason
        if self not in _installations:
            return "off", "uninstalled"
        if place.needless:
            return "not needed", place.needless
        if place.site in self._skip:
            return "off", "skipped"
        if place in self._needless:
            return "not needed", self._needless[place]
        if place in self._refused:
            return "unknown version", self._refused[place]
        if sys.modules.get(place.module) is not None:
            return "off", "taken back with an earlier install()"
        return "absent", f"{place.module} is not imported"

    def _wants(self, place: Place) -> bool:
        return not (
            place.needless
            or place.site in self._skip
            or place in self._needless
            or place in self._refused
            or place in _put
        )

    def _patch(self, place: Place, module: ModuleType, settings: Settings) -> None:
        patch = Patch(place)
        with _lock:
            if self not in _installations or not self._wants(place):
                return
            needless = place.needless_in(module) if place.needless_in else ""
            if needless:
                self._needless[place] = needless
                return
            try:
                patch.put(module, settings)
            except Unexpected as unexpected:
                why = self._refused[place] = str(unexpected)
            else:
                _put[place] = patch
                self._patches.append(patch)
                return
        logger.warning(
            "install() leaves %s alone, for it is not as this version of ctxtrace knows it: "
            "%s. What crosses there is as it is without install().",
            place.target,
            why,
        )

    def _take_out(self) -> list[str]:
        if self in _installations:
            _installations.remove(self)
            _fork.unwant()
        covered: list[str] = []
        while self._patches:
            patch = self._patches.pop()
            _put.pop(patch.place, None)
            covered += patch.undo()
        return covered

    def _failed(self, place: Place, error: Exception) -> None:
        self._refused.setdefault(place, f"{type(error).__qualname__} while patching it")


def install(
    *,
    variables: Literal["all", "trace"] = "all",
    skip: Iterable[str] = (),
    infrastructure: Iterable[str] = (),
) -> Installation:
    """Make third-party code, and code that cannot be edited, nest as it is.

    Changes the standard library's pools, threads and timers, LangSmith, and LangChain and
    LangGraph, so that what they start belongs to the trace it was started in; and has children of
    a fork trace as any process does, see `flush_on_exit`. Libraries that are not imported yet are
    changed when they are; best called at the top of a program, because functions that were
    decorated before keep some of what they had.

    Args:
        variables: What a pool, thread or timer carries. ``"all"``: a copy of the whole context,
            as with `ctxtrace.ThreadPoolExecutor`. ``"trace"``: the variables of the tracing
            libraries alone; everything else is as it was before.
        skip: Names of sites to leave alone, see `Installation.sites`.
        infrastructure: Packages whose threads serve many requests and are to start empty,
            beside those that are known.

    Returns:
        An `Installation`: what was changed, to look at and to take back. Also a context manager.

    Raises:
        ValueError: `variables` is neither, or there is no site of a name in `skip`.
        TypeError: `skip` or `infrastructure` is a string, or has something else than strings.

    Calling it twice changes nothing twice: what is patched stays as the first call asked.
    Safe to call from any thread.
    """
    if variables not in ("all", "trace"):
        raise ValueError(f"variables is {variables!r}, and must be 'all' or 'trace'.")
    skipped = frozenset(_names("skip", skip))
    unknown = skipped.difference(SITES)
    if unknown:
        raise ValueError(
            f"install() has no site called {', '.join(map(repr, sorted(unknown)))}. "
            f"The sites are: {', '.join(SITES)}."
        )
    extra = tuple(_names("infrastructure", infrastructure))
    if _gevent_has_patched():
        reason = "gevent has patched threading, and threads are greenlets there"
        logger.warning("install() changes nothing: %s.", reason)
        return Installation(None, skipped, reason)
    once, each = (carry_once, carry_each) if variables == "all" else (carry_traces, carry_traces)
    settings = Settings(once, each, (*INFRASTRUCTURE, *extra))
    installation = Installation(settings, skipped, "")
    with _lock:
        _installations.append(installation)
        _fork.want()
        waiting = {place.module for place in PLACES if installation._wants(place)}
    for module in _in_order(waiting):
        _let_import_end(module)
        if module not in _awaited and sys.modules.get(module) is None:
            _await(module)
            _let_import_end(module)  # one that began before it was awaited
        _patch_module(module)
    return installation


def uninstall() -> None:
    """Put back everything that any call of `install` changed.

    See `Installation.uninstall`. Does nothing where nothing is installed. Safe to call from any
    thread.
    """
    with _lock:
        taken_out = [each._take_out() for each in reversed(_installations.copy())]
    _say_covered([name for names in taken_out for name in names])


def _say_covered(names: list[str]) -> None:
    if names:
        logger.warning(
            "uninstall(): %s was changed again after install(), and is left as it is. What "
            "ctxtrace put there does nothing from now on.",
            ", ".join(names),
        )


def _in_order(modules: Iterable[str]) -> Iterator[str]:
    # As they stand in the list: LangChain's gates look whether asyncio's are open.
    wanted = set(modules)
    return iter(dict.fromkeys(place.module for place in PLACES if place.module in wanted))


def _await(module: str) -> None:
    import wrapt

    hooks: Any = wrapt  # whose types leave them out
    _awaited.add(module)
    hooks.register_post_import_hook(partial(_imported, module), module)


def _imported(module: str, _: object) -> None:
    _awaited.discard(module)
    _let_import_end(module)  # another thread's, where it began before the module was awaited
    guard("install()", _patch_module, module)


def _let_import_end(module: str) -> None:
    # Python's own way to wait for what another thread is importing, before sys.modules has it
    # too. In the thread that imports it, and where two would wait for each other, it returns.
    wait = getattr(sys.modules.get("_frozen_importlib"), "_lock_unlock_module", None)
    if wait is not None:
        guard("install()", wait, module)


def _patch_module(name: str) -> None:
    module = sys.modules.get(name)
    if module is None:
        return
    with _lock:
        installations = _installations.copy()
    for installation in installations:
        settings = installation._settings
        for place in PLACES:
            if place.module == name and settings and installation._wants(place):
                failed = partial(installation._failed, place)
                guard(place.target, installation._patch, place, module, settings, told=failed)


def _names(argument: str, names: Any) -> list[str]:
    is_list = isinstance(names, Iterable) and not isinstance(names, str)
    found: list[Any] | None = list(names) if is_list else None
    if found is None or not all(isinstance(name, str) for name in found):
        raise TypeError(
            f"{argument} is {names!r}, and must be a list of names: {argument}=['...']."
        )
    return found


def _gevent_has_patched() -> bool:
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


for _name in (Installation, install, uninstall):
    _name.__module__ = "ctxtrace"
