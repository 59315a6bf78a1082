"""wrap_executor(): an executor that somebody else built carries the context."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import itertools
import threading

import pytest
from core.support import LIMIT, USER, Boom, InlineExecutor, fail, serving, user

import ctxtrace


class Subclass(concurrent.futures.ThreadPoolExecutor):
    """A pool of somebody's own, which does something around each call."""

    def submit(self, fn, /, *args, **kwargs):
        return super().submit(lambda: fn(*args, **kwargs))


def inline():
    """A foreign executor that makes each call at once, elsewhere."""
    executor = InlineExecutor()
    submit = executor.submit

    def submit_and_work(fn, /, *args, **kwargs):
        future = submit(fn, *args, **kwargs)
        worker = threading.Thread(target=executor.work)
        worker.start()
        worker.join(LIMIT)
        return future

    executor.submit = submit_and_work
    return executor


EXECUTORS = [lambda: concurrent.futures.ThreadPoolExecutor(2), lambda: Subclass(2), inline]
every_executor = pytest.mark.parametrize("make", EXECUTORS, ids=["standard", "subclass", "foreign"])


class Bounded(concurrent.futures.ThreadPoolExecutor):
    """A pool that counts what it has to do, and sorts it by its first argument."""

    def __init__(self, workers=1):
        super().__init__(workers)
        self.under_way = threading.Semaphore(8)
        self.shards = []

    def submit(self, fn, /, *args, **kwargs):
        self.shards += args[:1]
        self.under_way.acquire()
        future = super().submit(fn, *args, **kwargs)
        future.add_done_callback(lambda _: self.under_way.release())
        return future


class Mixed(ctxtrace.ThreadPoolExecutor, Bounded):
    """The same, with what is ours above it."""


BOUNDED = pytest.mark.parametrize(
    "make", [lambda: ctxtrace.wrap_executor(Bounded()), Mixed], ids=["wrapped", "mixed"]
)


def seen_by_a_callback(executor):
    """What a callback sees that is added by another request than submitted the call."""
    seen, release = [], threading.Event()
    with executor as pool, serving("ada"):
        future = pool.submit(release.wait, LIMIT)
        with serving("grace"):
            future.add_done_callback(lambda _: seen.append(user()))
        release.set()
    return seen


def test_control_a_callback_of_a_pool_that_adds_its_own_sees_nobody():
    assert seen_by_a_callback(Bounded()) == ["nobody"]


@BOUNDED
def test_a_callback_of_a_pool_that_adds_its_own_sees_who_added_it(make):
    assert seen_by_a_callback(make()) == ["grace"]


@BOUNDED
def test_the_callback_that_a_pool_adds_itself_is_called(make):
    with make() as pool:
        for _ in range(20):  # more than it lets in
            pool.submit(user).result(LIMIT)


@BOUNDED
def test_a_pool_that_looks_at_the_arguments_finds_them_where_they_were(make):
    with make() as pool:
        assert pool.submit(lambda tenant: (tenant, user()), "acme").result(LIMIT) == (
            "acme",
            "nobody",
        )
        assert list(pool.map(str.upper, ["a", "b"])) == ["A", "B"]
        assert pool.shards == ["acme", "a", "b"]


def test_a_loop_has_a_pool_find_the_arguments_where_they_were(ada):
    async def main():
        return await ctxtrace.run_in_executor(pool, lambda tenant: (tenant, user()), "acme")

    with Bounded() as pool:
        assert asyncio.run(main()) == ("acme", "ada")
        assert pool.shards == ["acme"]


def test_a_future_that_others_have_keeps_their_callbacks_and_calls_each_once():
    shared = concurrent.futures.Future()
    called = []

    class Deduping(concurrent.futures.Executor):
        def submit(self, fn, /, *args, **kwargs):
            return shared

    pool = ctxtrace.wrap_executor(Deduping())
    shared.add_done_callback(lambda _: called.append("before"))
    for number in range(2):
        pool.submit(user).add_done_callback(lambda _, number=number: called.append(number))
    shared.set_result(None)
    assert called == ["before", 0, 1]


@every_executor
def test_control_the_bare_executor_does_not_carry_the_variable(make, ada):
    with make() as executor:
        assert executor.submit(user).result(LIMIT) == "nobody"


@every_executor
def test_control_the_map_of_the_bare_executor_does_not_carry_the_variable(make, ada):
    with make() as executor:
        assert list(executor.map(user, range(2))) == ["nobody"] * 2


@every_executor
def test_a_submitted_call_sees_its_submitters_variable(make, ada):
    with ctxtrace.wrap_executor(make()) as executor:
        assert executor.submit(user).result(LIMIT) == "ada"


