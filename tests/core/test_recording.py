"""A recording by itself: what it is asked, and what it answers, whichever tracer tells of runs."""

from __future__ import annotations

import asyncio
import gc
import itertools
import re
import sys
import threading
import weakref
from typing import TYPE_CHECKING

import pytest
from core.support import LIMIT, in_a_subprocess

from ctxtrace.testing import Recording, Trace, _otel, _recording, _tape, record

if TYPE_CHECKING:
    from collections.abc import Iterator

_numbers = itertools.count(1)


class Run:
    """A run of a tracer that tells the recorder of it, as the recorders of the vendors do."""

    def __init__(self, name: str, parent: Run | None = None, source: str = "otel") -> None:
        self.number = next(_numbers)
        self.id = f"run {self.number} of the tests"
        _tape.started(source, self.id, parent and parent.id, name, float(self.number))

    def end(self, error: bool = False, name: str | None = None) -> None:
        _tape.updated(self.id, ended=True, error=error, name=name)


def nested(source: str = "otel") -> None:
    outer = Run("outer", source=source)
    Run("inner", outer, source).end()
    outer.end()


@pytest.fixture(autouse=True)
def _no_run_stays_known() -> Iterator[None]:
    yield
    left = [_tape._known.pop(key) for key in list(_tape._known) if key.endswith("of the tests")]
    assert not [run.name for run in left]


def test_a_recording_of_nothing_is_empty() -> None:
    with record() as recording:
        pass
    assert recording.forest().nodes == []
    assert recording.traces == []
    assert recording.tree == ""
    with pytest.raises(AssertionError, match="no run was recorded"):
        _ = recording.trace


def test_a_recording_may_be_asked_before_it_has_begun() -> None:
    assert record().traces == []


def test_runs_are_recorded_with_their_parents() -> None:
    with record() as recording:
        nested()
    assert recording.forest().shape == [("outer", [("inner", [])])]
    assert recording.tree == "outer\n└─ inner\n"
    assert isinstance(recording.trace, Trace)
    assert recording.trace.root.name == "outer"


def test_runs_outside_of_the_block_are_not_recorded() -> None:
    recording = record()
    nested()
    with recording:
        pass
    nested()
    assert recording.forest().nodes == []


def test_a_run_that_ends_after_the_recording_counts_as_ended_from_then_on() -> None:
    with record() as recording:
        run = Run("late")
    assert [node.ended for node in recording.forest().nodes] == [False]
    run.end(error=True, name="renamed")
    (node,) = recording.forest().nodes
    assert (node.name, node.ended, node.error) == ("renamed", True, True)


def test_a_run_of_which_something_is_told_before_its_end_is_still_followed() -> None:
    with record() as recording:
        run = Run("late")
    assert _tape.updated(run.id, ended=False, error=False, name="renamed")
    run.end()
    assert not _tape.updated(run.id, ended=True, error=False, name="too late")
    (node,) = recording.forest().nodes
    assert (node.name, node.ended) == ("renamed", True)


def test_a_run_that_is_told_of_twice_is_one() -> None:
    with record() as recording:
        run = Run("once")
        _tape.started("otel", run.id, None, "again", 0.0)
        run.end()
    assert [node.name for node in recording.forest().nodes] == ["once"]


def test_a_child_that_is_told_of_before_its_parent_finds_it() -> None:
    with record() as recording:
        _tape.started("otel", "child of the tests", "parent of the tests", "child", 2.0)
        _tape.started("otel", "parent of the tests", None, "parent", 1.0)
        for key in ("child", "parent"):
            _tape.updated(f"{key} of the tests", ended=True, error=False)
    assert recording.forest().shape == [("parent", [("child", [])])]


def test_recordings_that_overlap_each_have_the_runs_that_start_while_they_are_open() -> None:
    first, second = record(), record()
    first.start()
    Run("a").end()
    second.start()
    Run("b").end()
    first.stop()
    Run("c").end()
    second.stop()
    assert [root.name for root in first.forest().roots] == ["a", "b"]
    assert [root.name for root in second.forest().roots] == ["b", "c"]


def test_a_recorded_run_that_is_still_open_is_the_parent_in_a_later_recording() -> None:
    with record() as first:
        fixture = Run("fixture")
        below = Run("below", fixture)
    Run("between", below).end()
    with record() as second:
        Run("test", below).end()
    below.end()
    fixture.end()
    assert first.forest().shape == [("fixture", [("below", [])])]
    assert second.forest().shape == [("fixture", [("below", [("test", [])])])]
    assert second.forest().unfinished == []


def test_a_run_whose_parent_ended_before_the_recording_is_an_orphan() -> None:
    with record():
        parent = Run("parent")
    parent.end()
    with record() as recording:
        Run("child", parent).end()
    assert [node.name for node in recording.forest().orphans] == ["child"]


@pytest.fixture
def otel_needs_no_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """A span is told of by the test; the SDK, which sets a provider, need not be installed."""
    monkeypatch.setattr(_otel, "_provide", lambda: None)


