"""What is said of runs that should be each directly below another, and are not."""

from __future__ import annotations

from typing import Any

import pytest
from core.forests import child, forest, run

from ctxtrace.testing._verdict import nesting_complaint, split_chain

WHOLE = forest(run("outer"), run("a", "outer"), child(1, "a"))
OUTER_CHILD = ["outer", "child"]


def test_runs_that_nest_directly_are_no_complaint_wherever_the_path_begins() -> None:
    assert nesting_complaint(WHOLE, ["outer", "a", "child"]) is None
    assert nesting_complaint(WHOLE, ["a", "child"]) is None


def test_a_run_further_down_is_not_directly_below() -> None:
    assert nesting_complaint(WHOLE, ["outer", "child"]) == (
        "no run nests as outer > child\n\n  outer\n  └─ a\n     └─ child\n\n"
        "child  is a child of 'a'\n    thread pool_1\n    should be a child of 'outer'"
    )


def test_one_child_of_several_that_split_is_one_too_many() -> None:
    text = nesting_complaint(forest(run("outer"), child(1, "outer"), child(2, None)), OUTER_CHILD)
    assert text == (
        "not every run nests as outer > child\n\n"
        "  outer\n  └─ child\n  child  ✗ split (thread pool_2)\n\n"
        "child  split: started a trace of its own\n    thread pool_2\n"
        "    should be a child of 'outer'"
    )


def test_a_child_whose_parent_was_never_recorded_is_one_too_many() -> None:
    text = nesting_complaint(forest(run("outer"), child(1, "outer"), child(2, "x")), OUTER_CHILD)
    assert text is not None
    assert "child  orphan: its parent was never recorded\n" in text
    assert text.endswith("    should be a child of 'outer'")


def test_a_child_that_split_before_its_parent_started_is_marked_and_the_parent_is_not() -> None:
    text = nesting_complaint(forest(child(1, None), run("outer")), OUTER_CHILD)
    assert text is not None
    assert "\n  child  ✗ split (thread pool_1)\n  outer\n" in text


def test_splits_of_other_names_are_marked_and_not_told() -> None:
    text = nesting_complaint(forest(run("outer"), child(1, None), run("x")), OUTER_CHILD)
    assert text is not None
    assert "\n  x  ✗ split\n" in text
    assert "x  split:" not in text


def test_runs_of_the_name_elsewhere_do_no_harm_where_the_path_exists() -> None:
    elsewhere = [run("outer"), child(1, "outer"), run("x", "outer"), child(2, "x")]
    assert nesting_complaint(forest(*elsewhere), OUTER_CHILD) is None
    text = nesting_complaint(forest(*elsewhere, child(3, None)), OUTER_CHILD)
    assert text is not None
    assert text.count("should be a child of 'outer'") == 1


def test_names_of_the_path_that_were_never_recorded_are_missing() -> None:
    text = nesting_complaint(WHOLE, ["outer", "b", "child"])
    assert text is not None
    assert "child  is a child of 'a'\n    thread pool_1\n    should be a child of 'b'" in text
    assert text.endswith("\n\nb  missing: never recorded")


def test_a_name_that_heads_the_path_may_be_a_root_though_it_comes_again_below() -> None:
    recursive = forest(run("1", name="a"), run("2", "1", name="a"))
    assert nesting_complaint(recursive, ["a", "a"]) is None
    assert nesting_complaint(recursive, ["a", "a", "a"]) is not None


def test_a_name_that_stands_twice_in_the_path_may_have_either_parent() -> None:
    text = nesting_complaint(forest(run("a"), run("x", "a")), ["a", "x", "b", "x"])
    assert text is not None
    assert "is a child of" not in text
    text = nesting_complaint(forest(run("a"), run("c", "a"), run("x", "c")), ["a", "x", "b", "x"])
    assert text is not None
    assert "should be a child of 'a' or 'b'" in text


def test_nothing_nests_where_nothing_was_recorded() -> None:
    assert nesting_complaint(forest(), OUTER_CHILD) == "no run was recorded"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a > b", ["a", "b"]),
        ("  a b  >  c > d ", ["a b", "c", "d"]),
        ("a>b > c", ["a>b", "c"]),
        (["a > b", " c"], ["a > b", " c"]),
    ],
)
def test_a_path_is_split_at_its_arrows_and_a_list_taken_as_it_is(
    text: Any, names: list[str]
) -> None:
    assert split_chain(text) == names


@pytest.mark.parametrize("text", ["a", "", "a>b", "a > ", " > b", "a >  > b", ["a"], ["a", ""], []])
def test_what_is_no_path_is_refused_with_what_is_valid(text: Any) -> None:
    with pytest.raises(ValueError, match=r"is no path of runs\. Valid are two names or more"):
        split_chain(text)
