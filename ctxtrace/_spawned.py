"""Processes that are started anew by ``ctxtrace run``: they begin as that did.

A child of a fork has what its parent has. One that `multiprocessing` spawns, or asks its fork
server for, begins with an empty interpreter; what it is told first is a pickled dict, before any of
the program's modules are imported. That dict brings our beginning along.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ._errors import guard

if TYPE_CHECKING:
    from collections.abc import Sequence

_SPAWN = "multiprocessing.spawn"
_KEY = "ctxtrace"

# Where ctxtrace cannot be imported, the child runs without it.
_CODE = """\
import contextlib
with contextlib.suppress(ImportError):
    from ctxtrace._spawned import begin
    begin(*{arguments!r})
"""


class _Beginning:
    """What a child runs when it unpickles it."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self._arguments = arguments

    def __reduce__(self) -> Any:
        return exec, (_CODE.format(arguments=self._arguments), {})


def begin(variables: Any, skip: Sequence[str], flushes: bool) -> None:
    """Do what ``ctxtrace run`` does before the program begins, here and in all children.

    Args:
        variables: As for `install`.
        skip: As for `install`.
        flushes: Whether to `flush_on_exit`, too.
    """
    from .lifecycle.exits import flush_on_exit
    from .patches import install
    from .testing._imports import when_imported

    install(variables=variables, skip=skip)
    if flushes:
        flush_on_exit()
    arguments = (variables, tuple(skip), flushes)

    def follow(spawn: Any) -> None:
        guard("ctxtrace run", _follow, spawn, arguments)

    if _SPAWN in sys.modules:
        follow(sys.modules[_SPAWN])
    else:
        when_imported(_SPAWN, follow)


def _follow(spawn: Any, arguments: tuple[Any, ...]) -> None:
    prepare = spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        return {_KEY: _Beginning(arguments), **prepare(name)}

    spawn.get_preparation_data = get_preparation_data