@pytest.mark.usefixtures("otel_needs_no_provider")
def test_recordings_in_many_threads_at_once_lose_no_run() -> None:
    count = 8
    barrier = threading.Barrier(count)
    names: dict[int, set[str]] = {}

    def program(number: int) -> None:
        barrier.wait(LIMIT)
        for _ in range(50):
            with record("otel") as recording:
                Run(str(number)).end()
            names.setdefault(number, set()).update(node.name for node in recording.forest().nodes)
            assert str(number) in {node.name for node in recording.forest().nodes}

    errors: list[BaseException] = []

    def told(number: int) -> None:
        try:
            program(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=told, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert errors == []
    assert not _tape.is_open("otel")


def test_a_run_that_a_finalizer_ends_is_ended() -> None:
    class Held:
        pass

    with record() as recording:
        run, held = Run("held"), Held()
        cycle = [held]
        cycle.append(cycle)  # type: ignore[arg-type]
        weakref.finalize(held, run.end)
        del held, cycle
        gc.collect()
    assert recording.forest().unfinished == []


def test_a_run_says_in_which_thread_and_task_and_at_which_line_it_started() -> None:
    async def main() -> None:
        asyncio.current_task().set_name("mine")  # type: ignore[union-attr]
        Run("run").end()

    with record() as recording:
        asyncio.run(main())
    (node,) = recording.forest().nodes
    assert (node.thread, node.task) == (threading.current_thread().name, "mine")
    assert node.position is not None
    assert node.position[0] == __file__


@pytest.mark.usefixtures("otel_needs_no_provider")
def test_a_source_that_is_named_is_recorded_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_recording, "find_spec", lambda _: True)  # nor LangSmith
    with record(["langsmith", "otel"]) as both, record("otel") as one:
        nested("langsmith")
        Run("span").end()
    assert both.forest().sources == ["langsmith", "otel"]
    assert both.forest("langsmith").shape == [("outer", [("inner", [])])]
    assert one.forest().shape == [("span", [])]


@pytest.mark.parametrize("source", ["", "langfuse", (), ["otel", "langfuse"], [None]])
def test_what_is_no_source_is_refused_with_those_that_are(source: object) -> None:
    with pytest.raises(ValueError, match="valid are 'langsmith', 'otel'"):
        record(source)  # type: ignore[arg-type]
    recording = record()
    if isinstance(source, str):
        with pytest.raises(ValueError, match="valid are 'langsmith', 'otel'"):
            recording.forest(source)


@pytest.mark.parametrize(
    ("source", "package", "needs"),
    [("langsmith", "langsmith", "langsmith"), ("otel", "opentelemetry", "opentelemetry-sdk")],
)
def test_a_source_that_is_not_installed_is_refused_where_it_is_named(
    source: str, package: str, needs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    recording = record(source)
    with pytest.raises(ImportError, match=rf'source="{source}" needs .*{needs}'):
        recording.start()
    assert not _tape.is_open(source)


def test_a_recording_begins_once() -> None:
    with record() as recording:
        pass
    with pytest.raises(RuntimeError, match=re.escape("call record() for each")):
        recording.start()


def test_a_recording_may_be_stopped_twice_and_without_a_start() -> None:
    recording = record()
    recording.stop()
    recording.start()
    recording.stop()
    recording.stop()
    nested()
    assert recording.traces == []


def test_the_error_of_the_block_passes_unchanged() -> None:
    error = KeyError("x")
    with pytest.raises(KeyError) as caught, record() as recording:
        raise error
    assert caught.value is error
    nested()
    assert recording.traces == []


def test_traces_that_are_several_are_not_one() -> None:
    with record() as recording:
        nested()
        nested()
    with pytest.raises(AssertionError, match="2 traces, expected 1"):
        _ = recording.trace
    assert len(recording.traces) == 2


def test_of_a_trace_of_each_source_it_has_to_be_said_which_is_meant() -> None:
    with record() as recording:
        nested("langsmith")
        nested("otel")
    with pytest.raises(AssertionError, match=re.escape('forest("otel")')):
        _ = recording.trace
    recording.assert_single_trace("outer")


def test_a_single_trace_is_asserted_and_what_is_none_is_told() -> None:
    with record() as recording:
        outer = Run("outer")
        Run("inner", outer).end()
        with pytest.raises(AssertionError, match="1 run unfinished"):
            recording.assert_single_trace()
        recording.expect_open()
        recording.assert_single_trace("outer", runs=["inner"], source="otel")
        outer.end()
    with pytest.raises(AssertionError, match="1 run missing"):
        recording.assert_single_trace(runs="third")
    with pytest.raises(AssertionError, match="no run was recorded"):
        recording.assert_single_trace(source="langsmith")
    with pytest.raises(ValueError, match="valid are"):
        recording.assert_single_trace(roots=0)


def test_runs_are_asserted_to_be_nested_and_what_is_not_is_told() -> None:
    with record() as recording:
        nested()
    recording.assert_nested("outer > inner")
    with pytest.raises(AssertionError, match="inner > outer"):
        recording.assert_nested(["inner", "outer"])
    with pytest.raises(ValueError, match="outer"):
        recording.assert_nested("outer")


def test_a_recording_that_is_dropped_is_freed() -> None:
    with record() as recording:
        nested()
    reference = weakref.ref(recording)
    del recording
    gc.collect()
    assert reference() is None


def test_a_recording_says_how_much_it_has() -> None:
    with record() as recording:
        nested()
    assert isinstance(recording, Recording)
    assert repr(recording) == "<Recording: 2 runs>"


def test_recording_imports_no_tracer_and_starts_nothing() -> None:
    ran = in_a_subprocess(
        """
        import sys, threading
        from ctxtrace.testing import record
        with record():
            pass
        vendors = {"langchain_core", "langgraph", "langsmith", "opentelemetry", "anyio", "pytest"}
        print(sorted(vendors & set(sys.modules)), threading.active_count())
        """
    )
    assert (ran.stdout, ran.stderr) == ("[] 1\n", "")
