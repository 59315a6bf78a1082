"""`ctxtrace demo --svg`, as far as it needs no tracing library."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ctxtrace import _demo
from ctxtrace.cli import main
from ctxtrace.testing import Forest
from ctxtrace.testing._forest import Record

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def demonstrated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The program of the demo, run so many times, without the libraries that it needs."""
    runs: list[str] = []

    def compare() -> _demo.Comparison:
        runs.append("run")
        one = Forest.from_records([Record("1", None, "ask", ended=True)])
        return _demo.Comparison(one, one, {"LangSmith": "0.7.30"})

    monkeypatch.setattr(_demo, "load", lambda: None)
    monkeypatch.setattr(_demo, "compare", compare)
    return runs


def test_the_demo_writes_its_picture_twice_beside_what_it_prints(
    demonstrated: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--json", "--svg", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["whole"] is True
    assert demonstrated == ["run"]
    light, dark = (
        (tmp_path / f"before-and-after.{name}.svg").read_text(encoding="utf-8")
        for name in ("light", "dark")
    )
    assert light.startswith("<svg ")
    assert light != dark


def test_the_demo_without_a_folder_writes_nothing(
    demonstrated: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_is_an_error_before_the_demo_runs(
    demonstrated: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("here")
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--svg", str(tmp_path / "file")])
    assert stop.value.code == 2
    assert "ctxtrace demo: error: cannot write " in capsys.readouterr().err
    assert demonstrated == []


def test_a_picture_that_cannot_be_written_is_an_error(
    demonstrated: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "before-and-after.light.svg").mkdir()
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--svg", str(tmp_path)])
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert "before-and-after.light.svg" in captured.err
    assert captured.out == ""
