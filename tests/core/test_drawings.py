"""Canonical pictures of a forest, and the drawings and dicts that it is compared with.

Trees are written as `(name, parent's number)` here: a run's number is its place in the list,
which is also the order of start.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Optional

import pytest
from chance import examples
from hypothesis import given
from hypothesis import strategies as st

from ctxtrace.testing import Forest
from ctxtrace.testing._forest import Record

Runs = list[tuple[str, Optional[int]]]


def grown(*runs: tuple[str, int | None]) -> Forest:
    return Forest.from_records(
        Record(str(number), None if parent is None else str(parent), name, float(number), True)
        for number, (name, parent) in enumerate(runs)
    )


# Children out of order, two that look the same, and two of one name that do not.
BUSY = grown(
    ("outer", None),
    ("step", 0),
    ("last", 0),
    ("step", 0),
    ("step", 0),
    ("z", 1),
    ("a", 3),
    ("a", 4),
    ("first", 0),
)
BUSY_TREE = """\
outer
├─ first
├─ last
├─ step x 2
│  └─ a
└─ step
   └─ z
"""


def test_a_canonical_drawing_sorts_siblings_by_name_and_then_by_their_own_drawing() -> None:
    assert BUSY.tree == BUSY_TREE
    assert BUSY.draw() == BUSY_TREE.rstrip("\n")


def test_of_siblings_of_one_name_the_one_that_ends_first_is_drawn_first() -> None:
    forest = grown(("r", None), ("a", 0), ("b", 1), ("c", 1), ("a", 0), ("b", 4), ("a", 0))
    assert forest.tree == "r\n├─ a\n├─ a\n│  └─ b\n└─ a\n   ├─ b\n   └─ c\n"


def test_runs_that_look_the_same_share_a_line_and_are_counted() -> None:
    forest = grown(("outer", None), *[("child", 0)] * 200)
    assert forest.tree == "outer\n└─ child x 200\n"


def test_roots_are_sorted_and_counted_as_siblings_are() -> None:
    assert grown(("b", None), ("a", None), ("b", None)).tree == "a\nb x 2\n"


def test_equal_trees_below_different_parents_are_not_counted_together() -> None:
    forest = grown(("r", None), ("x", 0), ("y", 0), ("a", 1), ("a", 2))
    assert forest.tree == "r\n├─ x\n│  └─ a\n└─ y\n   └─ a\n"


def test_a_canonical_drawing_has_names_alone() -> None:
    forest = Forest.from_records(
        [Record("1", None, "a", 0, error=True), Record("2", "0", "b", 1, thread="t")]
    )
    assert forest.draw(color=True) == "a\nb"
    assert "split" in forest.draw(order="start")


def test_a_canonical_drawing_can_do_without_unicode() -> None:
    forest = grown(("größe", None), ("x", 0), ("y", 1), ("z", 0))
    assert forest.draw(ascii=True) == '"gr\\u00f6\\u00dfe"\n|- x\n|  `- y\n`- z'
    assert forest == forest.draw(ascii=True)


def test_an_unknown_order_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no order 'name': use 'canonical' or 'start'"):
        BUSY.draw(order="name")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["a x 3", " a", "a ", "", '"a"', "-a", "+", "├─ a", "|", "`a`", "\u3000a", "a  x 12"]
)
def test_a_name_that_would_be_misread_is_drawn_in_quotes(name: str) -> None:
    forest = grown((name, None), (name, 0), (name, 0))
    quoted = json.dumps(name, ensure_ascii=False)
    assert forest.tree == f"{quoted}\n└─ {quoted} x 2\n"
    assert forest == forest.tree
    assert forest == {quoted: f"{quoted} x 2"}


@pytest.mark.parametrize("name", ["a x", "x 3", "a x b", "3", "a-b", 'say "a"', "it's", "a x3"])
def test_a_name_that_cannot_be_misread_is_drawn_as_it_is(name: str) -> None:
    assert grown((name, None)).tree == f"{name}\n"
    assert grown((name, None)) == name


HOSTILE = "a\x1b[2Jb\nc\td\u202ee\udc80f\u2028g\x00\x9bh"


def test_names_lose_control_characters_on_both_sides_of_a_comparison() -> None:
    forest = grown(("outer", None), (HOSTILE, 0))
    assert forest.tree == "outer\n└─ a[2Jb c defgh\n"
    assert forest == {"outer": HOSTILE}
    assert forest == {"outer": json.dumps(HOSTILE)}
    assert forest == "outer\n  a\x00[2Jb c defgh"
    assert forest == grown(("out\x07er", None), ("a[2Jb c defgh", 0))


def test_a_drawing_may_do_without_strokes_and_may_stand_anywhere() -> None:
    assert (
        BUSY
        == """

            outer
              first

              last
              step
                   z
              step x 2
                 a
    """
    )


@pytest.mark.parametrize(
    "drawing",
    [
        "outer\n|-- inner\n|   `-- deep\n`-- other",
        "outer\n+- inner\n|  +- deep\n+- other",
        "outer\r\n\r\n├── inner  \r\n \t\r\n│   └── deep\t\r\n└── other\r\n",
        "- outer\n  - inner\n    - deep\n  - other",
    ],
)
def test_a_drawing_may_be_made_with_any_of_the_strokes(drawing: str) -> None:
    assert grown(("outer", None), ("inner", 0), ("deep", 1), ("other", 0)) == drawing


def test_a_count_says_how_many_trees_look_like_this() -> None:
    forest = grown(("r", None), ("a", 0), ("b", 1), ("a", 0), ("b", 3))
    assert forest == "r\n  a x 2\n    b"
    assert forest == "r\n  a    x 2\n    b"
    assert forest == "r\n  a x 1\n    b\n  a\n    b x 1"
    assert forest != "r\n  a x 2\n    b x 2"
    assert forest != "r\n  a x 3\n    b"


def test_another_depth_name_or_number_of_roots_is_another_tree() -> None:
    forest = grown(("a", None), ("b", 0), ("c", 1))
    assert forest == "a\n b\n  c"
    for other in ("a\n b\n c", "a\n b", "a\n b\n  c\na", "a\n b\n  d", "a\nb\n c", ""):
        assert forest != other


@pytest.mark.parametrize(
    ("drawing", "line", "reason"),
    [
        ("\na\n    b\n  c", "line 4 of the drawing cannot be read: '  c'", "column 3.* 1, 5 and"),
        ("  a\nb", "line 2 of the drawing cannot be read: 'b'", "column 1.* Valid are 3 and"),
        ("a\n\tb", r"line 2 of the drawing cannot be read: '\\tb'", "A tab stands before its name"),
        ("a\n \x07", "line 2 of the drawing cannot be read: ' \\\\x07'", "There is no name"),
        ("a\n├─", "line 2 of the drawing cannot be read: '├─'", "There is no name"),
        ("a x 0", "line 1 of the drawing cannot be read: 'a x 0'", "It counts no run.* N from 1"),
        ('"a', "line 1 of the drawing cannot be read: '\"a'", "Its quotes are not as in JSON"),
        ('"\\q"', "line 1 of the drawing", "Its quotes are not as in JSON"),
        ('"a" x', "line 1 of the drawing", "After its quotes comes ' x'"),
    ],
)  # fmt: skip
def test_a_drawing_that_cannot_be_read_is_refused_with_the_line_why_and_what_is_valid(
    drawing: str, line: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=f"(?s){line}.*{reason}.*spaces and strokes"):
        assert grown() == drawing


@pytest.mark.parametrize(
    "expected",
    [
        {"outer": {"inner": {"deep": None}, "child x 2": {}}},
        {"outer": {"inner": "deep", "child": None, "child x 1": None}},
        {"outer": [{"inner": "deep"}, "child x 2"]},
        {"outer": ["child", {"inner": ["deep"], "child": []}]},
    ],
)
def test_a_forest_equals_a_dict_of_the_same_trees(expected: dict[str, Any]) -> None:
    forest = grown(("outer", None), ("child", 0), ("child", 0), ("inner", 0), ("deep", 3))
    assert forest == expected
    assert forest != {**expected, "another": None}


@pytest.mark.parametrize(
    ("expected", "place"),
    [
        ({"outer": {"inner": 3}}, r"not int \(below outer > inner\)"),
        ({"outer": {"inner": 3, "other": {"deep": None}}}, r"not int \(below outer > inner\)"),
        ({"outer": ("inner",)}, r"a list of str and dict, not tuple \(below outer\)"),
        ({"outer": ["inner", None]}, r"not a list with NoneType \(below outer\)"),
        ({"outer": {"inner": None, 7: None}}, r"a name is a str, not int \(below outer\)"),
        ({7: None}, r"a name is a str, not int \(at the top\)"),
    ],
)
def test_a_dict_that_holds_something_else_is_refused_with_the_place_and_what_is_valid(
    expected: dict[Any, Any], place: str
) -> None:
    with pytest.raises(TypeError, match=place):
        assert grown() == expected


def test_a_name_in_a_dict_that_cannot_be_read_is_refused_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"'inner x 0' cannot be read \(below outer\): .*N from 1"):
        assert grown() == {"outer": ["inner x 0"]}


def test_an_empty_forest_equals_an_empty_drawing_and_an_empty_dict() -> None:
    assert grown() == "\n  \n"
    assert grown() == {}
    assert grown() == grown()
    assert grown() != "a"


def test_a_forest_says_nothing_of_other_types_and_cannot_be_hashed() -> None:
    assert BUSY.__eq__(["outer"]) is NotImplemented
    assert BUSY.__eq__(None) is NotImplemented
    with pytest.raises(TypeError, match="unhashable"):
        hash(BUSY)


DEPTH = sys.getrecursionlimit() * 2


def test_very_deep_trees_are_drawn_read_and_compared() -> None:
    # Two of one name that differ at their very end, so that sorting them goes all the way.
    def chain(first: int, end: str) -> Runs:
        between: Runs = [("a", first + number) for number in range(DEPTH - 2)]
        return [("a", 0), *between, (end, first + DEPTH - 2)]

    forest = grown(("top", None), *chain(1, "y"), *chain(1 + DEPTH, "z"))
    other = grown(("top", None), *chain(1, "z"), *chain(1 + DEPTH, "y"))
    assert forest == other
    assert forest == other.tree
    assert forest != grown(("top", None), *chain(1, "y"), *chain(1 + DEPTH, "y"))
    nested: dict[str, Any] = {}
    for _ in range(DEPTH):
        nested = {"a": nested}
    assert grown(*[("a", number - 1 if number else None) for number in range(DEPTH)]) == nested


def test_ten_thousand_equal_siblings_are_not_compared_each_with_each() -> None:
    # They would be 50 million comparisons: a minute, and not a moment.
    forest = grown(("r", None), *[("child", 0)] * 10_000)
    assert forest.tree == "r\n└─ child x 10000\n"
    assert forest == {"r": ["child"] * 10_000}


# Names that are about what a label is made of.
hostile = st.text(st.sampled_from(" x3\"\\'-+|`│├└─\n\t\x1b\ud800é\u3000\U0001f600a"), max_size=6)


@st.composite
def forests(draw: st.DrawFn) -> Forest:
    names = draw(st.lists(st.one_of(st.sampled_from("abc"), hostile), max_size=12))
    return grown(
        *(
            (name, draw(st.one_of(st.none(), st.integers(0, number - 1))) if number else None)
            for number, name in enumerate(names)
        )
    )


@examples(100)
@given(forest=forests(), ascii=st.booleans())
def test_a_forest_is_always_equal_to_its_own_drawing(forest: Forest, ascii: bool) -> None:
    drawing = forest.draw(ascii=ascii)
    assert drawing.isascii() or not ascii
    assert forest == drawing


@examples(50)
@given(one=forests(), other=forests())
def test_forests_are_equal_if_their_drawings_are(one: Forest, other: Forest) -> None:
    assert (one == other) == (one.tree == other.tree) == (one == other.tree)


@examples(40)
@given(forest=forests(), data=st.data())
def test_the_order_of_start_changes_nothing_in_a_canonical_drawing(
    forest: Forest, data: st.DataObject
) -> None:
    starts = data.draw(st.permutations(range(len(forest.nodes))))
    shuffled = Forest.from_records(
        Record(node.id, node.parent_id, node.name, float(start))
        for node, start in zip(forest.nodes, starts)
    )
    assert shuffled.tree == forest.tree
    assert shuffled == forest
