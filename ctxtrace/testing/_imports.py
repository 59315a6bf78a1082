"""Hear of a library when the program imports it, and import none for its own sake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import wrapt

if TYPE_CHECKING:
    from collections.abc import Callable

_wrapt: Any = wrapt  # whose stubs do not have all of it on every Python
_awaited: set[str] = set()


def when_imported(module: str, call: Callable[[object], None]) -> None:
    """Have a function called with a module once it is imported; now, if it has been.

    Once a process for each module. The hook stays, as wrapt takes none back. An error of the
    function would be one of the import.
    """
    if module not in _awaited:
        _awaited.add(module)
        _wrapt.register_post_import_hook(call, module)