@every_executor
def test_map_carries_the_variable(make, ada):
    with ctxtrace.wrap_executor(make()) as executor:
        assert list(executor.map(user, range(3))) == ["ada"] * 3


@every_executor
def test_map_with_buffersize_carries_the_variable_over_infinite_input(make, ada):
    with ctxtrace.wrap_executor(make()) as executor:
        results = executor.map(user, itertools.count(), buffersize=2)
        assert list(itertools.islice(results, 5)) == ["ada"] * 5
        results.close()


@every_executor
def test_each_call_has_a_private_copy(make, ada):
    with ctxtrace.wrap_executor(make()) as executor:
        executor.submit(USER.set, "mary").result(LIMIT)
        assert (user(), executor.submit(user).result(LIMIT)) == ("ada", "ada")


@every_executor
def test_a_call_that_fails_fails_in_its_future(make):
    with ctxtrace.wrap_executor(make()) as executor, pytest.raises(Boom):
        executor.submit(fail).result(LIMIT)


@every_executor
def test_a_callback_runs_in_the_context_of_who_added_it(make):
    seen = []
    with ctxtrace.wrap_executor(make()) as executor:
        future = executor.submit(user)
        with serving("grace"):
            future.add_done_callback(lambda _: seen.append(user()))
    assert seen == ["grace"]


def test_the_context_is_that_of_the_submit_on_an_executor_that_works_later():
    executor = InlineExecutor()
    with serving("ada"):
        future = ctxtrace.wrap_executor(executor).submit(user)
    executor.work()
    assert future.result(0) == "ada"


def test_keywords_of_any_name_reach_the_function():
    executor = InlineExecutor()
    keywords = {"fn": 1, "func": 2, "self": 3}
    future = ctxtrace.wrap_executor(executor).submit(lambda **given: given, **keywords)
    executor.work()
    assert future.result(0) == keywords


def test_the_result_is_an_executor_and_not_the_one_given():
    executor = InlineExecutor()
    wrapped = ctxtrace.wrap_executor(executor)
    assert isinstance(wrapped, concurrent.futures.Executor)
    assert wrapped is not executor


def test_the_given_executor_stays_as_it_was(ada):
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        ctxtrace.wrap_executor(executor)
        assert executor.submit(user).result(LIMIT) == "nobody"


def test_any_other_attribute_is_the_given_executors():
    assert ctxtrace.wrap_executor(InlineExecutor()).colour == "green"


def test_an_attribute_that_neither_has_is_an_attribute_error():
    with pytest.raises(AttributeError, match="flavour"):
        _ = ctxtrace.wrap_executor(InlineExecutor()).flavour


def test_shutdown_passes_on_its_arguments():
    executor = InlineExecutor()
    ctxtrace.wrap_executor(executor).shutdown(wait=False, cancel_futures=True)
    assert executor.stopped == [{"wait": False, "cancel_futures": True}]


def test_leaving_the_with_block_shuts_the_given_executor_down():
    executor = InlineExecutor()
    with ctxtrace.wrap_executor(executor):
        pass
    assert executor.stopped == [{"wait": True}]


def test_a_submit_after_shutdown_is_refused_as_by_the_given_executor():
    executor = ctxtrace.wrap_executor(concurrent.futures.ThreadPoolExecutor(1))
    executor.shutdown()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(user)


def test_the_repr_shows_the_given_executor():
    executor = InlineExecutor()
    assert repr(ctxtrace.wrap_executor(executor)) == f"<ctxtrace.wrap_executor({executor!r})>"


def test_a_pool_of_ours_is_given_back_as_it_is():
    with ctxtrace.ThreadPoolExecutor(1) as pool:
        assert ctxtrace.wrap_executor(pool) is pool


def test_a_wrapped_executor_is_given_back_as_it_is():
    wrapped = ctxtrace.wrap_executor(InlineExecutor())
    assert ctxtrace.wrap_executor(wrapped) is wrapped


def test_the_signature_of_submit_is_the_standard_one():
    def names(executor):
        return list(inspect.signature(executor.submit).parameters)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert names(ctxtrace.wrap_executor(pool)) == names(pool)


def test_a_future_of_another_kind_is_given_back_as_it_is():
    class OwnFuture(concurrent.futures.Future):
        pass

    class OwnExecutor(concurrent.futures.Executor):
        def submit(self, fn, /, *args, **kwargs):
            future = OwnFuture()
            future.set_result(fn(*args, **kwargs))
            return future

    assert type(ctxtrace.wrap_executor(OwnExecutor()).submit(user)) is OwnFuture
