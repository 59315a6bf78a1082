"""diagnose(): the corpus is judged, and what nests is as without it."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from vendors import corpus

import ctxtrace
from ctxtrace.testing import Forest, record

if TYPE_CHECKING:
    from ctxtrace.diagnosis import Diagnosis
    from ctxtrace.testing import Node

pytestmark = pytest.mark.usefixtures("one_provider")

PROGRAMS = corpus.programs()
LOSING = [program for program in PROGRAMS if program.lossy]
SPLIT = [program for program in LOSING if program.how == "split"]
# What install() does not know of: queues, generators, contexts that nobody copies at the call.
NOTHING_TO_INSTALL = {
    "AsyncContextQueue",
    "ContextQueue",
    "capture",
    "context_stream",
    "streaming",
}
NOT_INSTALLED = ("ctxtrace.wrap", "Future.add_done_callback")


def each(programs: list[corpus.Program]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("program", programs, ids=lambda program: program.name)


class Outcome(NamedTuple):
    """What came of a program."""

    report: Diagnosis | None
    # None of a program that is recorded by nobody.
    forest: Forest | None
    # What LangSmith was told then.
    traced: list[str]


def run(program: corpus.Program, *around: contextlib.AbstractContextManager[Any]) -> Outcome:
    alone = contextlib.nullcontext() if program.how == "missing" else record(["langsmith", "otel"])
    corpus.TRACED.clear()
    with contextlib.ExitStack() as stack:
        recording: Any = stack.enter_context(alone)
        for each in around:
            stack.enter_context(each)
        program.main()
    forest = None if recording is None else recording.forest()
    return Outcome(None, forest, sorted(corpus.TRACED))


@functools.cache
def diagnosed(program: corpus.Program) -> Outcome:
    report = ctxtrace.diagnose()
    return run(program, report)._replace(report=report)


def report_of(program: corpus.Program) -> Any:
    return diagnosed(program).report


def way_to(node: Node) -> tuple[str, ...]:
    """Names of the runs that a run is in, the outermost first."""
    return () if node.parent is None else (*way_to(node.parent), node.parent.name)


@each(LOSING)
def test_the_one_loss_of_a_program_is_named_with_its_line(program: corpus.Program) -> None:
    report = report_of(program)
    found = [(loss.run, loss.how, loss.file, loss.line) for loss in report.losses]
    assert found == [(program.loses, program.how, *program.line())], report.explain()
    (loss,) = report.losses
    assert report
    assert loss.function
    assert report.explain().startswith(f"{loss.run} ")


@each([program for program in PROGRAMS if not program.lossy])
def test_of_a_sound_program_nothing_is_said(program: corpus.Program) -> None:
    report = report_of(program)
    assert not report, report.explain()
    assert report.losses == []
    assert report.explain() == ""


def test_what_to_write_is_made_with_a_public_name() -> None:
    used = {loss.fix.use for program in LOSING for loss in report_of(program).losses}
    assert used <= set(ctxtrace.__all__)
    assert len(used) > 10


def test_the_caller_was_in_a_run_that_was_seen() -> None:
    for program in LOSING:
        report = report_of(program)
        (loss,) = report.losses
        if loss.kind.endswith("is open over a yield") and not loss.caller:
            continue  # what is held so may be in no run itself
        seen = {(*way_to(node), node.name) for node in report.forest().nodes}
        assert loss.caller in seen, program.name


def test_the_caller_was_in_the_run_below_which_install_puts_the_lost_one() -> None:
    for program in SPLIT:
        (loss,) = report_of(program).losses
        if loss.fix.use in NOTHING_TO_INSTALL or loss.kind in NOT_INSTALLED:
            continue
        forest = run(program, ctxtrace.install()).forest
        assert forest is not None
        put = {way_to(node) for node in forest.nodes if node.name == program.loses}
        assert put == {loss.caller}, program.name


def test_a_leak_was_held_by_a_run_above_the_one_that_leaked() -> None:
    for program in LOSING:
        if program.how == "leak":
            (loss,) = report_of(program).losses
            nodes = report_of(program).forest().nodes
            leaked = [way_to(node) for node in nodes if node.name == program.loses]
            assert {way[: len(loss.caller)] for way in leaked} == {loss.caller}, program.name


def test_what_nests_and_what_is_traced_is_the_same_with_the_diagnosis_as_without() -> None:
    for program in PROGRAMS:
        without, outcome = run(program), diagnosed(program)
        assert outcome.traced == without.traced, program.name
        if without.forest is not None:
            assert outcome.forest == without.forest, program.name
            assert report_of(program).forest() == without.forest, program.name
        else:
            names = sorted(node.name for node in report_of(program).forest().nodes)
            assert names == without.traced, program.name
