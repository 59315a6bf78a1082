"""The pictures in the README are what `ctxtrace demo` prints, and the reference is complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ctxtrace
from ctxtrace import _demo as demo

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pictures() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    # The third is what pytest says, see test_examples.py.
    return re.findall(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[:2]


@pytest.fixture(scope="module")
def found() -> demo.Comparison:
    return demo.compare()


def unnumbered(picture: str) -> list[str]:
    """Which of its threads a pool uses is its own affair."""
    return re.sub(r"(look-up|check)_\d+", r"\1_0", picture).split("\n")


def test_the_first_picture_is_the_demos_before(pictures: list[str], found: demo.Comparison) -> None:
    drawn = found.before.draw(order="start")
    numbers = tuple(int(number) for number in found.versions["LangSmith"].split(".")[:3])
    if numbers < (0, 7, 30):
        # Here the late task does not split, which the README shows as it is today.
        drawn = drawn.replace("└─ LangGraph", "├─ LangGraph").replace("\n   ", "\n│  ")
        assert unnumbered(drawn) == unnumbered(older(pictures[0]))
    else:
        assert unnumbered(drawn) == unnumbered(pictures[0].rstrip("\n"))


def older(picture: str) -> str:
    """Put the late task where it is with a LangSmith that holds its parent strongly."""
    *lines, late = picture.rstrip("\n").split("\n")
    assert late.startswith("remember ")
    lines = [re.sub("^   ", "│  ", line.replace("└─ LangGraph", "├─ LangGraph")) for line in lines]
    last = max(number for number, line in enumerate(lines) if line.startswith("│"))
    return "\n".join([*lines[: last + 1], "└─ remember", *lines[last + 1 :]])


def test_the_second_picture_is_the_demos_after(pictures: list[str], found: demo.Comparison) -> None:
    assert found.after.draw(order="start") == pictures[1].rstrip("\n")


def test_the_reference_has_every_public_name() -> None:
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    named = re.findall(r"^\.\. auto\w+:: ctxtrace\.(\w+)(?:\(\))?$", text, re.MULTILINE)
    assert sorted(named) == sorted(ctxtrace.__all__)
