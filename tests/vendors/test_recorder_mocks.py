"""What a test suite has put in the place of LangSmith's parts, and what becomes of it."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any
from unittest import mock

import langsmith
import pytest
from langsmith import run_trees, utils
from langsmith._internal import _aiter
from vendors.programs import async_outer, outer

from ctxtrace.testing import _langsmith_clients, _langsmith_switches, _tape, record
from ctxtrace.testing._place import here

if TYPE_CHECKING:
    from collections.abc import Iterator

NESTED: list[Any] = [("outer", [("inner", [])])]


@pytest.fixture(autouse=True)
def _no_run_is_open() -> None:
    """End what other tests left open: while it is, the clients stay intercepted."""
    for key in list(_tape._known):
        _tape.updated(key, ended=True, error=False)


@pytest.fixture
def first_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the recorder's client, one a process, not have been made yet."""
    for name in ("recording_client", "_recording_class"):
        make = getattr(_langsmith_clients, name).__wrapped__
        monkeypatch.setattr(_langsmith_clients, name, functools.cache(make))


@pytest.mark.usefixtures("first_recording")
def test_a_mock_in_the_place_of_the_client_keeps_no_run_from_the_recorder() -> None:
    with mock.patch("langsmith.Client"):
        with record("langsmith") as recording:
            outer()
        assert recording.forest().shape == NESTED
    with record("langsmith") as later:
        outer()
    assert later.forest().shape == NESTED


@pytest.mark.usefixtures("first_recording")
@pytest.mark.parametrize("name", ["langsmith.client.Client", "langsmith.run_trees.RunTree"])
def test_a_mock_in_the_place_of_the_class_itself_is_refused_and_named(name: str) -> None:
    says = rf"cannot record LangSmith: {name} is MagicMock, and no class"
    with mock.patch(name), pytest.raises(RuntimeError, match=says):
        record("langsmith").start()
    with record("langsmith") as later:
        outer()
    assert later.forest().shape == NESTED


@pytest.fixture
def switched_off(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the environment say that nothing is traced, and LangSmith look at it."""
    for name in ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2"):
        monkeypatch.setenv(name, "false")
    get_env_var = utils.get_env_var
    # Put back at the end, whatever a patch that overlaps with a recording has left.
    monkeypatch.setattr(utils, "get_env_var", get_env_var)
    monkeypatch.setattr(_aiter, "aio_to_thread", _aiter.aio_to_thread)
    get_env_var.cache_clear()
    yield
    get_env_var.cache_clear()


@pytest.mark.usefixtures("switched_off")
def test_a_patch_that_begins_in_a_recording_and_ends_after_it_leaves_tracing_off() -> None:
    original = utils.get_env_var
    with record("langsmith") as recording:
        patch = mock.patch.object(utils, "get_env_var", wraps=utils.get_env_var)
        patch.start()
        outer()
        assert utils.tracing_is_enabled() is True
    assert utils.tracing_is_enabled() is False
    patch.stop()
    # What it puts back is what it found, and that is the recorder's.
    assert utils.get_env_var is not original
    assert utils.tracing_is_enabled() is False
    with record("langsmith") as later:
        outer()
    assert later.forest().shape == recording.forest().shape == NESTED
    assert utils.tracing_is_enabled() is False


@pytest.mark.usefixtures("switched_off")
def test_the_recorders_way_into_a_thread_is_idle_after_a_patch_has_put_it_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = _aiter.aio_to_thread
    place = mock.Mock(wraps=here)
    monkeypatch.setattr(_langsmith_switches, "here", place)
    with record("langsmith") as recording:
        patch = mock.patch.object(_aiter, "aio_to_thread", _aiter.aio_to_thread)
        patch.start()
        asyncio.run(async_outer())
    assert place.called
    patch.stop()
    assert _aiter.aio_to_thread is not original
    place.reset_mock()
    asyncio.run(async_outer())
    assert not place.called
    assert recording.forest().shape == [("async_outer", [("async_inner", [])])]


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "control"])
def test_methods_of_a_users_class_that_are_no_functions_do_what_they_do(recorded: bool) -> None:
    posted: list[str] = []

    class Fake(langsmith.Client):
        @staticmethod
        def create_run(name: str, *_: Any, **__: Any) -> None:  # type: ignore[override]
            posted.append(name)

        update_run = mock.Mock()

    before = dict(vars(Fake))
    client = Fake(api_url="http://localhost:1", api_key="a key", auto_batch_tracing=False, info={})
    recording = record("langsmith")
    if recorded:
        recording.start()
    run = run_trees.RunTree(name="run", client=client)
    run.post()
    run.end()
    run.patch()
    recording.stop()
    client.session.close()
    assert posted == ["run"]
    assert Fake.update_run.call_count == 1
    assert all(vars(Fake)[name] is before[name] for name in ("create_run", "update_run"))
