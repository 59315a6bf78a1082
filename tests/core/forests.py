"""Forests written down in a test: runs in the order of their start."""

from __future__ import annotations

from typing import Any

from ctxtrace.testing import Forest
from ctxtrace.testing._forest import Record


def run(key: str, parent: str | None = None, **more: Any) -> Record:
    return Record(**{"id": key, "parent_id": parent, "name": key, "ended": True, **more})


def forest(*records: Record) -> Forest:
    """Make a forest of runs that started in the order given."""
    return Forest.from_records(
        record._replace(start=float(number)) for number, record in enumerate(records)
    )


def child(number: int, parent: str | None, **more: Any) -> Record:
    return run(str(number), parent, name="child", thread=f"pool_{number}", **more)
