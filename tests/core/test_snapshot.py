"""capture() and Snapshot.run: what is captured, when, and whose it is."""

from __future__ import annotations

import contextvars
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from types import ModuleType

import pytest
from core.support import LIMIT, OTHER, USER, Boom, caught, fail, files_of_ours, serving, user

import ctxtrace


def in_a_thread(function):
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join(LIMIT)
    return results[0]


def test_control_a_function_called_in_a_thread_does_not_see_the_callers_variable(ada):
    assert in_a_thread(user) == "nobody"


def test_a_function_run_by_a_snapshot_in_a_thread_sees_the_captured_variable(ada):
    snapshot = ctxtrace.capture()
    assert in_a_thread(lambda: snapshot.run(user)) == "ada"


def test_a_snapshot_has_the_values_of_the_moment_it_was_taken():
    with serving("ada"):
        snapshot = ctxtrace.capture()
        USER.set("grace")
        assert snapshot.run(user) == "ada"


def test_a_snapshot_taken_in_an_empty_context_is_a_snapshot_of_nothing(ada):
    snapshot = contextvars.Context().run(ctxtrace.capture)
    assert snapshot.run(user) == "nobody"


def test_what_a_call_sets_is_not_seen_by_its_caller(ada):
    ctxtrace.capture().run(USER.set, "grace")
    assert user() == "ada"


def test_what_a_call_sets_is_not_seen_by_the_next_call(ada):
    snapshot = ctxtrace.capture()
    snapshot.run(USER.set, "grace")
    assert snapshot.run(user) == "ada"


def test_objects_in_the_context_are_shared_and_not_copied():
    basket: ContextVar[list[str]] = ContextVar("basket")
    mine: list[str] = []
    context = contextvars.copy_context()
    context.run(basket.set, mine)
    context.run(ctxtrace.capture).run(lambda: basket.get().append("apple"))
    assert mine == ["apple"]


def test_run_passes_on_positional_and_keyword_arguments():
    def function(*args, **kwargs):
        return args, kwargs

    assert ctxtrace.capture().run(function, 1, 2, key=3) == ((1, 2), {"key": 3})


def test_run_passes_on_keywords_with_the_names_of_its_own_parameters():
    def function(**kwargs):
        return kwargs

    keywords = {"self": 1, "function": 2, "fn": 3, "func": 4, "args": 5, "kwargs": 6}
    assert ctxtrace.capture().run(function, **keywords) == keywords


def test_a_snapshot_can_be_run_inside_itself(ada):
    snapshot = ctxtrace.capture()
    assert snapshot.run(lambda: snapshot.run(lambda: snapshot.run(user))) == "ada"


def test_a_snapshot_can_be_run_in_many_threads_at_once(ada):
    snapshot = ctxtrace.capture()
    all_inside = threading.Barrier(8, timeout=LIMIT)

    def inside(number):
        before = user()
        USER.set(str(number))
        all_inside.wait()
        return before, user()

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda number: snapshot.run(inside, number), range(8)))
    assert results == [("ada", str(number)) for number in range(8)]


def test_the_error_of_a_call_comes_out_as_it_was_raised():
    error = Boom()

    def function():
        raise error

    assert caught(ctxtrace.capture().run, function) is error


if sys.version_info >= (3, 11):

    def test_a_traceback_out_of_run_has_no_frame_of_ours():
        assert files_of_ours(caught(ctxtrace.capture().run, fail)) == []

else:

    def test_a_traceback_out_of_run_ends_in_the_users_function():
        error = caught(ctxtrace.capture().run, fail)
        assert error.__traceback__ is not None
        assert files_of_ours(error) != []


def test_a_snapshot_takes_no_attributes():
    snapshot = ctxtrace.capture()
    with pytest.raises(AttributeError, match="anything"):
        snapshot.anything = 1  # type: ignore[attr-defined]


def test_a_snapshot_holds_what_the_block_set_beside_the_request(ada):
    token = OTHER.set("value")
    snapshot = ctxtrace.capture()
    OTHER.reset(token)
    assert snapshot.run(OTHER.get) == "value"


@pytest.fixture
def sniffio(monkeypatch):
    """A stand-in for the module of that name, which says which async library runs here."""
    module = ModuleType("sniffio")
    variable: ContextVar[str | None] = ContextVar("current_async_library_cvar", default=None)
    module.current_async_library_cvar = variable  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sniffio", module)
    token = variable.set("asyncio")
    yield variable
    variable.reset(token)


def test_work_in_another_thread_is_not_told_of_the_senders_async_library(sniffio):
    with ctxtrace.ThreadPoolExecutor(1) as pool:
        assert pool.submit(sniffio.get).result(LIMIT) is None
        assert list(pool.map(lambda _: sniffio.get(), [0])) == [None]


def test_a_thread_is_not_told_of_its_starters_async_library(sniffio):
    seen = []
    thread = ctxtrace.Thread(target=lambda: seen.append(sniffio.get()))
    thread.start()
    thread.join(LIMIT)
    assert seen == [None]


def test_a_snapshot_run_in_another_thread_has_that_threads_async_library(sniffio):
    snapshot = ctxtrace.capture()
    assert in_a_thread(lambda: snapshot.run(sniffio.get)) is None


def test_a_snapshot_run_in_the_same_thread_keeps_the_async_library(sniffio):
    assert ctxtrace.capture().run(sniffio.get) == "asyncio"


def test_a_snapshot_attached_in_another_thread_leaves_that_threads_async_library(sniffio):
    snapshot = ctxtrace.capture()

    def attached():
        with snapshot.attach():
            return sniffio.get()

    assert in_a_thread(attached) is None
