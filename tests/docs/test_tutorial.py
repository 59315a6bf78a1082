"""The file that a reader of the tutorial ends with: its tests pass, and fail when they should."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sybil import Document
from sybil.parsers.myst import CodeBlockParser

if TYPE_CHECKING:
    from collections.abc import Callable

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"


@pytest.fixture
def tutorial() -> str:
    """All its steps, one below the other, as it tells the reader to write them."""
    document = Document.parse(str(TUTORIAL), CodeBlockParser("python"))
    return "\n".join(str(example.parsed) for example in document.examples())


@pytest.fixture
def pytest_says(tmp_path: Path) -> Callable[[str], str]:
    def run(source: str) -> str:
        (tmp_path / "tutorial.py").write_text(source, encoding="utf-8")
        options = ["-p", "no:cacheprovider", "-p", "no:asyncio"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, "tutorial.py"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "80"},
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        return done.stdout

    return run


def test_the_finished_file_passes(tutorial: str, pytest_says: Callable[[str], str]) -> None:
    assert " 2 passed" in pytest_says(tutorial)


def test_without_the_decorator_the_test_of_the_stream_fails_with_the_picture_and_the_line(
    tutorial: str, pytest_says: Callable[[str], str]
) -> None:
    assert tutorial.count("@streaming\n") == 1
    said = pytest_says(tutorial.replace("@streaming\n", ""))
    assert "1 failed, 1 passed" in said
    # On CI, pytest's summary has it a second time.
    failure = said.partition(" short test summary info ")[0]
    assert failure.count("look_up  ✗ split (thread MainThread)") == 2
    assert "lost at tutorial.py:" in said
    assert "write: @ctxtrace.streaming on the generator function" in said
