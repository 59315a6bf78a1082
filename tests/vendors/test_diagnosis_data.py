"""What a diagnosis says as data, and of many runs."""

from __future__ import annotations

import concurrent.futures
import json
import sys
import threading
from typing import TYPE_CHECKING

import langsmith
import pytest
from langsmith import traceable
from vendors.test_diagnosis_text import (
    EACH,
    child,
    diagnosed,
    in_a_package,
    in_a_pool,
    never_recorded,
    pool,
    through_a_queue,
)

import ctxtrace
from ctxtrace.diagnosis import _diagnosis
from ctxtrace.testing import record

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("one_provider")


@EACH
def test_what_stands_in_the_data_refers_to_each_other(program: Callable[[], None]) -> None:
    report = diagnosed(program)
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert {(run["id"], run["parent"]) for run in data["runs"]} == {
        (node.id, node.parent_id) for node in report.forest().nodes
    }
    lanes, losses = range(len(data["lanes"])), range(len(data["losses"]))
    by_id = {run["id"]: run for run in data["runs"]}
    for each in (*data["runs"], *data["crossings"]):
        assert each["lane"] in lanes
        assert each["loss"] is None or each["loss"] in losses
    for crossing in data["crossings"]:
        assert crossing["run"] is None or crossing["run"] in by_id
        assert (crossing["lane_there"] is None) == (crossing["when_there"] is None)
        assert crossing["lane_there"] is None or crossing["lane_there"] in lanes
    assert data["losses_not_kept"] == data["runs_not_kept"] == 0


@EACH
def test_the_run_that_was_lost_is_marked_in_the_data(program: Callable[[], None]) -> None:
    report = diagnosed(program)
    data = report.to_dict()
    (loss,) = report.losses
    assert data["losses"] == [{**loss.to_dict(), "times": 1}]
    lost = [run["name"] for run in data["runs"] if run["loss"] == 0]
    assert lost == ([] if loss.how == "missing" else [loss.run])


ACROSS = [in_a_pool, never_recorded, in_a_package, through_a_queue]


@pytest.mark.parametrize("program", ACROSS, ids=lambda program: program.__name__)
def test_the_crossing_that_lost_it_is_marked_in_the_data(program: Callable[[], None]) -> None:
    report = diagnosed(program)
    data = report.to_dict()
    (loss,) = report.losses
    (crossing,) = [each for each in data["crossings"] if each["loss"] == 0]
    assert (crossing["file"], crossing["line"]) == (loss.file, loss.line)
    there = data["lanes"][crossing["lane_there"]]
    assert there == {"thread": loss.arrived.thread, "task": None}
    assert there["thread"] in ("pool_0", "worker")
    assert data["lanes"][crossing["lane"]] == {"thread": "MainThread", "task": None}


def test_what_carries_is_in_the_data_too_and_marked_by_nothing() -> None:
    carrying = ctxtrace.ThreadPoolExecutor(1)
    with record("langsmith"), ctxtrace.diagnose() as report, carrying as workers:
        traceable(name="request")(lambda: workers.submit(child).result())()
    (crossing,) = report.to_dict()["crossings"]
    assert crossing["loss"] is None
    assert crossing["kind"] == "ctxtrace's submit()"


# Many.


def losing(times: int) -> None:
    with langsmith.trace("request"), concurrent.futures.ThreadPoolExecutor(4) as workers:
        list(workers.map(child, range(times)))


def losing_one(function: Callable[..., object], *args: object) -> None:
    with pool() as workers:
        workers.submit(function, *args).result()


def test_runs_that_were_lost_at_one_line_are_said_once() -> None:
    with record("langsmith"), ctxtrace.diagnose() as report:
        losing(200)
    (loss,) = report.losses
    data = report.to_dict()
    assert report.explain().startswith("child  started a trace of its own (200 runs)\n    lost at ")
    assert data["losses"] == [{**loss.to_dict(), "times": 200}]
    assert [run["loss"] for run in data["runs"]] == [None, *[0] * 200]
    assert repr(report) == "<Diagnosis: 200 runs lost>"


def test_what_many_threads_lose_at_once_is_counted_to_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_diagnosis, "MOST_RUNS", 100)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with record("langsmith"), ctxtrace.diagnose() as report:
            losing(500)
    finally:
        sys.setswitchinterval(interval)
    assert repr(report) == "<Diagnosis: 500 runs lost>"
    data = report.to_dict()
    assert data["runs_not_kept"] + len(data["runs"]) == 501


def test_runs_of_different_names_are_said_one_by_one() -> None:
    with record("langsmith"), ctxtrace.diagnose() as report:
        in_a_pool()
        never_recorded()
    assert len(report.losses) == len(report.explain().split("\n\n")) == 2


def test_the_oldest_runs_are_let_go_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_diagnosis, "MOST_RUNS", 10)
    with record("langsmith"), ctxtrace.diagnose() as report:
        losing(30)
    data = report.to_dict()
    assert data["runs_not_kept"] == 31 - 10
    assert data["losses"][0]["times"] == 30
    assert len(report.forest().nodes) == 10
    assert report.drawing().endswith("(without the 21 runs before these)")


def test_the_first_losses_are_kept_and_the_others_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_diagnosis, "MOST_LOSSES", 1)
    with record("langsmith"), ctxtrace.diagnose() as report:
        in_a_pool()
        losing(3)
        in_a_pool()
    assert len(report.losses) == 1
    assert report.to_dict()["losses_not_kept"] == 3
    assert report.explain().endswith("\n\nand 3 more runs")


HOSTILE = "</script>\x1b]0;title\x07\u202e"


def test_names_lose_their_control_characters() -> None:
    function = traceable(name=HOSTILE)(lambda: None)
    with record("langsmith"), ctxtrace.diagnose() as report, langsmith.trace(HOSTILE):
        losing_one(function)
    for text in (report.explain(), report.drawing(), json.dumps(report.to_dict())):
        assert "</script>" in text
        for escaped in ("\x1b", "\\u001b", "\x07", "\\u0007", "\u202e", "\\u202e"):
            assert escaped not in text


def test_nothing_is_said_of_what_a_run_was_given_or_gave() -> None:
    secret = "a secret of the caller's"
    function = traceable(name="child", metadata={"key": secret}, tags=[secret])(lambda _: secret)
    with record("langsmith"), ctxtrace.diagnose() as report, langsmith.trace("request"):
        losing_one(function, secret)
    assert len(report.losses) == 1
    assert secret not in report.explain() + report.drawing() + json.dumps(report.to_dict())


def test_it_may_be_asked_for_data_while_other_threads_lose_runs() -> None:
    done = threading.Event()
    failed: list[BaseException] = []

    def ask() -> None:
        while not done.is_set():
            try:
                report.to_dict()
                report.explain()
                report.drawing()
            except BaseException as error:
                failed.append(error)
                return

    asking = threading.Thread(target=ask)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with record("langsmith"), ctxtrace.diagnose() as report:
            asking.start()
            for number in range(100):
                with langsmith.trace("request " + "I" * number):  # each a loss of its own
                    thread = threading.Thread(target=child)
                    thread.start()
                    thread.join()
            done.set()
    finally:
        done.set()
        sys.setswitchinterval(interval)
        asking.join()
    assert failed == []
    assert len(report.losses) == 100
