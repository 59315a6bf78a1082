"""What is said where a forest does not equal what it was compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from core.forests import forest, run

from ctxtrace.testing._verdict import difference

if TYPE_CHECKING:
    from ctxtrace.testing import Forest

SPLIT = forest(run("outer"), run("inner", thread="pool_0"), run("deep", "inner"))
EXPECTED = """
outer
└─ inner
   └─ deep
"""


def test_a_split_shows_both_drawings_the_picture_with_marks_and_its_parent() -> None:
    assert difference(SPLIT, EXPECTED) == [
        "the trace trees differ (- expected, + recorded):",
        "",
        "+ inner",
        "+ └─ deep",
        "  outer",
        "- └─ inner",
        "-    └─ deep",
        "",
        "as recorded, in order of start:",
        "",
        "  outer",
        "  inner  ✗ split (thread pool_0)",
        "  └─ deep",
        "",
        "inner  split: started a trace of its own",
        "    thread pool_0",
        "    should be a child of 'outer'",
    ]


@pytest.mark.parametrize(
    "expected",
    [
        {"outer": {"inner": "deep"}},
        forest(run("outer"), run("inner", "outer"), run("deep", "inner")),
    ],
)
def test_a_dict_or_a_forest_is_compared_as_a_drawing_is(expected: Any) -> None:
    assert difference(SPLIT, expected) == difference(SPLIT, EXPECTED)


def test_a_run_below_another_parent_is_told_and_without_marks_there_is_no_second_picture() -> None:
    found = forest(run("outer"), run("inner", "outer"), run("deep", "outer", task="Task-3"))
    assert difference(found, EXPECTED) == [
        "the trace trees differ (- expected, + recorded):",
        "",
        "  outer",
        "+ ├─ deep",
        "  └─ inner",
        "-    └─ deep",
        "",
        "deep  is a child of 'outer'",
        "    task Task-3",
        "    should be a child of 'inner'",
    ]


def test_runs_that_failed_or_did_not_end_are_marked_in_a_picture() -> None:
    lines = difference(forest(run("outer", error=True), run("inner", "outer", ended=False)), "x")
    assert "  outer  ✗ error" in lines
    assert "  └─ inner  ✗ unfinished" in lines


def test_splits_come_first_and_then_one_name_after_the_other() -> None:
    found = forest(run("r"), run("z", "r"), run("y"), run("b", "z"), run("a", "z"), run("x"))
    lines = difference(found, {"r": {"a": None, "b": None, "x": "z", "y": None}})
    told = [line.split("  ")[0] for line in lines if "split:" in line or "is a child" in line]
    assert told == ["x", "y", "a", "b", "z"]
    assert "should be a child of 'x'" in lines[-1]


def test_of_several_runs_of_one_name_only_those_too_many_in_their_place_are_told() -> None:
    found = forest(run("r"), *(run(str(n), "r" if n < 3 else None, name="c") for n in range(5)))
    lines = difference(found, "r\n  c x 4")
    assert sum("should be a child of 'r'" in line for line in lines) == 1
    assert sum("c  split: started a trace of its own" in line for line in lines) == 1


def test_as_many_as_should_be_elsewhere_are_told_but_no_more_than_are_too_many_here() -> None:
    found = forest(run("r"), *(run(str(number), name="c") for number in range(3)))
    lines = difference(found, "c x 2\nr\n  c x 5")
    assert sum("should be a child of 'r'" in line for line in lines) == 1


def test_the_count_of_a_parent_counts_for_all_below_it() -> None:
    two = [run("r"), *(run(f"p{n}", "r", name="p") for n in "01")]
    two += [run(f"q{n}", f"p{n}", name="q") for n in "01"]
    expected = "r\n  p x 2\n    q\n      c"
    # As many below runs of that name as there should be, though all below one of them.
    both = [run(f"c{n}", "q1", name="c") for n in "01"]
    assert not any("should be" in line for line in difference(forest(*two, *both), expected))
    lines = difference(forest(*two, both[0], run("c2", "r", name="c")), expected)
    assert lines[-2:] == ["c  is a child of 'r'", "    should be a child of 'q'"]


def test_a_run_that_should_be_a_root_is_told_so() -> None:
    lines = difference(forest(run("a"), run("b", "a")), "a\nb")
    assert lines[-2:] == ["b  is a child of 'a'", "    should be a root"]


def test_a_second_root_that_was_expected_is_not_marked_as_a_split() -> None:
    lines = difference(forest(run("a"), run("b"), run("c", ended=False)), "a\nb")
    assert lines[-3:] == ["  a", "  b", "  c  ✗ split, unfinished"]


def test_a_root_that_should_be_a_child_is_marked_as_a_split_even_if_it_started_first() -> None:
    lines = difference(forest(run("inner"), run("outer")), "outer\n  inner")
    assert lines[-5:] == [
        "  inner  ✗ split",
        "  outer",
        "",
        "inner  split: started a trace of its own",
        "    should be a child of 'outer'",
    ]


def test_runs_that_were_expected_and_never_recorded_are_missing() -> None:
    lines = difference(forest(run("outer")), EXPECTED)
    assert lines[-3:] == ["", "inner  missing: never recorded", "deep  missing: never recorded"]


def test_what_cannot_be_read_is_told_with_the_reason_alone() -> None:
    first, *_ = difference(SPLIT, "outer\n\tinner")
    assert first == "line 2 of the drawing cannot be read: '\\tinner'"
    (line,) = difference(SPLIT, {"outer": 3})
    assert line.endswith("not int (below outer)")


def numbered(*numbers: int) -> Forest:
    return forest(run("r"), *(run(f"{number:05}", "r") for number in numbers))


def test_of_a_long_comparison_the_lines_around_what_differs_are_shown() -> None:
    lines = difference(numbered(*range(1000)), numbered(*range(500), *range(501, 1000)))
    assert lines[2:5] == ["  ...", "  ├─ 00480", "  ├─ 00481"]
    assert lines[22:25] == ["  ├─ 00499", "+ ├─ 00500", "  ├─ 00501"]
    assert lines[-2:] == ["  ├─ 00520", "  ..."]


def test_what_is_the_same_between_very_many_differences_is_not_looked_for() -> None:
    # The time it takes grows with the square of their number, and only the first are shown.
    lines = difference(numbered(*range(0, 6000, 2)), numbered(*range(6000)))
    assert lines[2:6] == ["  r", "  ├─ 00000", "- ├─ 00001", "- ├─ 00002"]
    assert "- ├─ 00198" in lines
    assert "and 8800 more lines" in lines
    assert lines[-1] == "and 2980 more runs"
