"""Forests as SVG: every run once, what is wrong with it marked, and nothing that a name can do."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from chance import examples
from core.forests import child, forest, run
from hypothesis import given
from hypothesis import strategies as st

import ctxtrace
from ctxtrace.testing import Forest
from ctxtrace.testing._forest import Record
from ctxtrace.testing._svg import DARK, LIGHT, Panel, draw_svg

PALETTES = {"light": LIGHT, "dark": DARK}
STYLE = Path(ctxtrace.__file__).parent / "diagnosis" / "_report" / "style.css"

SPLIT = forest(
    run("answer"), run("plan", "answer"), child(0, "answer"), child(1, None), child(2, None)
)
WHOLE = forest(run("answer"), run("plan", "answer"), child(0, "answer"), run("deep", "plan"))


def drawn(*forests: Forest, dark: bool = False, title: str = "A picture") -> str:
    panels = [Panel(f"forest {number}", of) for number, of in enumerate(forests)]
    return draw_svg(panels, title=title, dark=dark)


def read(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture)


def every(picture: str, tag: str, kind: str) -> list[ElementTree.Element]:
    found = read(picture).iter("{http://www.w3.org/2000/svg}" + tag)
    return [element for element in found if kind in element.get("class", "").split()]


def texts(picture: str, kind: str) -> list[str]:
    tags = ("text", "tspan")
    return [element.text or "" for tag in tags for element in every(picture, tag, kind)]


# What is drawn.


def test_every_run_is_drawn_once_and_below_its_parent() -> None:
    assert texts(drawn(WHOLE), "name") == ["answer", "plan", "deep", "child"]
    assert len(every(drawn(WHOLE), "circle", "run")) == 4


def test_every_run_but_a_root_has_a_branch_from_its_parent_to_it() -> None:
    picture = drawn(WHOLE)
    dots = every(picture, "circle", "run")
    answer, plan, deep, last = ((int(dot.get("cx", "")), int(dot.get("cy", ""))) for dot in dots)
    parents = {plan: answer, deep: plan, last: answer}
    branches = every(picture, "path", "branch")
    assert len(branches) == len(parents)
    for branch in branches:
        found = re.fullmatch(r"M(\d+) (\d+)V(\d+)q0 5 5 5H(\d+)", branch.get("d", ""))
        assert found
        left, top, bottom, right = map(int, found.groups())
        parent = parents.pop((right, bottom + 5))
        assert left == parent[0]
        assert parent[1] <= top <= bottom


def test_a_child_is_further_to_the_right_than_its_parent() -> None:
    across = [int(dot.get("cx", "")) for dot in every(drawn(WHOLE), "circle", "run")]
    answer, plan, deep, other = across
    assert answer < plan == other < deep


def test_each_trace_has_a_card_of_its_own() -> None:
    assert len(every(drawn(SPLIT), "rect", "tree")) == 3
    assert len(every(drawn(WHOLE), "rect", "tree")) == 1


def test_each_forest_has_a_panel_with_its_heading_and_its_count() -> None:
    picture = drawn(SPLIT, WHOLE)
    assert texts(picture, "heading") == ["forest 0", "forest 1"]
    assert texts(picture, "bad")[:1] == ["3 traces"]
    assert texts(picture, "good") == ["1 trace"]


def test_a_root_that_split_is_marked_with_where_it_began() -> None:
    picture = drawn(SPLIT)
    assert texts(picture, "mark") == ["✗ split"] * 2
    assert texts(picture, "place") == ["thread pool_1", "thread pool_2"]
    assert len(every(picture, "circle", "lost")) == 2


def test_a_task_says_more_than_its_thread() -> None:
    late = run("late", thread="MainThread", task="follow-up")
    assert texts(drawn(forest(run("answer"), late)), "place") == ["task follow-up"]


def test_a_run_that_failed_is_marked_where_it_stands() -> None:
    picture = drawn(forest(run("answer"), run("plan", "answer", error=True, ended=False)))
    assert texts(picture, "mark") == ["✗ error, unfinished"]
    assert texts(picture, "place") == []
    assert texts(picture, "good") == ["1 trace"]


def test_an_orphan_is_marked_as_one() -> None:
    picture = drawn(forest(run("late", "gone", thread="worker")))
    assert (texts(picture, "mark"), texts(picture, "place")) == (["✗ orphan"], ["thread worker"])


def test_a_whole_forest_has_no_mark() -> None:
    picture = drawn(WHOLE)
    assert texts(picture, "mark") == texts(picture, "bad") == every(picture, "circle", "lost") == []


def test_spans_of_opentelemetry_have_their_colour() -> None:
    picture = drawn(forest(run("answer", source="langsmith"), run("GET /", source="otel")))
    assert len(every(picture, "circle", "otel")) == 1


def test_no_run_is_a_picture_too() -> None:
    assert texts(drawn(forest()), "good") == ["0 traces"]


def test_a_very_deep_tree_is_drawn() -> None:
    deep = forest(run("0"), *(run(str(number), str(number - 1)) for number in range(1, 3000)))
    assert len(texts(drawn(deep), "name")) == 3000


# For those who cannot see it.


def test_it_is_an_image_with_a_title_and_with_a_description_of_what_is_wrong() -> None:
    picture = read(drawn(SPLIT, WHOLE, title="Before and after"))
    title, description = picture[0], picture[1]
    assert picture.get("role") == "img"
    assert title.tag.endswith("}title")
    assert title.text == "Before and after"
    assert description.tag.endswith("}desc")
    assert description.text == (
        "forest 0: 3 traces. Not as they should be: child (split, thread pool_1), "
        "child (split, thread pool_2). forest 1: 1 trace."
    )


# What a name can do.

HOSTILE = '</tspan><script>alert("1")</script>&lt;'


def test_a_name_cannot_become_markup() -> None:
    records = [run("answer"), Record("1", None, HOSTILE, thread=HOSTILE, task=None)]
    picture = draw_svg([Panel(HOSTILE, forest(*records))], title=HOSTILE)
    assert texts(picture, "name") == ["answer", HOSTILE]
    assert texts(picture, "place") == [f"thread {HOSTILE}"]
    assert texts(picture, "heading") == [HOSTILE]
    assert {element.tag.partition("}")[2] for element in read(picture).iter()} == {
        "svg", "title", "desc", "style", "rect", "circle", "path", "text", "tspan",
    }  # fmt: skip


def test_names_lose_control_characters_and_what_xml_cannot_say() -> None:
    name = "a\x00\x1b[31m\u202eb\ud800\ufffe\nc"
    thread = "pool\x07\u2028_0"
    picture = drawn(forest(run("answer"), Record("1", None, name, thread=thread)))
    assert texts(picture, "name") == ["answer", "a[31mb c"]
    assert texts(picture, "place") == ["thread pool_0"]


def test_what_is_given_as_a_heading_or_as_a_title_loses_them_too() -> None:
    picture = draw_svg([Panel("a\x1b[1m\u202eb", forest())], title="c\x00d")
    assert texts(picture, "heading") == ["a[1mb"]
    assert read(picture)[0].text == "cd"


def test_a_name_of_nothing_is_a_question_mark() -> None:
    assert texts(drawn(forest(run("answer", name="\x00"))), "name") == ["?"]


@examples(50)
@given(names=st.lists(st.text(st.characters(), max_size=8), max_size=6), dark=st.booleans())
def test_whatever_the_names_are_the_picture_can_be_read_and_encoded(
    names: list[str], dark: bool
) -> None:
    found = forest(
        *(Record(str(number), None, name, thread=name) for number, name in enumerate(names))
    )
    picture = drawn(found, dark=dark)
    assert len(every(picture, "circle", "run")) == len(names)
    assert picture.encode().decode() == picture


# Nothing by chance, nothing from elsewhere.


def test_ids_and_times_and_lines_of_code_leave_no_trace_in_the_picture() -> None:
    def with_ids(prefix: str, later: float) -> Forest:
        return Forest.from_records(
            record._replace(
                id=prefix + record.id,
                parent_id=record.parent_id and prefix + record.parent_id,
                start=later + number,
                position=(prefix, number),
            )
            for number, record in enumerate((run("answer"), run("plan", "answer"), run("late")))
        )

    assert drawn(with_ids("a", 0.5)) == drawn(with_ids("b", 7e8))


@pytest.mark.parametrize("dark", [False, True])
def test_it_loads_nothing_and_runs_nothing(dark: bool) -> None:
    picture = drawn(SPLIT, WHOLE, dark=dark)
    assert re.findall(r"https?://[^\"]*", picture) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"url\(|@import|@font-face|href|<script|\son\w+=", picture)


# Its colours.


def test_it_has_the_colours_of_the_html_report() -> None:
    style = STYLE.read_text(encoding="utf-8")
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#\w+);", part)) for part in style.split("@media", 2)[:2]
    )
    assert {name: light[name] for name in LIGHT} == LIGHT
    assert {name: dark[name] for name in DARK} == DARK
    assert set(LIGHT) == set(DARK)


@pytest.mark.parametrize("name", PALETTES)
def test_a_picture_has_the_colours_of_its_palette_alone(name: str) -> None:
    used = set(re.findall(r"#[0-9a-f]{6}", drawn(SPLIT, WHOLE, dark=name == "dark")))
    assert used == set(PALETTES[name].values())


def brightness(color: str) -> float:
    """The relative luminance of WCAG 2."""
    parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lower, higher = sorted([brightness(one), brightness(other)])
    return (higher + 0.05) / (lower + 0.05)


# What a text's colour lies on: its heading, its names, its places, its marks, its counts.
READ = [
    ("ink", "ground"),
    ("ink", "paper"),
    ("soft", "paper"),
    ("bad", "paper"),
    ("bad", "bad-soft"),
    ("good", "good-soft"),
]


@pytest.mark.parametrize("name", PALETTES)
@pytest.mark.parametrize(("text", "ground"), READ)
def test_text_can_be_read_on_its_ground(text: str, ground: str, name: str) -> None:
    assert contrast(PALETTES[name][text], PALETTES[name][ground]) >= 4.5


# The pages that show it: GitHub's, and the documentation's (Furo).
GROUNDS = [("light", "#ffffff"), ("dark", "#0d1117"), ("dark", "#131416")]


@pytest.mark.parametrize(("name", "page"), GROUNDS)
@pytest.mark.parametrize("text", ["ink", "soft", "bad", "good"])
def test_text_could_be_read_on_the_page_itself(text: str, name: str, page: str) -> None:
    assert contrast(PALETTES[name][text], page) >= 4.5


def test_contrast_is_measured_as_wcag_does() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
