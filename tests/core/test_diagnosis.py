"""diagnose(): what is put in its places and taken out, and that the program goes on as it was.

With a tracer of our own, for it needs none of the known ones.
"""

from __future__ import annotations

import asyncio  # noqa: F401 - is watched once it is imported
import concurrent.futures.thread  # noqa: F401
import importlib
import itertools
import logging
import multiprocessing.pool  # noqa: F401
import queue
import sys

import pytest
from core.diagnosing import Tracer, changed, diagnosing, lose, registered, standing_there
from core.support import Boom, fail, in_a_subprocess

import ctxtrace
from ctxtrace import _errors, _snapshot, carriers
from ctxtrace.diagnosis import _cause, _crossings, _scene, _untraced, _watch
from ctxtrace.patches._patch import Place
from ctxtrace.testing import _place, _tape

STANDARD = [
    "asyncio.base_events.BaseEventLoop.call_at",
    "asyncio.base_events.BaseEventLoop.create_task",
    "asyncio.queues.Queue.get_nowait",
    "asyncio.queues.Queue.put_nowait",
    "concurrent.futures.thread.ThreadPoolExecutor.submit",
    "multiprocessing.pool.ThreadPool.apply_async",
    "multiprocessing.pool.ThreadPool.imap",
    "multiprocessing.pool.ThreadPool.imap_unordered",
    "multiprocessing.pool.ThreadPool.map",
    "multiprocessing.pool.ThreadPool.map_async",
    "multiprocessing.pool.ThreadPool.starmap",
    "multiprocessing.pool.ThreadPool.starmap_async",
    "queue.Queue.get",
    "queue.Queue.put",
    "threading.Thread.start",
    "threading.Timer.start",
]
_numbers = itertools.count()


@pytest.fixture
def own():
    with registered() as tracer:
        yield tracer


@pytest.fixture
def warnings_logged(caplog, monkeypatch):
    monkeypatch.setattr(_errors, "_said", set())
    caplog.set_level(logging.WARNING, logger="ctxtrace")
    return lambda: [record.getMessage() for record in caplog.records]


def lost(report):
    return [loss.run for loss in report.losses]


# What is put in its places.


def test_the_places_of_the_standard_library_are_watched_while_it_goes_on():
    before = standing_there()
    with ctxtrace.diagnose():
        assert set(STANDARD) <= set(changed(before))


def test_everything_is_put_back_at_the_end():
    before = standing_there()
    with ctxtrace.diagnose():
        pass
    assert changed(before) == []


def test_everything_is_put_back_after_an_error():
    before = standing_there()
    with pytest.raises(Boom), ctxtrace.diagnose():
        fail()
    assert changed(before) == []


@pytest.mark.parametrize("first", [0, 1])
def test_everything_is_put_back_by_the_last_of_two_that_overlap(first):
    before = standing_there()
    reports = [ctxtrace.diagnose(), ctxtrace.diagnose()]
    for report in reports:
        report.start()
    reports.pop(first).stop()
    assert set(STANDARD) <= set(changed(before))
    reports.pop().stop()
    assert changed(before) == []


@pytest.mark.parametrize("first", [0, 1])
def test_everything_is_put_back_where_install_overlaps(first):
    before = standing_there()
    undo = []
    for begin in (ctxtrace.install, ctxtrace.diagnose)[:: 1 if first else -1]:
        undo.append(begin())
        undo[-1].__enter__()
    for each in reversed(undo):
        each.__exit__(None, None, None)
    assert changed(before) == []


def test_what_somebody_else_puts_on_top_stays_and_is_said(monkeypatch, warnings_logged):
    monkeypatch.setattr(queue.Queue, "put", queue.Queue.put)  # and is taken off after the test
    with ctxtrace.diagnose():
        ours = queue.Queue.put
        queue.Queue.put = theirs = lambda *args: ours(*args)
    (said,) = warnings_logged()
    assert "Queue.put was changed again while it was observed" in said
    assert queue.Queue.put is theirs
    items = queue.Queue()
    items.put("an item")
    assert items.get() == "an item"


def test_what_somebody_else_puts_there_between_two_is_called_by_the_second(monkeypatch):
    items, called = queue.Queue(), []
    with ctxtrace.diagnose():
        items.put("first")
    standard = queue.Queue.put

    def theirs(*args):
        called.append("theirs")
        return standard(*args)

    monkeypatch.setattr(queue.Queue, "put", theirs)
    with ctxtrace.diagnose():
        items.put("second")
    assert queue.Queue.put is theirs
    items.put("third")
    assert called == ["theirs", "theirs"]
    assert [items.get() for _ in range(3)] == ["first", "second", "third"]


