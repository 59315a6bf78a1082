"""The pictures in the README are what `ctxtrace demo` makes, and the reference is complete."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

import ctxtrace
from ctxtrace import _demo as demo
from ctxtrace._demo._pictures import pictures as drawn_as_svg
from ctxtrace.cli import main
from ctxtrace.testing import Forest
from ctxtrace.testing._forest import record_of

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "pictures"


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
    if holds_parents_strongly(found):
        # Here the late task does not split, which the README shows as it is today.
        drawn = drawn.replace("└─ LangGraph", "├─ LangGraph").replace("\n   ", "\n│  ")
        assert unnumbered(drawn) == unnumbered(older(pictures[0]))
    else:
        assert unnumbered(drawn) == unnumbered(pictures[0].rstrip("\n"))


def holds_parents_strongly(found: demo.Comparison) -> bool:
    return tuple(map(int, found.versions["LangSmith"].split(".")[:3])) < (0, 7, 30)


def older(picture: str) -> str:
    """Put the late task where it is with a LangSmith that holds its parent strongly."""
    *lines, late = picture.rstrip("\n").split("\n")
    assert late.startswith("remember ")
    lines = [re.sub("^   ", "│  ", line.replace("└─ LangGraph", "├─ LangGraph")) for line in lines]
    last = max(number for number, line in enumerate(lines) if line.startswith("│"))
    return "\n".join([*lines[: last + 1], "└─ remember", *lines[last + 1 :]])


def test_the_second_picture_is_the_demos_after(pictures: list[str], found: demo.Comparison) -> None:
    assert found.after.draw(order="start") == pictures[1].rstrip("\n")


def newer(forest: Forest) -> Forest:
    """Put the late task where it is with a LangSmith that holds its parent weakly."""
    return Forest.from_records(
        record_of(node)._replace(parent_id=None) if node.name == "remember" else record_of(node)
        for node in forest.nodes
    )


def test_the_drawn_pictures_are_those_of_the_demo(found: demo.Comparison) -> None:
    if holds_parents_strongly(found):
        found = found._replace(before=newer(found.before))
    committed = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert committed == drawn_as_svg(found)


def test_the_demo_writes_them(
    found: demo.Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "compare", lambda: found)
    folder = tmp_path / "new" / "pictures"
    assert main(["demo", "--svg", str(folder)]) == 0
    written = {path.name: path.read_bytes().decode() for path in folder.iterdir()}
    assert written == drawn_as_svg(found)


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_a_page_shows_both_pictures_and_says_what_is_on_them(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    shown = re.findall(r"[\w./-]+\.svg", text)
    named = {(ROOT / page).parent.joinpath(name).resolve() for name in shown}
    assert named == {path.resolve() for path in FOLDER.iterdir()}
    said = re.findall(r'alt="(.*?)"|^:alt: (.*)$', text, re.MULTILINE)
    drawn = next(iter(FOLDER.iterdir())).read_text(encoding="utf-8")
    counts = re.findall(r"\d+ traces?", unescape(re.findall("<desc>(.*)</desc>", drawn)[0]))
    assert len(counts) == 2
    for alt in map("".join, said):
        assert re.findall(r"\d+ traces?", alt) == counts
    assert said


def test_the_reference_has_every_public_name() -> None:
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    named = re.findall(r"^\.\. auto\w+:: ctxtrace\.(\w+)(?:\(\))?$", text, re.MULTILINE)
    assert sorted(named) == sorted(ctxtrace.__all__)
