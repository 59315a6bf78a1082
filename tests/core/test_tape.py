"""A run that starts in the very moment in which the last recording closes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ctxtrace.testing import Recording, _tape, record
from ctxtrace.testing._place import here

if TYPE_CHECKING:
    from collections.abc import Iterator

LATE = "late of the tests"


@pytest.fixture
def recording() -> Iterator[Recording]:
    with record() as recording:
        yield recording


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let no other run of the process be known."""
    known: dict[str, Any] = {}
    monkeypatch.setattr(_tape, "_known", known)
    return known


def close_while_the_frames_are_walked(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    def close_and_say_here() -> Any:
        recording.stop()
        return here()

    monkeypatch.setattr(_tape, "here", close_and_say_here)


def close_when_the_run_is_known(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    class Closing(dict[str, Any]):
        def setdefault(self, *args: Any) -> Any:
            found = super().setdefault(*args)
            recording.stop()
            return found

    monkeypatch.setattr(_tape, "_known", Closing(_tape._known))


each_moment = pytest.mark.parametrize(
    "close", [close_while_the_frames_are_walked, close_when_the_run_is_known]
)


def started(parent: str | None = None) -> bool:
    return _tape.started("otel", LATE, parent, "late", 1.0)


def test_control_a_run_that_starts_while_a_recording_is_open_is_taken(
    recording: Recording,
) -> None:
    assert started()
    assert _tape.knows(LATE)
    recording.stop()
    assert _tape.knows(LATE)
    assert [node.name for node in recording.forest().nodes] == ["late"]


@each_moment
def test_a_run_that_starts_while_the_last_recording_closes_is_handed_on_and_not_kept(
    close: Any, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    close(recording, monkeypatch)
    assert not started()
    assert not _tape.knows(LATE)
    assert recording.forest().nodes == []


@each_moment
def test_the_recorder_is_told_that_all_is_done_also_where_such_a_run_came_between(
    close: Any, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_when_done: list[list[str]] = []
    monkeypatch.setitem(
        _tape._when_done, "otel", lambda: known_when_done.append(list(_tape._known))
    )
    close(recording, monkeypatch)
    started()
    assert known_when_done
    assert known_when_done[-1] == []


@each_moment
def test_such_a_run_is_taken_where_its_parent_was_recorded_and_is_open(
    close: Any, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    _tape.started("otel", "parent of the tests", None, "parent", 0.0)
    close(recording, monkeypatch)
    assert started("parent of the tests")
    assert _tape.knows(LATE)


def test_a_child_that_starts_after_the_recording_is_taken_until_its_parent_has_ended(
    recording: Recording,
) -> None:
    _tape.started("otel", "parent of the tests", None, "parent", 0.0)
    recording.stop()
    assert started("parent of the tests")
    for key in (LATE, "parent of the tests"):
        _tape.updated(key, ended=True, error=False)
    assert not started("parent of the tests")
    assert [node.name for node in recording.forest().nodes] == ["parent"]
