"""What is said of a forest that is not what a test expects: to whom, why, and what should be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from core.forests import child, forest, run

from ctxtrace.testing._verdict import complaint, difference, nesting_complaint

if TYPE_CHECKING:
    import pytest


WHOLE = forest(run("outer"), run("a", "outer"), child(1, "a"))
SPLIT = forest(
    run("outer"), child(1, "outer"), child(2, None, task="Task-7"), child(3, None)
)  # fmt: skip
EMPTY = forest()


# --- The single trace -----------------------------------------------------------------------


def test_a_single_trace_with_all_that_was_asked_for_is_no_complaint() -> None:
    assert complaint(WHOLE) is None
    assert complaint(WHOLE, root="outer", runs=["a", "child"], sources=[""]) is None


def test_splits_are_counted_drawn_and_each_told_with_thread_task_and_what_should_be() -> None:
    assert complaint(SPLIT, root="outer") == (
        "3 traces, expected 1\n"
        "\n"
        "  outer\n"
        "  └─ child\n"
        "  child  ✗ split (task Task-7)\n"
        "  child  ✗ split (thread pool_3)\n"
        "\n"
        "child  split: started a trace of its own\n"
        "    thread pool_2, task Task-7\n"
        "    should be below 'outer'\n"
        "child  split: started a trace of its own\n"
        "    thread pool_3\n"
        "    should be below 'outer'"
    )


def test_without_a_root_named_by_the_test_nothing_is_said_of_what_should_be() -> None:
    text = complaint(SPLIT)
    assert text is not None
    assert "should be" not in text
    assert text.count("split: started a trace of its own") == 2


def test_code_below_the_working_directory_is_named_from_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    inside, outside = tmp_path / "app" / "nodes.py", tmp_path.parent / "lib.py"
    text = complaint(
        forest(
            run("outer"),
            run("x", position=(str(inside), 42)),
            run("y", position=(str(outside), 7)),
            run("z", position=("<stdin>\x1b", 1)),
        )
    )
    assert text is not None
    assert f"    code at {Path('app', 'nodes.py')}:42\n" in text
    assert f"    code at {outside}:7\n" in text
    assert text.endswith("    code at <stdin>:1")


def test_names_threads_tasks_and_places_lose_control_characters() -> None:
    wild = "n\x1b[2J\nm"
    there = run("1", name=wild, thread=wild, task=wild, position=(wild, 1), ended=False)
    for text in (
        complaint(forest(run("outer"), there), root=wild, runs=[f"{wild}x"]),
        nesting_complaint(forest(run("outer"), there), [f"{wild}x", wild]),
        "\n".join(difference(forest(run("outer"), there), {"outer": {wild: None}})),
    ):
        assert text is not None
        assert "\x1b" not in text
        assert "thread n[2J m, task n[2J m, code at n[2J m:1" in text


def test_runs_of_which_the_same_is_to_be_said_are_told_once() -> None:
    twins = [run(key, name="twin", thread="t") for key in "123"]
    text = complaint(forest(run("outer"), *twins, run("4", name="twin", thread="u")))
    assert text is not None
    assert text.endswith(
        "\n\ntwin  split: started a trace of its own (3 runs)\n    thread t\n"
        "twin  split: started a trace of its own\n    thread u"
    )


def test_an_orphan_is_told_even_if_there_is_one_tree() -> None:
    assert complaint(forest(run("stray", "nobody", thread="t"))) == (
        "1 orphan\n\n  stray  ✗ orphan (thread t)\n\n"
        "stray  orphan: its parent was never recorded\n    thread t"
    )


def test_a_root_of_another_name_is_told_with_the_name_expected() -> None:
    assert complaint(WHOLE, root="main") == (
        "1 root not named 'main'\n\n  outer\n  └─ a\n     └─ child\n\n"
        "outer  is the root, expected 'main'"
    )


def test_where_something_started_before_the_named_root_it_is_that_which_split() -> None:
    text = complaint(forest(run("warm-up"), run("outer"), run("a", "outer")), root="outer")
    assert text == (
        "2 traces, expected 1\n\n  warm-up  ✗ split\n  outer\n  └─ a\n\n"
        "warm-up  split: started a trace of its own\n    should be below 'outer'"
    )


def test_a_second_root_of_the_right_name_is_not_said_to_belong_below_itself() -> None:
    text = complaint(forest(run("1", name="outer"), run("2", name="outer")), root="outer")
    assert text is not None
    assert text.endswith("outer  split: started a trace of its own")


def test_several_roots_may_be_asked_for_and_those_beyond_are_the_surplus() -> None:
    three = forest(run("a"), run("b"), run("c"))
    assert complaint(three, roots=3) is None
    assert complaint(three, roots=2) == (
        "3 traces, expected 2\n\n  a\n  b\n  c  ✗ split\n\nc  split: started a trace of its own"
    )
    assert complaint(three, roots=4) == "3 traces, expected 4\n\n  a\n  b\n  c"


def test_each_of_several_roots_is_to_have_the_name() -> None:
    text = complaint(forest(run("1", name="a"), run("b"), run("c")), roots=3, root="a")
    assert text is not None
    assert text.startswith("2 roots not named 'a'\n")
    assert text.endswith("b  is the root, expected 'a'\nc  is the root, expected 'a'")


def test_runs_that_were_never_recorded_are_missing_though_there_is_one_tree() -> None:
    assert complaint(WHOLE, runs=["draft", "a", "rerank"]) == (
        "2 runs missing\n\n  outer\n  └─ a\n     └─ child\n\n"
        "draft  missing: never recorded\nrerank  missing: never recorded"
    )


def test_runs_that_did_not_end_are_told_unless_they_may_be_open() -> None:
    unended = forest(run("fixture", ended=False), run("a", "fixture", ended=False, thread="t"))
    assert complaint(unended, may_be_open={"fixture", "a"}) is None
    assert complaint(unended, may_be_open={"fixture"}) == (
        "1 run unfinished\n\n  fixture\n  └─ a  ✗ unfinished\n\n"
        "a  unfinished: its end was not recorded\n    thread t"
    )


def test_all_that_is_wrong_is_in_the_first_line_and_told_in_one_order() -> None:
    text = complaint(
        forest(run("x", ended=False), run("y"), run("z", "nobody")), root="outer", runs=["r"]
    )
    assert text is not None
    summary, *lines = text.splitlines()
    assert summary == (
        "3 traces, expected 1; 1 root not named 'outer'; 1 orphan; 1 run missing; 1 run unfinished"
    )
    told = [line.split("  ")[1] for line in lines if line[:1] in "xyzr" and line]
    assert [words.split(":")[0] for words in told] == [
        "is the root, expected 'outer'", "split", "orphan", "missing", "unfinished",
    ]  # fmt: skip


SILENT = {"langsmith": "langsmith: why", "otel": "otel: why not"}


def test_no_run_at_all_is_a_complaint_that_says_why_that_may_be() -> None:
    assert complaint(EMPTY) == "no run was recorded"
    assert complaint(EMPTY, silent=SILENT) == ("no run was recorded\nlangsmith: why\notel: why not")


# --- Several sources ------------------------------------------------------------------------

LANGSMITH = [run("outer", source="langsmith"), run("a", "outer", source="langsmith")]
OTEL = [run("GET", source="otel"), run("SELECT", source="otel")]


def test_each_source_that_has_runs_is_judged_by_itself() -> None:
    assert complaint(forest(*LANGSMITH, OTEL[0])) is None


def test_a_source_is_named_where_there_are_several_and_the_sound_one_is_not() -> None:
    text = complaint(forest(*LANGSMITH, *OTEL))
    assert text is not None
    assert text.startswith("2 traces, expected 1 (otel)\n\n  GET\n  SELECT  ✗ split\n\n")
    assert text.endswith(
        "More than one source recorded runs, and each is judged by itself; "
        'source="..." restricts the test to one.'
    )
    assert "langsmith" not in text
    assert "outer" not in text


def test_every_source_that_is_not_sound_gets_its_own_picture() -> None:
    text = complaint(forest(*LANGSMITH, *OTEL), runs=["a"])
    assert text is not None
    assert "2 traces, expected 1; 1 run missing (otel)" in text
    text = complaint(forest(*LANGSMITH, *OTEL), runs=["b"])
    assert text is not None
    assert text.startswith("1 run missing (langsmith)\n\n  outer\n  └─ a\n\nb  missing")
    assert "\n\n2 traces, expected 1; 1 run missing (otel)\n\n  GET\n" in text


def test_a_source_that_was_asked_for_is_the_only_one_judged() -> None:
    both = forest(*LANGSMITH, *OTEL)
    assert complaint(both, sources=["langsmith"]) is None
    text = complaint(both, sources=["otel"])
    assert text is not None
    assert text.startswith("2 traces, expected 1 (otel)\n")
    assert "source=" not in text


def test_a_source_that_was_asked_for_must_have_runs() -> None:
    assert complaint(forest(*LANGSMITH), sources=["langsmith", "otel"], silent=SILENT) == (
        "no run was recorded (otel)\notel: why not"
    )


# --- What is too much -----------------------------------------------------------------------


def test_a_large_picture_and_many_splits_end_with_how_many_there_are_more() -> None:
    text = complaint(forest(*(run(f"r{number}") for number in range(300))))
    assert text is not None
    assert "\n  r199  ✗ split\n  and 100 more lines\n\n" in text
    assert text.endswith("\nr20  split: started a trace of its own\nand 279 more runs")


def test_missing_and_unfinished_runs_are_bounded_too() -> None:
    many = forest(run("r"), *(run(f"r{number}", "r", ended=False) for number in range(30)))
    text = complaint(many, runs=[f"m{number}" for number in range(25)])
    assert text is not None
    assert "\nm19  missing: never recorded\nand 5 more runs\n\nr0  unfinished" in text
    assert text.endswith("\nr19  unfinished: its end was not recorded\nand 10 more runs")
