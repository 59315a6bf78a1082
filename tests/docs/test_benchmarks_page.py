"""docs/benchmarks.md: its tables are made from what was measured, and from nothing else."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "benchmarks.md"
FILES = sorted((ROOT / "docs" / "measured").glob("bench-*.json"))


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("_tables")


def test_the_page_shows_the_committed_measurements(tables: Any) -> None:
    text = PAGE.read_text(encoding="utf-8")
    reports = tables.load(FILES)
    assert len(tables.REGION.findall(text)) > 10
    assert tables.with_figures(text, reports) == text


def test_none_of_them_is_a_trial_run(tables: Any) -> None:
    reports = tables.load(FILES)
    assert {report.python for report in reports} >= {"3.10", "3.13"}
    assert not any(run["smoke"] for report in reports for run in report.runs)
