"""A recording takes every run, whatever is set, and leaves LangSmith as it was."""

from __future__ import annotations

import asyncio
import contextvars
import os
from typing import TYPE_CHECKING, Any

import langsmith
import pytest
from langsmith import async_client, run_trees, utils
from langsmith._internal import _aiter, _context
from langsmith.run_helpers import get_current_run_tree
from vendors.programs import async_outer, in_a_raw_thread, outer

from ctxtrace.testing import _tape, record

if TYPE_CHECKING:
    from collections.abc import Iterator


OFF = {
    "LANGSMITH_TRACING": "false",
    "LANGSMITH_TRACING_V2": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING_SAMPLING_RATE": "0",
}
ELSEWHERE = {
    "LANGSMITH_ENDPOINT": "http://127.0.0.1:9",  # LangSmith refuses it beside the next
    "LANGSMITH_RUNS_ENDPOINTS": '{"http://127.0.0.1:9": "key"}',
    "LANGSMITH_OTEL_ENABLED": "true",
    "LANGSMITH_OTEL_ONLY": "true",
    "LANGSMITH_TRACING_MODE": "otel",
    "LANGSMITH_AGENT_ID": "half an address",
}


class Own(langsmith.Client):
    """A user's class, which does something beside."""

    def create_run(self, *args: Any, **kwargs: Any) -> None:
        super().create_run(*args, **kwargs)


@pytest.fixture
def no_run_is_open() -> None:
    """End what other tests left open: while it is, the clients stay intercepted."""
    for key in list(_tape._known):
        _tape.updated(key, ended=True, error=False)


@pytest.fixture
def unremembered() -> Iterator[None]:
    """Make LangSmith look at the environment afresh, in the test and after it."""
    utils.get_env_var.cache_clear()
    yield
    utils.get_env_var.cache_clear()


