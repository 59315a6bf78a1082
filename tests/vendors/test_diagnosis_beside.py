"""Several diagnoses at once, and one beside install(), recordings, threads and clients."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gc
import threading
from typing import TYPE_CHECKING, Any

import langsmith
import pytest
from langsmith import traceable
from opentelemetry import trace
from vendors import corpus
from vendors.langsmith_server import all_threads_ended, closing, serving

import ctxtrace
from ctxtrace.testing import record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxtrace.diagnosis import Diagnosis

pytestmark = pytest.mark.usefixtures("one_provider")

SPANS = trace.get_tracer("diagnosis")
STANDARD_SUBMIT = concurrent.futures.ThreadPoolExecutor.submit


@traceable
def child() -> None:
    pass


def losing(_: object = None) -> None:
    with langsmith.trace("parent"), concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(child).result()


@pytest.fixture
def recorded() -> Iterator[Any]:
    with record(["langsmith", "otel"]) as recorded:
        yield recorded


def lost(report: Diagnosis) -> list[str]:
    return [loss.run for loss in report.losses]


def test_each_of_two_that_overlap_has_what_was_lost_in_its_time(recorded: Any) -> None:
    first, second = ctxtrace.diagnose(), ctxtrace.diagnose()
    first.start()
    losing()
    second.start()
    losing()
    losing()
    first.stop()
    losing()
    second.stop()
    losing()
    assert first.explain().startswith("child  started a trace of its own (3 runs)")
    assert second.explain().startswith("child  started a trace of its own (3 runs)")
    assert len(first.forest().nodes) == len(second.forest().nodes) == 6


def test_one_inside_another_says_the_same(recorded: Any) -> None:
    with ctxtrace.diagnose() as outer, ctxtrace.diagnose() as inner:
        losing()
    assert outer.losses == inner.losses
    assert lost(inner) == ["child"]


def test_nothing_is_lost_under_install_that_stands_before_it(recorded: Any) -> None:
    with ctxtrace.install(), ctxtrace.diagnose() as report:
        losing()
    assert not report, report.explain()
    assert recorded.forest() == {"parent": "child"}


def test_nothing_is_lost_under_install_that_comes_after_it(recorded: Any) -> None:
    with ctxtrace.diagnose() as report, ctxtrace.install():
        losing()
    assert not report, report.explain()
    assert recorded.forest() == {"parent": "child"}


def test_what_is_lost_before_install_and_after_it_is_said(recorded: Any) -> None:
    with ctxtrace.diagnose() as report:
        losing()
        with ctxtrace.install():
            losing()
        losing()
    assert lost(report) == ["child"]
    assert "(2 runs)" in report.explain()
    assert len(recorded.forest().roots) == 5


def test_install_that_ends_inside_it_leaves_it_as_it_is(recorded: Any) -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(ctxtrace.install())
        report = stack.enter_context(ctxtrace.diagnose())
        ctxtrace.uninstall()
        losing()
    assert lost(report) == ["child"]
    assert concurrent.futures.ThreadPoolExecutor.submit is STANDARD_SUBMIT


def test_install_that_outlives_it_goes_on(recorded: Any) -> None:
    report = ctxtrace.diagnose()
    report.start()
    with ctxtrace.install():
        report.stop()
        losing()
    assert not report
    assert recorded.forest() == {"parent": "child"}
    assert concurrent.futures.ThreadPoolExecutor.submit is STANDARD_SUBMIT


def test_of_what_many_threads_lose_at_once_nothing_is_mixed_up(recorded: Any) -> None:
    together = threading.Barrier(8)

    def request(letter: str) -> None:
        together.wait(20)
        for _ in range(10):
            with SPANS.start_as_current_span(f"parent {letter}"):
                thread = threading.Thread(target=work, args=(letter,))
                thread.start()
                thread.join()

    def work(letter: str) -> None:
        with SPANS.start_as_current_span(f"child {letter}"):
            pass

    with ctxtrace.diagnose() as report, concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(request, "abcdefgh"))
    assert sorted((loss.run, loss.caller) for loss in report.losses) == [
        (f"child {letter}", (f"parent {letter}",)) for letter in "abcdefgh"
    ]
    assert report.explain().count(" (10 runs)") == 8


def test_begun_and_ended_in_different_threads_and_contexts_it_tells_the_same(recorded: Any) -> None:
    report = ctxtrace.diagnose()

    def in_a_thread(function: Any) -> None:
        thread = threading.Thread(target=function)
        thread.start()
        thread.join()

    in_a_thread(report.start)
    losing()
    in_a_thread(report.stop)
    losing()
    assert lost(report) == ["child"]
    assert "runs)" not in report.explain()


def test_it_may_be_asked_while_it_goes_on(recorded: Any) -> None:
    with ctxtrace.diagnose() as report:
        assert (report.losses, report.explain(), bool(report)) == ([], "", False)
        losing()
        assert lost(report) == ["child"]
        assert len(report.to_dict()["runs"]) == 2


def test_a_diagnosis_begins_once(recorded: Any) -> None:
    with ctxtrace.diagnose() as report:
        losing()
    report.stop()
    with pytest.raises(RuntimeError, match="begun before: call diagnose"):
        report.start()
    losing()
    assert "runs)" not in report.explain()


def test_an_error_of_the_program_passes_and_what_it_lost_is_said(recorded: Any) -> None:
    def program() -> None:
        losing()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), ctxtrace.diagnose() as report:
        program()
    assert lost(report) == ["child"]


def test_below_a_run_that_began_before_it_a_run_is_lost_all_the_same(recorded: Any) -> None:
    with langsmith.trace("before"), ctxtrace.diagnose() as report:
        losing()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(child).result()
    assert [loss.caller for loss in report.losses] == [("before", "parent"), ("before",)]


def test_below_a_run_that_began_before_it_nothing_is_lost_that_nests(recorded: Any) -> None:
    with langsmith.trace("before"), ctxtrace.diagnose() as report:
        child()
        with ctxtrace.ThreadPoolExecutor(1) as pool:
            pool.submit(child).result()
    assert not report, report.explain()
    assert recorded.forest() == {"before": "child x 2"}


def test_a_recording_that_begins_in_it_changes_nothing() -> None:
    with ctxtrace.diagnose() as report, record("langsmith"):
        losing()
    assert lost(report) == ["child"]
    assert report.forest() == {"parent": None, "child": None}


# Where the runs go.


def sent(around: contextlib.AbstractContextManager[Any]) -> int:
    """How many requests of a service that traces reach the server."""
    with all_threads_ended(), serving() as server:
        client = langsmith.Client(api_url=server.url, api_key="a key", auto_batch_tracing=False)
        with closing(client), around, langsmith.tracing_context(enabled=True, client=client):
            losing()
    return len([request for request in server.requests if "/runs" in request])


def test_runs_still_go_to_the_programs_own_client() -> None:
    report = ctxtrace.diagnose()
    # The parent's start and its end; the child is not traced, where no context comes along.
    assert sent(report) == sent(contextlib.nullcontext()) == 2
    assert report.forest() == {"parent": None}
    assert [loss.how for loss in report.losses] == ["missing"]


def test_control_runs_that_are_recorded_go_nowhere() -> None:
    assert sent(record("langsmith")) == 0


def test_limit_a_run_for_two_projects_is_seen_as_it_is_recorded() -> None:
    replicas: Any = [{"project_name": "one"}, {"project_name": "another"}]
    both = langsmith.tracing_context(replicas=replicas)
    with record("langsmith") as recorded, ctxtrace.diagnose() as report, both:
        losing()
    assert report.forest() == recorded.forest()
    assert lost(report) == ["child"]


def test_a_parent_that_dies_in_time_is_not_held() -> None:
    async def main() -> list[str]:
        async def late() -> None:
            await answered.wait()
            gc.collect()
            child()

        answered = asyncio.Event()
        with langsmith.trace("parent"):
            task = asyncio.create_task(late())
            await asyncio.sleep(0)
        answered.set()
        await task
        return [root.name for root in recorded.forest().roots]

    with record("langsmith") as recorded, ctxtrace.diagnose() as report:
        roots = asyncio.run(main())
    assert roots == (["parent", "child"] if corpus.WEAK else ["parent"])
    assert lost(report) == (["child"] if corpus.WEAK else [])