def hooks():
    return {
        "on_copy": _snapshot.on_copy,
        "on_wrapped": _snapshot.on_wrapped,
        "look": _place.look,
        "notice": _tape.notice,
        "notice_outputs": _tape.notice_outputs,
        "told": _untraced.told,
        "noted": _crossings.noted,
    }


def test_no_hook_is_set_where_nobody_diagnoses():
    assert set(hooks().values()) == {None}
    with ctxtrace.diagnose():
        assert None not in hooks().values()
    assert set(hooks().values()) == {None}
    assert not any(isinstance(each, _crossings.Provenance) for each in carriers.active())
    assert _crossings.AT.get() is None


def test_nothing_is_held_after_the_end(own):
    with diagnosing():
        lose(own)
        assert _cause._recent
    held = (_cause._recent, _cause._opened, _cause._steps, _watch._put, _watch._told)
    assert [len(each) for each in held] == [0] * 5


# Libraries that nobody else knows.


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A module that can be imported, and how it is to be watched."""
    name = f"watched_library_{next(_numbers)}"
    (tmp_path / f"{name}.py").write_text("def call(function):\n    return function()\n")
    monkeypatch.syspath_prepend(tmp_path)

    def replace(original, patch, settings):
        return lambda function: ("watched", original(function))

    monkeypatch.setattr(_watch, "_made", dict(_watch._made))
    monkeypatch.setitem(_watch._PLACES_IN, name, (Place("libraries", name, "call", replace),))
    yield name
    sys.modules.pop(name, None)


def test_a_library_that_is_imported_late_is_watched_and_put_back(library):
    with ctxtrace.diagnose():
        module = importlib.import_module(library)
        assert module.call(str) == ("watched", "")
    assert module.call(str) == ""


def test_a_library_that_is_imported_after_the_end_is_left_alone(library):
    with ctxtrace.diagnose():
        pass
    assert importlib.import_module(library).call(str) == ""


def test_a_place_that_is_not_as_known_is_left_alone_and_said_once(
    library, monkeypatch, warnings_logged, own
):
    gone = Place("libraries", library, "Gone.call", lambda *_: None)
    monkeypatch.setitem(_watch._PLACES_IN, library, (gone,))
    importlib.import_module(library)
    before = standing_there()
    with diagnosing() as report:
        lose(own)
        assert set(STANDARD) <= set(changed(before))
    (said,) = warnings_logged()
    assert f"diagnose() leaves {library}.Gone.call alone" in said
    assert lost(report) == ["child"]


# What goes wrong in it.


def test_a_run_is_named_that_a_tracer_of_ones_own_lost(own):
    with diagnosing() as report:
        assert lose(own) == "done"
    (loss,) = report.losses
    assert (loss.run, loss.how, loss.source) == ("child", "split", own.name)
    assert (loss.kind, loss.caller) == ("ThreadPoolExecutor.submit", ("parent",))
    assert (loss.file, loss.function) == (diagnosing.__wrapped__.__code__.co_filename, "lose")


def test_control_what_is_not_lost_is_not_named(own):
    with diagnosing() as report, ctxtrace.install():
        assert lose(own) == "done"
    assert not report, report.explain()
    assert report.forest() == {"parent": "child"}


def test_a_carrier_that_fails_is_said_once_and_the_program_goes_on(
    own, monkeypatch, warnings_logged
):
    monkeypatch.setattr(Tracer, "current", fail)
    with diagnosing():
        assert [lose(own), lose(own)] == ["done", "done"]
    said = warnings_logged()
    assert said
    assert len(said) == len(set(said))
    assert all("It was a Boom, raised here" in each for each in said)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (_crossings, "caller"),
        (_crossings, "current_runs"),
        (_crossings, "task"),
        (_scene, "is_the_users"),
        (_cause, "_split"),
        (_cause, "place_of"),
    ],
    ids=lambda value: getattr(value, "__name__", value).rpartition(".")[2],
)
def test_what_fails_in_the_diagnosis_is_said_once_and_the_program_goes_on(
    own, monkeypatch, warnings_logged, module, name
):
    monkeypatch.setattr(module, name, fail)
    with diagnosing() as report:
        assert [lose(own), lose(own)] == ["done", "done"]
    (said,) = warnings_logged()
    assert said.startswith("diagnose() failed in ")
    assert len(report.forest().nodes) == 4


def test_no_tracer_is_imported_for_it():
    program = """
        import sys, ctxtrace, ctxtrace.diagnosis
        from concurrent.futures import ThreadPoolExecutor
        with ctxtrace.diagnose() as report, ThreadPoolExecutor() as pool:
            pool.submit(print, "ran").result()
        assert not report
        known = {"langsmith", "langchain_core", "langgraph", "opentelemetry", "starlette", "anyio"}
        print(sorted(known & set(sys.modules)))
    """
    done = in_a_subprocess(program)
    assert (done.stdout, done.stderr) == ("ran\n[]\n", "")