@pytest.mark.usefixtures("unremembered")
@pytest.mark.parametrize("variables", [OFF, ELSEWHERE], ids=["off", "elsewhere"])
def test_no_environment_variable_keeps_a_run_from_the_recorder(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with record("langsmith") as recording:
        outer()
        in_a_raw_thread(outer)
        assert getattr(run_trees.get_cached_client(), "otel_exporter", None) is None
        assert not run_trees.RunTree(name="run").replicas
    assert recording.forest().shape == [("outer", [("inner", [])])] * 2


def test_tracing_that_the_program_switched_off_for_itself_is_on_while_recording() -> None:
    def switched_off() -> None:
        with langsmith.tracing_context(enabled=False), record("langsmith") as recording:
            outer()
            in_a_raw_thread(outer)
        assert len(recording.forest().roots) == 2

    contextvars.Context().run(switched_off)


def test_tracing_that_was_switched_off_for_the_whole_process_is_on_while_recording() -> None:
    def switched_off() -> None:
        langsmith.configure(enabled=False)  # sets a variable too, hence the context
        try:
            with record("langsmith") as recording:
                outer()
                in_a_raw_thread(outer)
            assert len(recording.forest().roots) == 2
            assert utils.tracing_is_enabled() is False
        finally:
            langsmith.configure(enabled=None)

    contextvars.Context().run(switched_off)


def test_replicas_named_outside_get_nothing_while_recording() -> None:
    token = run_trees._REPLICAS.set([{"api_url": "http://127.0.0.1:9", "project_name": "p"}])
    try:
        with record("langsmith"):
            assert not run_trees.RunTree(name="run").replicas
    finally:
        run_trees._REPLICAS.reset(token)


def test_a_run_that_is_current_outside_and_not_recorded_gets_no_children() -> None:
    def in_a_foreign_run() -> None:
        foreign = run_trees.RunTree(name="foreign")
        with langsmith.tracing_context(parent=foreign), record("langsmith") as recording:
            outer()
        assert recording.forest().shape == [("outer", [("inner", [])])]
        assert recording.forest().orphans == []

    contextvars.Context().run(in_a_foreign_run)


def test_a_run_that_the_block_has_left_open_is_the_parent_in_the_next_recording() -> None:
    def in_a_foreign_run() -> None:
        foreign = run_trees.RunTree(name="foreign")
        with langsmith.tracing_context(parent=foreign):
            block = langsmith.trace("fixture")
            with record("langsmith"):
                block.__enter__()
            with record("langsmith") as recording:
                outer()
            block.__exit__(None, None, None)
        assert recording.forest().shape == [("fixture", [("outer", [("inner", [])])])]

    contextvars.Context().run(in_a_foreign_run)


def test_a_run_that_was_current_outside_is_current_again_afterwards() -> None:
    def in_a_foreign_run() -> None:
        foreign = run_trees.RunTree(name="foreign")
        with langsmith.tracing_context(parent=foreign):
            with record("langsmith"):
                assert get_current_run_tree() is None
                outer()
            assert get_current_run_tree() is foreign

    contextvars.Context().run(in_a_foreign_run)


def methods() -> dict[tuple[type, str], object]:
    """What the classes hold that a run goes through."""
    return {
        (cls, name): value
        for cls in (langsmith.Client, Own, run_trees.RunTree, async_client.AsyncClient)
        for name, value in vars(cls).items()
        if callable(value)
    }


def switches() -> dict[str, Any]:
    """Everything that decides where a run goes, as it is now."""
    context_variables = {
        f"{module.__name__}.{name}": (value, value.get(None))
        for module in (_context, run_trees)
        for name, value in vars(module).items()
        if isinstance(value, contextvars.ContextVar)
    }
    module_globals = {
        name: value for name, value in vars(_context).items() if name.startswith("_GLOBAL_")
    }
    return {
        "variables": context_variables,
        "globals": module_globals,
        "client": run_trees._CLIENT,
        "get_env_var": (utils.get_env_var, utils.get_env_var.cache_info()),
        "aio_to_thread": _aiter.aio_to_thread,
        "methods": methods(),
        "environment": dict(os.environ),
    }


@pytest.mark.usefixtures("no_run_is_open")
def test_everything_is_as_before_when_the_recording_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in ELSEWHERE.items():
        monkeypatch.setenv(name, value)
    before = switches()
    with record("langsmith"):
        assert run_trees._CLIENT is not before["client"]
        for cls in (langsmith.Client, Own, async_client.AsyncClient):
            assert vars(cls)["create_run"] is not before["methods"][cls, "create_run"]
        outer()
        asyncio.run(async_outer())
    after = switches()
    # Looking is not changing: what LangSmith asks of its own accord while it is recorded (a
    # privacy setting, say) it may remember. What the recorder answers it may not.
    assert after.pop("get_env_var")[0] is before.pop("get_env_var")[0]
    assert after == before


@pytest.mark.usefixtures("no_run_is_open")
def test_everything_is_as_before_when_the_block_raises() -> None:
    before = switches()
    with pytest.raises(KeyError), record("langsmith"):
        raise KeyError("x")
    after = switches()
    assert after.pop("get_env_var")[0] is before.pop("get_env_var")[0]
    assert after == before


@pytest.mark.usefixtures("no_run_is_open")
def test_the_clients_methods_are_put_back_when_the_last_recorded_run_has_ended() -> None:
    before = methods()
    first, second = langsmith.trace("first"), langsmith.trace("second")
    with record("langsmith"):
        first.__enter__()
        second.__enter__()
    second.__exit__(None, None, None)
    assert methods() != before
    first.__exit__(None, None, None)
    assert methods() == before


@pytest.mark.usefixtures("no_run_is_open")
def test_the_clients_methods_stay_intercepted_while_another_recording_is_open() -> None:
    before = methods()
    around = record("langsmith")
    around.start()
    with record("langsmith"):
        outer()
    assert methods() != before
    around.stop()
    assert methods() == before


@pytest.mark.usefixtures("unremembered")
def test_what_the_environment_says_of_tracing_holds_again_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    monkeypatch.setenv("LANGCHAIN_TRACING_V2", "false")
    with record("langsmith"):
        assert utils.tracing_is_enabled() is True
    assert utils.tracing_is_enabled() is False


def test_a_suite_that_clears_langsmiths_cache_can_do_so_while_recording() -> None:
    with record("langsmith") as recording:
        utils.get_env_var.cache_clear()
        outer()
    assert len(recording.forest().roots) == 1


def test_a_recording_may_end_in_another_context_than_it_began_in() -> None:
    with langsmith.tracing_context(enabled=False):
        manager = record("langsmith")
        contextvars.copy_context().run(manager.__enter__)
        manager.__exit__(None, None, None)
        assert _context._TRACING_ENABLED.get() is False


def test_a_langsmith_of_unknown_layout_is_refused_and_not_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(_aiter, "aio_to_thread")
    before = (utils.get_env_var, run_trees._CLIENT)
    with (
        pytest.raises(
            RuntimeError, match=r"cannot record LangSmith .*_aiter\.aio_to_thread is not there"
        ),
        record("langsmith"),
    ):
        pass
    assert (utils.get_env_var, run_trees._CLIENT) == before
