"""What the tests with real libraries share."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from vendors import spans


@pytest.fixture
def one_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set a provider while a test runs, and none for those after it."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", spans.one_provider())
