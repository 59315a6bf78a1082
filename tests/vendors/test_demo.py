"""`ctxtrace demo`: what it shows."""

from __future__ import annotations

import io
import json
import sys
import threading
from typing import Any

import pytest

import ctxtrace
from ctxtrace import _demo as demo
from ctxtrace.cli import main

LOOK_UPS = [("look_up", [])] * 3
CHECKS = [("check_token", [])] * 2
WHOLE = [
    (
        "ask",
        [
            (
                "LangGraph",
                [
                    ("audit", [("write_audit_log", [])]),
                    ("gather_facts", LOOK_UPS),
                    ("write_answer", [("draft", CHECKS)]),
                ],
            ),
            ("remember", []),
        ],
    )
]


@pytest.fixture(scope="module")
def found() -> demo.Comparison:
    return demo.compare()


@pytest.fixture
def quick(found: demo.Comparison, monkeypatch: pytest.MonkeyPatch) -> demo.Comparison:
    """Let the command show what was found once, instead of running the program again."""
    monkeypatch.setattr(demo, "compare", lambda: found)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return found


def test_the_program_is_one_tree_with_the_tools_of_ctxtrace(found: demo.Comparison) -> None:
    assert found.after.shape == WHOLE
    assert found.whole


def test_with_the_standard_library_everything_handed_to_a_thread_splits(
    found: demo.Comparison,
) -> None:
    names = sorted(node.name for node in found.before.splits)
    late = ["remember"] if "remember" in names else []
    assert names == sorted(["check_token"] * 2 + ["look_up"] * 3 + ["write_audit_log"] + late)


def test_with_the_standard_library_the_late_task_splits_where_langsmith_holds_runs_weakly(
    found: demo.Comparison,
) -> None:
    number = tuple(int(part) for part in found.versions["LangSmith"].split(".")[:3])
    splits = [node.task for node in found.before.splits if node.name == "remember"]
    assert splits == (["follow-up"] if number >= (0, 7, 30) else [])


def test_every_run_of_both_forests_has_ended_without_error(found: demo.Comparison) -> None:
    for forest in (found.before, found.after):
        assert all(node.ended and not node.error for node in forest.nodes)


def test_the_demo_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())
    demo.compare()
    assert set(threading.enumerate()) <= before


def test_the_command_draws_both_forests_with_their_counts(
    quick: demo.Comparison, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo"]) == 0
    shown = capsys.readouterr().out
    count = len(quick.before.roots)
    assert f"thread and task: {count} traces\n" in shown
    assert "With those of ctxtrace: 1 trace\n" in shown
    assert shown.count("✗ split") == count - 1
    assert "  + from ctxtrace import Thread, ThreadPoolExecutor, create_task\n" in shown
    assert f"{count} traces before, 1 trace after." in shown


def test_a_pipe_gets_plain_text(quick: demo.Comparison, capsys: pytest.CaptureFixture[str]) -> None:
    main(["demo"])
    assert "\x1b" not in capsys.readouterr().out


class Terminal(io.TextIOWrapper):
    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding)

    def isatty(self) -> bool:
        return True

    @property
    def shown(self) -> str:
        self.flush()
        buffer: Any = self.buffer
        return str(buffer.getvalue().decode(self.encoding))


@pytest.mark.usefixtures("quick")
def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal())
    main(["demo"])
    assert "\x1b[1;32m1 trace\x1b[0m" in sys.stdout.shown


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_wants_no_colours_gets_none(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", Terminal())
    main(["demo"])
    assert "\x1b" not in sys.stdout.shown


@pytest.mark.usefixtures("quick")
def test_a_pipe_gets_colours_if_they_are_forced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    main(["demo"])
    assert "\x1b[" in capsys.readouterr().out


@pytest.mark.usefixtures("quick")
def test_an_encoding_without_box_characters_gets_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal("latin-1"))
    assert main(["demo"]) == 0
    assert "x split" in sys.stdout.shown
    assert sys.stdout.shown.isascii()


@pytest.mark.usefixtures("quick")
def test_ascii_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--ascii"]) == 0
    shown = capsys.readouterr().out
    assert "`- draft" in shown
    assert shown.isascii()


def test_json_says_the_same_as_the_picture(
    quick: demo.Comparison, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data == quick.to_dict()
    assert data["before"]["traces"] == len(quick.before.roots)
    assert data["after"]["traces"] == 1
    assert data["whole"] is True
    assert set(data["versions"]) == {"Python", "LangSmith", "LangGraph"}


def test_the_exit_status_is_1_if_the_second_forest_is_not_a_single_tree(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ctxtrace, "Thread", threading.Thread)
    assert main(["demo"]) == 1
    shown = capsys.readouterr().out
    assert "With those of ctxtrace: 2 traces" in shown
    assert "report it as a bug" in shown


def test_a_second_forest_that_lacks_a_run_is_not_whole(found: demo.Comparison) -> None:
    from ctxtrace.testing import Forest
    from ctxtrace.testing._forest import Record

    short = Forest.from_records([Record("1", None, "ask")])
    assert not found._replace(after=short).whole
