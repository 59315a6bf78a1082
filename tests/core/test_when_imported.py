"""Hearing of a module when it is imported."""

from __future__ import annotations

import importlib
import itertools
import sys
from typing import TYPE_CHECKING

import pytest

from ctxtrace.testing import record
from ctxtrace.testing._imports import when_imported

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_numbers = itertools.count(1)


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module that can be imported, and of which nobody has heard."""
    name = f"imported_by_the_tests_{next(_numbers)}"
    (tmp_path / f"{name}.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def test_a_module_is_told_of_when_it_is_imported(name: str) -> None:
    told: list[object] = []
    when_imported(name, told.append)
    assert told == []
    module = importlib.import_module(name)
    assert told == [module]


def test_a_module_that_was_imported_before_is_not_told_of(name: str) -> None:
    told: list[object] = []
    importlib.import_module(name)
    when_imported(name, told.append)
    assert told == []


def test_a_module_that_is_asked_for_twice_is_told_of_once(name: str) -> None:
    told: list[object] = []
    for _ in range(2):
        when_imported(name, told.append)
    importlib.import_module(name)
    assert len(told) == 1


def test_a_module_that_is_taken_out_and_asked_for_again_is_told_of_again(name: str) -> None:
    told: list[object] = []
    when_imported(name, told.append)
    first = importlib.import_module(name)
    # As pytester does with what a test suite in the same process has imported.
    del sys.modules[name]
    when_imported(name, told.append)
    second = importlib.import_module(name)
    assert first is not second
    assert told == [first, second]


def test_control_a_module_that_is_taken_out_and_not_asked_for_again_is_told_of_once(
    name: str,
) -> None:
    told: list[object] = []
    when_imported(name, told.append)
    first = importlib.import_module(name)
    del sys.modules[name]
    importlib.import_module(name)
    assert told == [first]


def test_a_module_whose_import_is_forbidden_was_not_imported(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    with monkeypatch.context() as forbidden:
        forbidden.setitem(sys.modules, name, None)
        when_imported(name, told.append)
        with pytest.raises(ImportError):
            importlib.import_module(name)
    assert told == []
    importlib.import_module(name)
    assert len(told) == 1


@pytest.mark.parametrize(
    "names",
    [
        ("langsmith.client", "langsmith.run_trees", "langsmith.async_client"),
        ("opentelemetry.trace",),
    ],
    ids=["langsmith", "opentelemetry"],
)
def test_a_recording_begins_where_the_import_of_a_tracer_is_forbidden(
    names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for each in names:
        monkeypatch.setitem(sys.modules, each, None)
    with record() as recording:
        pass
    assert recording.traces == []
    assert caplog.records == []
