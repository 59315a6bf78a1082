"""The pytest plugin on real runs: what fails a test, and what it then says."""

from __future__ import annotations

import pytest
from core.inner_pytest import Result, said
from vendors.plugin_programs import RUNS
from vendors.plugin_suites import JUDGED


def line_of(text: str) -> int:
    """The line of the program that has the text."""
    return next(n for n, line in enumerate(RUNS.splitlines(), start=1) if text in line)


# Where a tracer's decorator stands on the function, which is where Python has it begin.
LOOK_UP = line_of("def look_up") - 1

SPLIT = [
    "3 traces, expected 1",
    "  answer",
    "  look_up  ✗ split (thread pool_0)",
    "  look_up  ✗ split (thread pool_0)",
    "look_up  split: started a trace of its own (2 runs)",
    f"    thread pool_0, code at program.py:{LOOK_UP}",
]

# What the diagnosis says of it, below the tree.
LOST = [
    "look_up  started a trace of its own (2 runs)",
    f"    lost at program.py:{line_of('threads.map')} in answer: ThreadPoolExecutor.map (*)",
    "    its caller was in: answer",
    "    write: from ctxtrace import ThreadPoolExecutor",
]


@pytest.fixture
def judged(request: pytest.FixtureRequest) -> Result:
    return JUDGED.run(request)


def failed(result: Result, name: str, *lines: str) -> None:
    """Check that the test inside failed by its call, and the text has these lines."""
    outcome = result[name]
    assert outcome.what == "failed"
    said(outcome.text, *lines)


# The marker.


@pytest.mark.parametrize("name", ["test_whole", "test_parameters[ours]", "test_graph[ours]"])
def test_a_test_whose_trace_is_whole_passes(judged: Result, name: str) -> None:
    assert judged[name].what == "passed"


@pytest.mark.parametrize("name", ["test_split", "test_parameters[standard]"])
def test_with_a_standard_pool_it_fails_and_shows_what_split_and_where(
    judged: Result, name: str
) -> None:
    failed(judged, name, *SPLIT, *LOST)
    # The first line is all that pytest's summary has.
    assert judged[name].text.startswith("3 traces, expected 1")


def test_without_the_marker_and_the_fixture_nothing_is_diagnosed(judged: Result) -> None:
    assert judged["test_nothing_is_patched"].what == "passed"


def test_control_with_the_fixture_it_is(judged: Result) -> None:
    assert judged["test_something_is_patched"].what == "passed"


def test_control_without_the_marker_nobody_notices(judged: Result) -> None:
    assert judged["test_unmarked"].what == "passed"


def test_beside_marked_tests_an_unmarked_one_finds_langsmith_as_it_was(judged: Result) -> None:
    assert judged["test_unmarked_beside_marked_ones"].what == "passed"


def test_a_split_run_is_told_below_which_root_it_should_be(judged: Result) -> None:
    failed(judged, "test_split_from_a_named_root", *SPLIT, "    should be below 'answer'")


def test_a_node_of_a_graph_that_uses_a_standard_pool_fails(judged: Result) -> None:
    failed(
        judged,
        "test_graph[standard]",
        "  LangGraph",
        "  └─ node",
        "     └─ answer",
        "  look_up  ✗ split (thread pool_0)",
    )


def test_a_tests_own_error_is_the_headline_and_the_tree_a_section(judged: Result) -> None:
    failed(judged, "test_own_error", "E       AssertionError: arithmetic")
    outcome = judged["test_own_error"]
    assert "split" not in outcome.text
    tree, where = outcome.sections.values()
    said(tree, "answer", "look_up  ✗ split (thread pool_0)")
    said(where, *LOST)


def test_a_test_that_skips_itself_is_not_judged(judged: Result) -> None:
    assert judged["test_skips_itself"].what == "skipped"


def test_an_expected_failure_may_be_a_split(judged: Result) -> None:
    assert judged["test_expected_to_split"].what == "xfailed"


def test_a_test_without_a_run_fails(judged: Result) -> None:
    failed(judged, "test_no_run", "no run was recorded*")


def test_a_run_that_does_not_end_fails_the_test(judged: Result) -> None:
    failed(
        judged,
        "test_unfinished",
        "  endless  ✗ unfinished",
        "    thread MainThread, code at test_marked.py:*",
    )


def test_a_run_whose_parent_is_not_recorded_fails_the_test(judged: Result) -> None:
    failed(
        judged,
        "test_orphan",
        "  child  ✗ orphan (thread MainThread)",
        "child  orphan: its parent was never recorded",
    )


def test_a_named_run_that_is_missing_fails_the_test(judged: Result) -> None:
    failed(judged, "test_missing", "rerank  missing: never recorded")


def test_a_named_run_that_is_there_satisfies_it(judged: Result) -> None:
    assert judged["test_run_is_there"].what == "passed"


def test_another_root_than_the_named_one_fails_the_test(judged: Result) -> None:
    failed(judged, "test_other_root", "1 root not named 'agent'", "  answer", "  ├─ look_up")


def test_as_many_roots_as_are_expected_satisfy_it(judged: Result) -> None:
    assert judged["test_two_of_two_roots"].what == "passed"


def test_fewer_roots_than_are_expected_fail_the_test(judged: Result) -> None:
    failed(judged, "test_one_of_two_roots", "1 trace, expected 2", "  look_up")


def test_a_test_may_opt_out(judged: Result) -> None:
    assert judged["test_opts_out"].what == "passed"


