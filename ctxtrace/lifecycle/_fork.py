"""The child of a fork: it has the parent's memory, and none of its threads.

What is ours begins anew there in any case. The tracing libraries are made to work there if
somebody asked for it: `flush_on_exit` and `install` do.
"""

from __future__ import annotations

import _thread
import os
from typing import TYPE_CHECKING, Any

from .. import carriers
from .._errors import guard
from ..carriers._exporting import live_exporters, renew_in_child
from . import _helpers, _rounds, _signals

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..carriers._exporting import Exporter

_is_watching = False
# How many have asked for libraries that work in children, and have not taken it back.
_wanted = 0
# By thread: what there was when a thread began to fork.
_exporters: dict[int, list[Exporter]] = {}
_undo: list[Callable[[], None]] = []
_renewed_in = 0
# Another thread of the parent may hold one at the fork, and nobody would release it in the child.
_locks: list[Any] = [carriers._lock]  # pyright: ignore[reportPrivateUsage]


def watch() -> None:
    """Be told of forks from now on. Python knows no way to take that back."""
    global _is_watching
    if _is_watching or not hasattr(os, "register_at_fork"):  # which Windows has not
        return
    _is_watching = True
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)


def want() -> None:
    """Have children trace as any process does, until `unwant` is called as often."""
    global _wanted
    watch()
    _wanted += 1


def unwant() -> None:
    """Take back one `want`."""
    global _wanted
    _wanted -= 1
    if not _wanted:
        _take_back()


def renew_lock(lock: Any) -> None:
    """Have a lock free in every child."""
    _locks.append(lock)


def renew_now() -> None:
    """Do what is done in a child, in one whose fork nobody was told of."""
    if _renewed_in != os.getpid():
        renew_ours()
        _renew_theirs(live_exporters())


def renew_ours() -> None:
    """Forget the parent's threads, and what they were doing."""
    for lock in _locks:
        lock._at_fork_reinit()
    _helpers.renew()
    _rounds.renew()
    _signals.renew()


def _before() -> None:
    _signals.begin_to_fork()
    if _wanted:
        _exporters[_thread.get_ident()] = guard("fork", live_exporters) or []


def _in_parent() -> None:
    _exporters.pop(_thread.get_ident(), None)
    _signals.has_forked()


def _in_child() -> None:
    exporters = _exporters.pop(_thread.get_ident(), [])
    _exporters.clear()
    guard("fork", renew_ours)
    if _wanted:
        guard("fork", _renew_theirs, exporters)
    _signals.has_forked()


def _renew_theirs(exporters: list[Exporter]) -> None:
    global _renewed_in
    _renewed_in = os.getpid()
    _take_back()  # of a child that has forked
    _undo.extend(renew_in_child(exporters))


def _take_back() -> None:
    while _undo:
        guard("fork", _undo.pop())
