"""What the tests with real libraries share."""

from __future__ import annotations

import gc

import hypothesis  # noqa: F401 - not after freeze(): it looks for referrers of what it is given
import pytest


@pytest.fixture(scope="session", autouse=True)
def _collections_leave_the_libraries_out() -> None:
    # These tests collect garbage hundreds of times, and what was imported is a million objects.
    gc.collect()
    gc.freeze()
