"""`ctxtrace demo --svg`: the two forests as a picture, for a light page and for a dark one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..testing import Forest
from ..testing._forest import record_of
from ..testing._svg import Panel, draw_svg

if TYPE_CHECKING:
    from . import Comparison

TITLE = "One program, traced twice: with the standard library's tools, and with those of ctxtrace"


def make_folder(folder: str) -> Path:
    """Return the folder, once it is there.

    Raises:
        OSError: It is not there, and cannot be made.
    """
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    return path


def write(found: Comparison, folder: Path) -> None:
    """Write both pictures, over those of an earlier time.

    Raises:
        OSError: A file cannot be written.
    """
    for name, text in pictures(found).items():
        # Bytes, so that a line ends in the same way everywhere.
        (folder / name).write_bytes(text.encode())


def pictures(found: Comparison) -> dict[str, str]:
    """Return the name of each file and what is in it: the same each time that the demo runs."""
    panels = [
        Panel("With the standard library's tools", _settled(found.before)),
        Panel("With those of ctxtrace", _settled(found.after)),
    ]
    return {
        f"before-and-after.{name}.svg": draw_svg(panels, title=TITLE, dark=name == "dark")
        for name in ("light", "dark")
    }


def _settled(forest: Forest) -> Forest:
    """Leave out what is left to chance: which of its threads a pool took for a call."""
    return Forest.from_records(
        record_of(node)._replace(thread=node.thread and re.sub(r"_\d+$", "_0", node.thread))
        for node in forest.nodes
    )
