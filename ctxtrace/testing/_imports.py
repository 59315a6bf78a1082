"""Hear of a library when the program imports it, and import none for its own sake."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import wrapt

if TYPE_CHECKING:
    from collections.abc import Callable

_wrapt: Any = wrapt  # whose stubs do not have all of it on every Python
_awaited: set[str] = set()


def when_imported(module: str, call: Callable[[object], None]) -> None:
    """Have a function called with a module when it is imported, unless it has been.

    The hook stays until then, as wrapt takes none back; asking again while it stands does
    nothing. An error of the function would be one of the import.
    """

    def imported(found: object) -> None:
        _awaited.discard(module)  # wrapt calls once; the module may be taken out, and come again
        call(found)

    if module not in _awaited and sys.modules.get(module) is None:
        _awaited.add(module)
        _wrapt.register_post_import_hook(imported, module)
