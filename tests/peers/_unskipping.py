"""A pytest plugin that runs what is skipped on this Python for want of Python 3.11, and no more.

LangGraph skips there what its own contexts do not reach, which install() cures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    skipped = [item for item in items if any(map(_wants_newer, item.iter_markers("skipif")))]
    config.hook.pytest_deselected(items=[item for item in items if item not in skipped])
    items[:] = skipped
    for item in skipped:
        for node in item.listchain():
            node.own_markers[:] = [mark for mark in node.own_markers if not _wants_newer(mark)]


def _wants_newer(mark: pytest.Mark) -> bool:
    holds = any(condition is True for condition in mark.args)
    return mark.name == "skipif" and holds and "3.11" in mark.kwargs.get("reason", "")
