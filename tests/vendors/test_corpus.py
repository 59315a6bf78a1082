"""Each program of the corpus loses what it says, and the sound ones lose nothing."""

from __future__ import annotations

from collections import Counter

import pytest
from vendors import corpus

from ctxtrace.testing import Forest, record

pytestmark = pytest.mark.usefixtures("one_provider")

PROGRAMS = corpus.programs()


def of(*hows: str) -> pytest.MarkDecorator:
    chosen = [p for p in PROGRAMS if (p.how if p.lossy else "") in hows and p.how != "missing"]
    return pytest.mark.parametrize("program", chosen, ids=lambda program: program.name)


def recorded(program: corpus.Program) -> Forest:
    with record(["langsmith", "otel"]) as recording:
        program.main()
    forest = recording.forest()
    assert forest.nodes
    assert not forest.unfinished
    return forest


def named_otherwise(forest: Forest, program: corpus.Program) -> list[str]:
    return [root.name for root in forest.roots if root.name != program.loses]


@of("split")
def test_a_run_that_is_split_stands_beside_the_traces_that_are_meant(
    program: corpus.Program,
) -> None:
    forest = recorded(program)
    lost = [node for node in forest.nodes if node.name == program.loses]
    assert lost
    assert set(lost) <= set(forest.roots)
    assert len(named_otherwise(forest, program)) == program.roots, forest.draw()


@of("leak")
def test_a_run_that_leaks_stands_in_a_trace(program: corpus.Program) -> None:
    forest = recorded(program)
    lost = [node for node in forest.nodes if node.name == program.loses]
    assert lost
    assert not set(lost) & set(forest.roots)
    assert len(forest.roots) == program.roots, forest.draw()


@of("")
def test_a_sound_program_has_just_the_traces_that_are_meant(program: corpus.Program) -> None:
    forest = recorded(program)
    assert len(forest.roots) == program.roots, forest.draw()
    assert program.loses not in [root.name for root in forest.roots]


@pytest.mark.parametrize(
    "program", [p for p in PROGRAMS if p.how == "missing"], ids=lambda program: program.name
)
def test_a_run_that_is_missing_was_never_made_while_its_caller_was(
    program: corpus.Program,
) -> None:
    program.main()
    assert corpus.TRACED
    assert program.loses not in corpus.TRACED


@pytest.mark.parametrize(
    "program", [p for p in PROGRAMS if p.how == "missing"], ids=lambda program: program.name
)
def test_control_a_run_that_is_missing_is_made_where_tracing_is_on_everywhere(
    program: corpus.Program,
) -> None:
    with record("langsmith") as recording:
        program.main()
    assert program.loses in [root.name for root in recording.forest().roots]


def test_each_program_has_a_name_of_its_own() -> None:
    names = Counter(program.name for program in PROGRAMS)
    assert [name for name, times in names.items() if times > 1] == []


def test_each_loss_is_marked_on_one_line() -> None:
    assert [program.line() for program in PROGRAMS if program.loses is not None]


def test_there_are_as_many_sound_programs_as_losing_ones() -> None:
    losing = [program for program in PROGRAMS if program.loses is not None]
    assert len(losing) >= 40
    assert len(PROGRAMS) >= 2 * len(losing)
