"""What of the tracers is current before a piece of a program, and after it."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING

import pytest

import ctxtrace
from ctxtrace.testing._current import Current

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN: ContextVar[str | None] = ContextVar("run", default=None)
PROJECT: ContextVar[str] = ContextVar("project", default="mine")


class Tracer(ctxtrace.Carrier):
    name = "tracer"

    def clear(self) -> None:
        RUN.set(None)

    def variables(self):
        return (RUN, PROJECT)

    def current(self) -> tuple[str, str] | None:
        run = RUN.get()
        return None if run is None else (f"id of {run}", run)


@pytest.fixture
def tracer() -> Iterator[Tracer]:
    tracer = Tracer()
    undo = ctxtrace.register_carrier(tracer)
    yield tracer
    undo()


@pytest.mark.usefixtures("tracer")
def test_a_run_that_is_left_current_is_named_and_taken_back() -> None:
    before = Current()
    RUN.set("left")
    assert before.put_back() == ["tracer: the run 'left' is still current, and none was before"]
    assert RUN.get() is None


@pytest.mark.usefixtures("tracer")
def test_a_run_that_was_ended_is_not_made_current_again() -> None:
    token = RUN.set("outer")
    before = Current()
    RUN.set(None)
    assert before.put_back() == []
    assert RUN.get() is None
    RUN.reset(token)


@pytest.mark.usefixtures("tracer")
def test_what_is_no_run_is_put_back_without_a_word() -> None:
    before = Current()
    PROJECT.set("another")
    assert before.put_back() == []
    assert PROJECT.get() == "mine"


@pytest.mark.usefixtures("tracer")
def test_a_run_that_was_closed_again_is_not_mentioned() -> None:
    before = Current()
    RUN.reset(RUN.set("closed"))
    assert before.put_back() == []


def test_a_tracer_that_comes_in_between_had_no_run_before() -> None:
    before = Current()
    undo = ctxtrace.register_carrier(Tracer())
    try:
        RUN.set("left")
        assert before.put_back() == ["tracer: the run 'left' is still current, and none was before"]
    finally:
        undo()
    assert RUN.get() is None


def test_names_lose_their_control_characters(tracer: Tracer) -> None:
    before = Current()
    RUN.set("a\x1b[2Jb")
    assert "'a[2Jb' is still current" in before.put_back()[0]


def test_a_tracer_that_fails_to_say_is_logged_once_and_left_out(
    tracer: Tracer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(tracer, "current", failing, raising=False)
    with caplog.at_level(logging.WARNING, "ctxtrace"):
        assert Current().put_back() == []
        assert Current().put_back() == []
    assert [record.message.split(";")[0] for record in caplog.records] == [
        "carrier 'tracer' failed in failing()"
    ]
