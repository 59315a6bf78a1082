"""The trace tree as plain data, and as a picture in order of start.

No tracing library is needed here. Canonical pictures, and what they are compared with, have
`test_drawings` to themselves.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from chance import examples
from hypothesis import given
from hypothesis import strategies as st

from ctxtrace.testing import Forest
from ctxtrace.testing._forest import Record, Trace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ctxtrace.testing._forest import Node


def record(key: str, parent: str | None = None, start: float = 0.0, **more: Any) -> Record:
    return Record(
        **{"id": key, "parent_id": parent, "name": key, "start": start, "ended": True, **more}
    )


FAMILY = [
    record("outer", start=1),
    record("second", "outer", start=3),
    record("first", "outer", start=2),
    record("inner", "second", start=4),
]
SPLIT = [
    record("outer", start=1),
    record("nested", "outer", start=2),
    record("lost", start=3, thread="worker-1"),
    record("below", "lost", start=4),
]


def test_a_whole_trace_has_one_root_and_no_splits() -> None:
    forest = Forest.from_records(FAMILY)
    assert [root.name for root in forest.roots] == ["outer"]
    assert forest.splits == []
    assert forest.orphans == []


def test_every_root_but_the_first_started_is_a_split() -> None:
    forest = Forest.from_records(reversed(SPLIT))
    assert [node.name for node in forest.splits] == ["lost"]


def test_of_roots_that_started_together_the_first_recorded_is_the_root() -> None:
    forest = Forest.from_records([record("a"), record("b")])
    assert [node.name for node in forest.splits] == ["b"]


def test_a_child_recorded_before_its_parent_is_no_split() -> None:
    forest = Forest.from_records([record("child", "parent", start=2), record("parent", start=1)])
    assert forest.shape == [("parent", [("child", [])])]


def test_a_child_that_claims_to_start_before_its_parent_nests_all_the_same() -> None:
    forest = Forest.from_records([record("child", "parent", start=1), record("parent", start=2)])
    assert forest.shape == [("parent", [("child", [])])]


def test_a_node_whose_parent_was_never_recorded_is_an_orphan_and_a_root() -> None:
    forest = Forest.from_records([record("root"), record("stray", "nobody", start=1)])
    assert [node.name for node in forest.orphans] == ["stray"]
    assert [node.name for node in forest.roots] == ["root", "stray"]


def test_an_orphan_that_started_first_is_not_a_split() -> None:
    forest = Forest.from_records([record("stray", "nobody")])
    assert forest.splits == []
    assert [node.name for node in forest.orphans] == ["stray"]


TWO_SOURCES = [
    record("run", start=2, source="langsmith"),
    record("GET", start=1, source="otel"),
    record("child", "run", start=3, source="langsmith"),
    record("lost", start=4, source="otel", ended=False),
    record("stray", "nobody", start=5, source="langsmith"),
]


def names(nodes: Iterable[Node]) -> list[str]:
    return [node.name for node in nodes]


def test_each_source_has_a_first_root_of_its_own() -> None:
    forest = Forest.from_records(TWO_SOURCES)
    assert names(forest.roots) == ["GET", "run", "lost", "stray"]
    assert names(forest.splits) == ["lost", "stray"]


def test_the_sources_are_named_in_order_and_only_where_they_have_runs() -> None:
    assert Forest.from_records(TWO_SOURCES).sources == ["langsmith", "otel"]
    assert Forest.from_records(TWO_SOURCES[1:2]).sources == ["otel"]


def test_one_source_alone_keeps_its_nodes_roots_and_orphans() -> None:
    forest = Forest.from_records(TWO_SOURCES).only("langsmith")
    assert (names(forest.nodes), names(forest.roots), names(forest.orphans)) == (
        ["run", "child", "stray"],
        ["run", "stray"],
        ["stray"],
    )
    assert forest.draw() == "run\n└─ child\nstray"


def test_a_source_that_recorded_nothing_has_an_empty_forest() -> None:
    assert Forest.from_records(TWO_SOURCES).only("langfuse").nodes == []


def test_runs_whose_end_was_not_recorded_are_unfinished() -> None:
    assert names(Forest.from_records(TWO_SOURCES).unfinished) == ["lost"]


def test_names_of_which_there_is_no_run_are_missing_once_and_in_the_order_asked() -> None:
    forest = Forest.from_records([record("a"), record("1", name="b\x1b")])
    assert forest.missing(["z", "a", "y", "b", "b\x07", "z"]) == ["z", "y"]


def test_a_node_knows_its_parent_and_a_root_or_orphan_has_none() -> None:
    forest = Forest.from_records(TWO_SOURCES)
    assert {node.name: node.parent and node.parent.name for node in forest.nodes} == {
        "GET": None, "run": None, "child": "run", "lost": None, "stray": None,
    }  # fmt: skip


def test_traces_are_the_trees_in_order_of_start_each_with_its_nodes_in_order_of_start() -> None:
    below = [record("deep", "first", start=2.5), record("stray", "nobody", start=9)]
    first, second = Forest.from_records([*FAMILY, *below]).traces
    assert isinstance(first, Trace)
    assert first.root.name == "outer"
    assert names(first.nodes) == ["outer", "first", "deep", "second", "inner"]
    assert first.orphans == []
    assert (second.root.name, names(second.orphans)) == ("stray", ["stray"])


@pytest.mark.parametrize("records", [[], SPLIT])
def test_a_trace_of_no_or_several_trees_cannot_be_made(records: list[Record]) -> None:
    with pytest.raises(ValueError, match=r"exactly one tree, and these are [02]"):
        Trace.from_records(records)


def test_children_stand_in_order_of_start() -> None:
    (root,) = Forest.from_records(FAMILY).roots
    assert [child.name for child in root.children] == ["first", "second"]


def test_shape_sorts_siblings_by_name_and_then_by_what_is_below_them() -> None:
    forest = Forest.from_records(
        [
            record("root"),
            record("1", "root", name="twin"),
            record("1a", "1", name="z"),
            record("2", "root", name="twin"),
            record("2a", "2", name="a"),
            record("3", "root", name="first"),
        ]
    )
    assert forest.shape == [("root", [("first", []), ("twin", [("a", [])]), ("twin", [("z", [])])])]


def test_no_records_make_an_empty_forest() -> None:
    forest = Forest.from_records([])
    assert (forest.roots, forest.splits, forest.shape, forest.sources) == ([], [], [], [])
    assert (forest.draw(), forest.draw(order="start"), forest.tree) == ("", "", "")


def test_two_records_with_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match=r"two records have the id 'a' \('a' and 'again'\)"):
        Forest.from_records([record("a"), record("a", name="again", start=1)])


def test_records_that_are_each_others_ancestors_are_refused_and_not_left_out() -> None:
    with pytest.raises(ValueError, match="each other's ancestors, or below such: 'a', 'b', 'c'"):
        Forest.from_records([record("a", "b"), record("b", "a"), record("c", "b")])


def test_a_drawing_shows_who_is_below_whom() -> None:
    assert Forest.from_records(FAMILY).draw(order="start") == (
        "outer\n├─ first\n└─ second\n   └─ inner"
    )


def test_a_drawing_marks_splits_with_the_thread_they_started_in() -> None:
    assert Forest.from_records(SPLIT).draw(order="start") == (
        "outer\n└─ nested\nlost  ✗ split (thread worker-1)\n└─ below"
    )


def test_a_drawing_names_the_task_where_there_is_one() -> None:
    forest = Forest.from_records(
        [record("a"), record("b", start=1, thread="MainThread", task="Task-7")]
    )
    assert forest.draw(order="start").endswith("b  ✗ split (task Task-7)")


def test_a_drawing_marks_orphans_errors_and_unfinished_runs() -> None:
    forest = Forest.from_records(
        [
            record("a", error=True),
            record("b", "a", start=1, ended=False),
            record("c", "nobody", start=2),
        ]
    )
    assert forest.draw(order="start") == ("a  ✗ error\n└─ b  ✗ unfinished\nc  ✗ split, orphan")


def test_an_ascii_drawing_is_ascii_whatever_the_names_are() -> None:
    forest = Forest.from_records(
        [record("größe"), record("x", "größe"), record("y", "größe"), record("z", start=1)]
    )
    assert forest.draw(order="start", ascii=True) == ("gr\\xf6\\xdfe\n|- x\n`- y\nz  x split")


def test_colour_is_used_only_when_asked_for() -> None:
    forest = Forest.from_records(SPLIT)
    assert "\x1b" not in forest.draw(order="start")
    assert "\x1b[31m  ✗ split (thread worker-1)\x1b[0m" in forest.draw(order="start", color=True)


HOSTILE = "a\x1b[2Jb\nc\td\u202ee\udc80f\u2028g\x00\x9bh"


def test_names_lose_control_characters_in_pictures_and_data() -> None:
    forest = Forest.from_records(
        [record("root"), record("1", name=HOSTILE, start=1, thread="t\x1b", task="k\r")]
    )
    assert forest.draw(order="start").splitlines()[1] == "a[2Jb c defgh  ✗ split (task k )"
    node = forest.to_dict()["roots"][1]
    assert (node["name"], node["thread"], node["task"]) == ("a[2Jb c defgh", "t", "k ")


def test_a_run_without_a_printable_name_is_still_drawn() -> None:
    assert Forest.from_records([record("1", name="\x00")]).draw(order="start") == "?"


def test_data_survives_json_and_counts_what_the_picture_shows() -> None:
    data = Forest.from_records(SPLIT).to_dict()
    assert json.loads(json.dumps(data)) == data
    assert (data["traces"], data["runs"], data["splits"], data["orphans"]) == (2, 4, 1, 0)
    assert [root["split"] for root in data["roots"]] == [False, True]
    assert data["roots"][1]["children"][0]["name"] == "below"


def test_data_holds_names_places_and_times_and_nothing_else() -> None:
    (root,) = Forest.from_records([record("a")]).to_dict()["roots"]
    assert set(root) == {
        "name", "id", "parent_id", "start", "thread", "task", "source", "position",
        "ended", "error", "split", "orphan", "children",
    }  # fmt: skip


def test_data_says_who_recorded_a_run_and_where_its_code_stands() -> None:
    forest = Forest.from_records(
        [record("a", source="otel", position=("a\x1b.py", 7)), record("b", start=1, source="otel")]
    )
    first, second = forest.to_dict()["roots"]
    assert (first["source"], first["position"]) == ("otel", {"file": "a.py", "line": 7})
    assert second["position"] is None


def test_a_very_deep_trace_can_be_built_and_drawn() -> None:
    depth = sys.getrecursionlimit() * 2
    chain = [record("0")] + [record(str(n), str(n - 1), start=n) for n in range(1, depth)]
    forest = Forest.from_records(chain)
    assert len(forest.draw(order="start").splitlines()) == depth
    (shape,) = forest.shape
    assert shape[0] == "0"


@st.composite
def forests(draw: st.DrawFn) -> list[Record]:
    """Some runs, each below an earlier one or a root."""
    names = draw(st.lists(st.sampled_from("abc"), max_size=12))
    return [
        record(
            str(at),
            draw(st.one_of(st.none(), st.integers(0, at - 1).map(str))) if at else None,
            start=at,
            name=name,
        )
        for at, name in enumerate(names)
    ]


@examples(40)
@given(records=forests(), data=st.data())
def test_the_order_of_recording_changes_nothing(records: list[Record], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(records))
    expected = Forest.from_records(records)
    found = Forest.from_records(shuffled)
    assert found.shape == expected.shape
    assert found.draw(order="start") == expected.draw(order="start")
    assert found.draw() == expected.draw()
    assert found.to_dict() == expected.to_dict()


@examples(40)
@given(records=forests())
def test_every_run_is_drawn_on_a_line_of_its_own(records: list[Record]) -> None:
    assert len(Forest.from_records(records).draw(order="start").splitlines()) == len(records)


def test_importing_the_testing_tools_imports_no_vendor_and_no_test_framework() -> None:
    script = (
        "import sys, ctxtrace.testing\n"
        "bad = {'langsmith', 'langchain_core', 'opentelemetry', 'pytest', 'anyio', 'asyncio'}\n"
        "sys.exit(', '.join(bad & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stderr, done.returncode) == ("", 0)
