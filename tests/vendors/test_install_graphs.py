"""install() and unedited programs of LangChain and LangGraph, on asyncio's loop and on uvloop's.

Before Python 3.11 LangGraph, and LangChain up to 1.4.7, give their async functions no context.
From then on, and where LangChain has found a way, a program makes the same tree with install()
and without.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from langsmith import traceable
from vendors.install_graphs import GRAPHS
from vendors.install_loops import (
    LANGCHAIN_NESTS,
    LANGGRAPH_NESTS,
    LOOPS,
    named,
    on_asyncio,
    outcome,
)
from vendors.install_runnables import RUNNABLES

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vendors.install_graphs import Case

NEST_BY_THEMSELVES = [*(LANGGRAPH_NESTS * GRAPHS), *(LANGCHAIN_NESTS * RUNNABLES)]
# A ToolNode hands the config over to its tools, and what they call LangChain nests.
LOST = [
    *(not LANGGRAPH_NESTS) * [case for case in GRAPHS if case.main.__name__ != "a_node_of_tools"],
    *(not LANGCHAIN_NESTS) * RUNNABLES,
]


@pytest.fixture
def installed() -> Iterator[ctxtrace.Installation]:
    with ctxtrace.install() as installation:
        yield installation


@LOOPS
@pytest.mark.parametrize("case", [*GRAPHS, *RUNNABLES], ids=named)
def test_an_unedited_program_is_one_tree(installed: Any, run: Any, case: Case) -> None:
    assert outcome(run, case.main) == (case.result, [case.tree])


@pytest.mark.parametrize("case", [*GRAPHS, *RUNNABLES], ids=named)
def test_an_unedited_program_called_in_a_run_is_part_of_its_tree(
    installed: Any, case: Case
) -> None:
    request = traceable(name="request")(case.main)
    assert outcome(on_asyncio, request) == (case.result, [("request", [case.tree])])


if NEST_BY_THEMSELVES:

    @pytest.mark.parametrize("case", NEST_BY_THEMSELVES, ids=named)
    def test_without_install_the_program_makes_the_same_tree(case: Case) -> None:
        assert outcome(on_asyncio, case.main) == (case.result, [case.tree])


if LOST:

    @pytest.mark.parametrize("case", LOST, ids=named)
    def test_control_without_install_the_program_is_not_one_tree(case: Case) -> None:
        result, trees = outcome(on_asyncio, case.main)
        if isinstance(result, RuntimeError):
            assert str(result) == "Called get_config outside of a runnable context"
        else:
            assert len(trees) > 1
        if case.main.__name__.endswith("of_an_implicit_call"):
            assert result == []

    @pytest.mark.parametrize("case", LOST, ids=named)
    def test_control_without_install_the_program_called_in_a_run_has_it_for_every_runs_parent(
        case: Case,
    ) -> None:
        _, trees = outcome(on_asyncio, traceable(name="request")(case.main))
        assert trees != [("request", [case.tree])]


# What stands in the way, and what it takes.

REQUEST: ContextVar[str] = ContextVar("request", default="none")


async def request() -> str:
    await asyncio.sleep(0)
    return REQUEST.get()


async def a_task_of_the_loop_in_a_context() -> str:
    context = copy_context()
    context.run(REQUEST.set, "ada")
    coroutine = request()
    try:
        return await asyncio.get_running_loop().create_task(coroutine, context=context)
    finally:
        coroutine.close()


@LOOPS
def test_the_loop_takes_a_context(installed: Any, run: Any) -> None:
    assert run(a_task_of_the_loop_in_a_context()) == "ada"


if not LANGGRAPH_NESTS:

    @LOOPS
    def test_control_without_install_the_loop_takes_no_context(run: Any) -> None:
        with pytest.raises(TypeError):
            run(a_task_of_the_loop_in_a_context())

    @LOOPS
    @pytest.mark.parametrize("skip", ["uvloop", "langgraph_steps", "langchain_steps"])
    def test_graphs_nest_whatever_other_site_is_switched_off(run: Any, skip: str) -> None:
        with ctxtrace.install(skip=[skip]):
            for case in GRAPHS:
                assert outcome(run, case.main) == (case.result, [case.tree])

    def test_langgraph_is_left_alone_where_asyncio_is(caplog: pytest.LogCaptureFixture) -> None:
        case = GRAPHS[0]
        with ctxtrace.install(skip=["asyncio"]) as installation:
            assert states(installation)["langgraph"] == {"unknown version"}
            result, trees = outcome(on_asyncio, case.main)
        assert result == case.result
        assert len(trees) > 1
        assert "it needs the site 'asyncio'" in caplog.text

    def test_graphs_run_as_ever_when_asyncio_is_put_back_before_langgraph() -> None:
        case = GRAPHS[0]
        first = ctxtrace.install(skip=["langgraph", "langgraph_steps"])
        with ctxtrace.install() as second:
            assert states(second)["langgraph"] == {"patched"}
            first.uninstall()
            result, trees = outcome(on_asyncio, case.main)
        assert result == case.result
        assert len(trees) > 1

    def test_graphs_run_as_ever_when_asyncio_is_put_back_beneath_what_others_put_there(
        monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        case = GRAPHS[0]
        monkeypatch.setattr(asyncio, "create_task", asyncio.create_task)  # puts it back
        assert len(outcome(on_asyncio, case.main)[1]) > 1  # and the libraries remember why
        with ctxtrace.install():
            ours = asyncio.create_task

            @functools.wraps(ours)
            def theirs(coro: Any, **kwargs: Any) -> Any:
                return ours(coro, **kwargs)

            monkeypatch.setattr(asyncio, "create_task", theirs)
            assert outcome(on_asyncio, case.main) == (case.result, [case.tree])
        result, trees = outcome(on_asyncio, case.main)
        assert result == case.result
        assert len(trees) > 1
        assert "create_task was changed again" in caplog.text

    def test_libraries_that_remember_what_asyncio_can_do_forget_it_with_us() -> None:
        from langchain_core.runnables.utils import asyncio_accepts_context as langchains
        from langsmith._internal._aiter import asyncio_accepts_context as langsmiths

        case = RUNNABLES[0]
        with ctxtrace.install():
            assert outcome(on_asyncio, case.main) == (case.result, [case.tree])
        assert (langchains(), langsmiths()) == (False, False)
        assert outcome(on_asyncio, case.main)[0] == case.result


OTHERS: list[tuple[str, str, Any]] = [
    ("langchain_steps", "langchain_core.runnables.utils.coro_with_context", named),
    ("langgraph_steps", "langgraph._internal._runnable.asyncio", anyio),
]
if not LANGGRAPH_NESTS:
    OTHERS += [
        ("asyncio", "langchain_core.runnables.utils.asyncio_accepts_context", named),
        ("asyncio", "langsmith._internal._aiter.asyncio_accepts_context", named),
        ("langgraph", "langgraph._internal._runnable.ASYNCIO_ACCEPTS_CONTEXT", None),
        ("uvloop", "uvloop.Loop.create_task", named),
    ]


@pytest.mark.parametrize(("site", "place", "other"), OTHERS)
def test_what_is_not_as_it_was_known_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    site: str,
    place: str,
    other: Any,
) -> None:
    owner, name = _split(place)
    monkeypatch.setattr(owner, name, other)
    with ctxtrace.install() as installation:
        assert getattr(owner, name) is other
        assert "unknown version" in states(installation)[site]
    assert f"leaves {place} alone" in caplog.text


def states(installation: ctxtrace.Installation) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for site in installation.sites:
        found.setdefault(site.name, set()).add(site.state)
    return found


def test_every_site_of_graphs_is_patched_or_not_needed(installed: Any) -> None:
    found = states(installed)
    needed = "not needed" if LANGGRAPH_NESTS else "patched"
    assert [found[name] for name in ("asyncio", "uvloop", "langgraph")] == [{needed}] * 3
    assert [found[name] for name in ("langchain_steps", "langgraph_steps")] == [{"patched"}] * 2


def attributes() -> list[Any]:
    places = [
        "asyncio.create_task",
        "asyncio.tasks.create_task",
        "asyncio.base_events.BaseEventLoop.create_task",
        "uvloop.Loop.create_task",
        "langsmith._internal._aiter.asyncio_accepts_context",
        "langchain_core.runnables.utils.asyncio_accepts_context",
        "langchain_core.runnables.utils.coro_with_context",
        "langchain_core.runnables.base.coro_with_context",
        "langchain_core.runnables.fallbacks.coro_with_context",
        "langchain_core.tools.base.coro_with_context",
        "langgraph._internal._runnable.ASYNCIO_ACCEPTS_CONTEXT",
        "langgraph._internal._runnable.asyncio",
    ]
    return [vars(owner).get(name, "inherited") for owner, name in map(_split, places)]


def _split(place: str) -> tuple[Any, str]:
    owner, _, name = place.rpartition(".")
    if owner in sys.modules:
        return sys.modules[owner], name
    module, _, attribute = owner.rpartition(".")
    return getattr(sys.modules[module], attribute), name


def test_after_uninstall_all_of_it_is_identical_to_what_it_was() -> None:
    before = attributes()
    ctxtrace.install().uninstall()
    assert all(now is then for now, then in zip(attributes(), before))


def test_what_was_taken_by_name_since_install_is_put_back_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from langchain_core.runnables import base, utils

    original = utils.coro_with_context
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, base.__name__)
        installation = ctxtrace.install()
    monkeypatch.setattr(base, "coro_with_context", utils.coro_with_context)  # as its import would
    installation.uninstall()
    assert base.coro_with_context is utils.coro_with_context is original