def test_the_marker_of_a_class_holds_for_its_tests(judged: Result) -> None:
    assert judged["test_of_the_class"].what == "passed"


def test_the_marker_of_a_test_goes_before_that_of_its_class(judged: Result) -> None:
    failed(judged, "test_of_its_own", "2 traces, expected 1")
    assert judged["test_out_of_the_class"].what == "passed"


# The fixture.


@pytest.mark.parametrize(
    "name",
    [
        "test_trace",
        "test_is_recorded_and_not_judged",
        "test_asked_for_late",
        "test_asked_for_late_and_marked",
    ],
)
def test_the_fixture_has_what_was_recorded(judged: Result, name: str) -> None:
    assert judged[name].what == "passed"


@pytest.mark.parametrize("name", ["test_trace_of_several", "test_single_trace"])
def test_asking_the_fixture_for_one_trace_of_several_shows_them(judged: Result, name: str) -> None:
    failed(judged, name, *(f"E*{line}" for line in SPLIT))
    (where,) = judged[name].sections.values()  # which says nothing again
    said(where, *LOST)


def test_asking_the_fixture_for_a_nesting_that_is_not_says_what_should_have_been(
    judged: Result,
) -> None:
    failed(
        judged,
        "test_nested",
        "E*no run* as answer > look_up",
        "E*answer",
        "E*look_up  ✗ split (thread pool_0)",
        "E*should be a child of 'answer'",
    )


def test_asking_the_fixture_for_a_nesting_of_one_run_says_what_is_valid(judged: Result) -> None:
    failed(judged, "test_nested_in_nothing", "E*'answer' is no path of runs. Valid are two names*")


def test_a_drawing_that_differs_is_shown_beside_what_was_recorded(judged: Result) -> None:
    failed(
        judged,
        "test_drawing",
        "E*  answer",
        "E*- └─ look_up x 2",
        "E*+ look_up x 2",
    )


def test_beside_a_drawing_that_differs_a_section_says_where_the_split_runs_started(
    judged: Result,
) -> None:
    # pytest shows but the first lines of a comparison.
    said(
        judged["test_drawing"].sections["Captured trace call"],
        "answer",
        "look_up  ✗ split (thread pool_0)",
        "look_up  split: started a trace of its own (2 runs)",
        f"    thread pool_0, code at program.py:{LOOK_UP}",
    )


def test_the_drawing_may_stand_on_the_left(judged: Result) -> None:
    failed(
        judged,
        "test_drawing_on_the_left",
        "E*the trace trees differ (- expected, + recorded)*",
        "E*  answer",
        "E*- └─ rerank",
        "E*+ └─ look_up x 2",
    )


def test_a_drawing_that_cannot_be_read_fails_and_points_at_the_line(judged: Result) -> None:
    failed(
        judged,
        "test_drawing_that_cannot_be_read",
        "E*line 4 of the drawing cannot be read: *rerank*",
    )


# What is left open, and what is found open.


def test_control_without_the_plugin_the_next_test_sees_what_a_test_left(judged: Result) -> None:
    assert judged["test_control_leaves_a_run_and_a_span"].what == "passed"
    assert judged["test_control_the_next_sees_both"].what == "passed"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("test_run", "*langsmith: the run 'left behind' is still current, and none was before"),
        ("test_span", "*opentelemetry: the run 'span left behind' is still current, and none *"),
    ],
)
def test_a_test_that_leaves_a_run_or_span_current_fails_and_names_it(
    judged: Result, name: str, complaint: str
) -> None:
    failed(judged, f"test_leaks.py::{name}", complaint)
    assert not judged[f"test_leaks.py::{name}"].sections  # the trace is not the matter


@pytest.mark.parametrize("name", ["test_after_the_run", "test_after_the_span"])
def test_the_next_test_does_not_see_what_a_test_left(judged: Result, name: str) -> None:
    assert judged[name].what == "passed"


def test_what_a_test_left_that_failed_by_itself_is_put_back_without_a_word(judged: Result) -> None:
    failed(judged, "test_run_and_error", "E       LookupError: its own")
    assert "current" not in judged["test_run_and_error"].text
    assert judged["test_after_the_error"].what == "passed"


def test_a_test_may_end_the_run_of_its_fixture(judged: Result) -> None:
    assert judged["test_closes_what_its_fixture_opened"].what == "passed"
    assert judged["test_after_it_was_closed"].what == "passed"


@pytest.mark.parametrize("name", ["one", "other"])
@pytest.mark.parametrize("order", ["test_scopes.py", "test_turned.py"])
def test_below_the_runs_of_fixtures_of_any_scope_each_test_is_one_tree(
    judged: Result, order: str, name: str
) -> None:
    assert judged[f"{order}::TestScopes::test_{name}"].what == "passed"


def test_below_the_runs_of_fixtures_a_test_selected_alone_is_one_tree(judged: Result) -> None:
    assert judged["test_alone.py::TestScopes::test_one"].what == "passed"


def test_a_run_that_was_open_before_anything_was_recorded_is_not_part_of_the_tree(
    judged: Result,
) -> None:
    assert judged["test_judged"].what == "passed"


@pytest.mark.parametrize("time", ["first", "second"])
@pytest.mark.parametrize("name", ["test_class_run", "test_class_span"])
def test_what_a_fixture_opens_below_such_a_run_stays_for_the_next_test(
    judged: Result, name: str, time: str
) -> None:
    assert judged[f"{name}[{time}]"].what == "passed"
