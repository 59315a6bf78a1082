"""ThreadPoolExecutor: a drop-in whose calls run in the context of whoever submitted them."""

from __future__ import annotations

import concurrent.futures
import contextvars
import gc
import inspect
import itertools
import logging
import pickle
import sys
import threading
import weakref

import pytest
from core.support import (
    LIMIT,
    USER,
    Boom,
    fail,
    files_of_ours,
    frames,
    in_a_subprocess,
    serving,
    user,
)

import ctxtrace

STANDARD = concurrent.futures.ThreadPoolExecutor
OURS = ctxtrace.ThreadPoolExecutor

both = pytest.mark.parametrize("make", [STANDARD, OURS], ids=["standard", "ours"])


class Gate:
    """Holds the one worker of a pool back until it is opened."""

    def __init__(self, pool):
        self._open = threading.Event()
        self._inside = threading.Event()
        self.future = pool.submit(self._wait)
        assert self._inside.wait(LIMIT)

    def _wait(self):
        self._inside.set()
        assert self._open.wait(LIMIT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._open.set()


# Context.


def test_control_a_call_submitted_to_the_standard_pool_does_not_see_its_submitters_variable(ada):
    with STANDARD(1) as pool:
        assert pool.submit(user).result(LIMIT) == "nobody"


def test_a_submitted_call_sees_its_submitters_variable(ada):
    with OURS(1) as pool:
        assert pool.submit(user).result(LIMIT) == "ada"


def test_the_context_is_that_of_the_submit_and_not_of_the_start_of_the_call():
    with OURS(1) as pool:
        with Gate(pool), serving("ada"):
            future = pool.submit(user)
        assert future.result(LIMIT) == "ada"


def test_each_call_has_the_context_of_its_own_submitter():
    with OURS(1) as pool:
        futures = []
        for name in ("ada", "grace"):
            with serving(name):
                futures.append(pool.submit(user))
        assert [future.result(LIMIT) for future in futures] == ["ada", "grace"]


def test_what_a_call_sets_is_seen_neither_by_its_submitter_nor_by_the_next_call(ada):
    with OURS(1) as pool:
        pool.submit(USER.set, "mary").result(LIMIT)
        assert (user(), pool.submit(user).result(LIMIT)) == ("ada", "ada")


def test_a_call_may_submit_to_its_own_pool(ada):
    with OURS(2) as pool:
        assert pool.submit(lambda: pool.submit(user).result(LIMIT)).result(LIMIT) == "ada"


def contexts_of_workers(pool):
    """What a worker has between its calls: seen by a call that brings no context of its own."""
    return STANDARD.submit(pool, lambda: (user(), len(contextvars.copy_context())))


def test_a_worker_started_by_a_submit_inside_a_request_has_an_empty_context(ada):
    with OURS(1) as pool:
        pool.submit(user).result(LIMIT)
        assert contexts_of_workers(pool).result(LIMIT) == ("nobody", 0)


def test_a_worker_is_started_in_an_empty_context_where_threads_inherit_their_starters(
    ada, monkeypatch
):
    start = threading.Thread.start

    def inheriting_start(thread):
        context = contextvars.copy_context()
        run = thread.run
        thread.run = lambda: context.run(run)
        start(thread)

    with OURS(1) as pool:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", inheriting_start)
            pool.submit(user).result(LIMIT)
        assert contexts_of_workers(pool).result(LIMIT) == ("nobody", 0)


def test_a_worker_started_by_map_inside_a_request_has_an_empty_context(ada):
    with OURS(1) as pool:
        list(pool.map(user, [0]))
        assert contexts_of_workers(pool).result(LIMIT) == ("nobody", 0)


def test_the_initializer_runs_in_an_empty_context(ada):
    seen = []
    with OURS(1, initializer=lambda: seen.append(user())) as pool:
        pool.submit(user).result(LIMIT)
    assert seen == ["nobody"]


def test_what_the_initializer_sets_stays_with_the_worker():
    with OURS(1, initializer=USER.set, initargs=("of the worker",)) as pool:
        pool.submit(user).result(LIMIT)
        assert STANDARD.submit(pool, user).result(LIMIT) == "of the worker"


# Drop-in.


def test_it_is_a_subclass_of_the_standard_pool():
    assert issubclass(OURS, STANDARD)


@pytest.mark.parametrize("method", ["__init__", "submit", "shutdown", "__enter__", "__exit__"])
def test_the_signature_of_a_method_is_the_standard_one(method):
    def parameters(kind):
        signature = inspect.signature(getattr(kind, method))
        return [(each.name, each.kind, each.default) for each in signature.parameters.values()]

    assert parameters(OURS) == parameters(STANDARD)


def test_the_signature_of_the_class_is_the_standard_one():
    assert inspect.signature(OURS) == inspect.signature(STANDARD)


def test_map_takes_what_the_standard_map_of_3_14_takes():
    parameters = list(inspect.signature(OURS.map).parameters)
    assert parameters == ["self", "fn", "iterables", "timeout", "chunksize", "buffersize"]


def test_keywords_of_any_name_reach_the_function():
    keywords = {"fn": 1, "func": 2, "self": 3, "function": 4, "args": 5, "context": 6}
    with OURS(1) as pool:
        assert pool.submit(lambda **given: given, **keywords).result(LIMIT) == keywords


@both
def test_a_submit_without_a_function_is_refused(make):
    with make(1) as pool, pytest.raises(TypeError, match="submit"):
        pool.submit()


@both
def test_a_submit_of_what_cannot_be_called_fails_in_the_future(make):
    with make(1) as pool:
        error = pool.submit(42).exception(LIMIT)
    assert (type(error), str(error)) == (TypeError, "'int' object is not callable")


@both
def test_a_thread_of_the_pool_has_the_prefix_in_its_name(make):
    with make(1, thread_name_prefix="mine") as pool:
        assert pool.submit(lambda: threading.current_thread().name).result(LIMIT) == "mine_0"


@both
def test_zero_workers_are_refused(make):
    with pytest.raises(ValueError, match="max_workers must be greater than 0"):
        make(0)


@both
def test_an_initializer_that_cannot_be_called_is_refused(make):
    with pytest.raises(TypeError, match="initializer must be a callable"):
        make(initializer=42)


@both
def test_a_submit_after_shutdown_is_refused(make):
    pool = make(1)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        pool.submit(user)


@both
def test_a_map_after_shutdown_is_refused(make):
    pool = make(1)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        pool.map(user, [0])


@both
def test_a_failed_initializer_breaks_the_pool(make, caplog):
    with make(1, initializer=fail) as pool:
        future = pool.submit(user)
        with pytest.raises(concurrent.futures.thread.BrokenThreadPool, match="initializer failed"):
            future.result(LIMIT)
        with pytest.raises(concurrent.futures.thread.BrokenThreadPool, match="initializer failed"):
            pool.submit(user)


@both
def test_shutdown_can_cancel_the_calls_that_did_not_start(make):
    pool = make(1)
    with Gate(pool) as gate:
        waiting = pool.submit(user)
        pool.shutdown(wait=False, cancel_futures=True)
    gate.future.result(LIMIT)
    pool.shutdown()
    assert waiting.cancelled()


@both
def test_shutdown_waits_for_the_calls_that_were_submitted(make):
    with make(1) as pool:
        futures = [pool.submit(user) for _ in range(5)]
    assert all(future.done() for future in futures)


@both
def test_an_idle_worker_is_used_again(make):
    with make(5) as pool:
        for _ in range(5):
            pool.submit(threading.get_ident).result(LIMIT)
            # Set by the worker after it has set the result.
            assert pool._idle_semaphore.acquire(timeout=LIMIT)
            pool._idle_semaphore.release()
        assert len(pool._threads) == 1


@both
def test_a_dropped_pool_frees_itself_and_ends_its_workers(make, no_gc):
    pool = make(1)
    pool.submit(user).result(LIMIT)
    (worker,) = pool._threads
    reference = weakref.ref(pool)
    del pool
    worker.join(LIMIT)
    assert (reference(), worker.is_alive()) == (None, False)


@both
def test_a_dropped_pool_still_makes_the_calls_that_were_submitted(make):
    pool = make(1)
    with Gate(pool):
        future = pool.submit(int)
        del pool
        gc.collect()
    assert future.result(LIMIT) == 0


def at_exit(make, call):
    """Run a script that makes a call in its pool's worker once the interpreter is exiting."""
    ran = in_a_subprocess(f"""
        import threading
        from {make.__module__} import ThreadPoolExecutor

        pool = ThreadPoolExecutor(1)
        exiting = threading.Event()

        def refused():
            try:
                while True:
                    pool.submit(int)
            except RuntimeError as error:
                print(error, flush=True)

        def late():
            assert exiting.wait({LIMIT})
            {call}

        pool.submit(late)
        pool.submit(lambda: print("made too", flush=True))
        threading._register_atexit(exiting.set)
    """)
    assert (ran.stderr, ran.returncode) == ("", 0)
    return ran.stdout.splitlines()


@both
def test_at_exit_the_interpreter_waits_for_the_calls_that_were_submitted(make):
    assert at_exit(make, "print('made', flush=True)") == ["made", "made too"]


@both
def test_a_submit_while_the_interpreter_exits_is_refused(make):
    said = at_exit(make, "refused()")
    assert said == ["cannot schedule new futures after interpreter shutdown", "made too"]


@both
def test_a_pool_cannot_be_pickled(make):
    with make(1) as pool, pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(pool)


def test_what_is_submitted_need_not_be_picklable(ada):
    lock = threading.Lock()
    with OURS(1) as pool:
        assert pool.submit(lambda each: each, lock).result(LIMIT) is lock


# Futures.


@both
def test_the_futures_repr_is_the_standard_one(make):
    with make(1) as pool:
        future = pool.submit(int)
        future.result(LIMIT)
    assert repr(future) == f"<Future at {id(future):#x} state=finished returned int>"


def test_a_future_is_a_standard_future():
    with OURS(1) as pool:
        assert isinstance(pool.submit(user), concurrent.futures.Future)


@both
def test_a_call_that_fails_has_the_traceback_of_the_standard_pool(make):
    with make(1) as pool:
        error = pool.submit(fail).exception(LIMIT)
    assert (frames(error), files_of_ours(error)) == (["run", "fail"], [])


@both
def test_futures_can_be_waited_for_as_they_complete(make):
    with make(2) as pool:
        futures = {pool.submit(int, number) for number in range(5)}
        done = concurrent.futures.as_completed(futures, LIMIT)
        assert sorted(future.result() for future in done) == [0, 1, 2, 3, 4]


@both
def test_a_call_that_did_not_start_can_be_cancelled(make):
    with make(1) as pool:
        with Gate(pool):
            future = pool.submit(user)
            assert future.cancel()
        with pytest.raises(concurrent.futures.CancelledError):
            future.result(LIMIT)


# Callbacks.


def result_of_a_callback(make, *, finished):
    """What a callback sees that is added before or after the call finished."""
    seen = []
    with make(1) as pool:
        if finished:
            future = pool.submit(user)
            future.result(LIMIT)
            # The result is there before the callbacks are called.
            pool.shutdown()
            with serving("grace"):
                future.add_done_callback(lambda _: seen.append(user()))
        else:
            with Gate(pool) as gate, serving("grace"):
                gate.future.add_done_callback(lambda _: seen.append(user()))
    return seen


def test_control_a_callback_of_the_standard_pool_does_not_see_the_variable_of_who_added_it():
    assert result_of_a_callback(STANDARD, finished=False) == ["nobody"]


def test_a_callback_runs_in_the_context_of_who_added_it_once(ada):
    assert result_of_a_callback(OURS, finished=False) == ["grace"]


@both
def test_a_callback_added_after_the_call_finished_is_called_at_once_as_by_the_standard_pool(
    make, ada
):
    # By who adds it, in its own context: nothing is crossed.
    assert result_of_a_callback(make, finished=True) == ["grace"]


@both
def test_a_callback_that_is_added_twice_is_called_twice(make):
    called = []
    with make(1) as pool, Gate(pool) as gate:
        gate.future.add_done_callback(called.append)
        gate.future.add_done_callback(called.append)
    assert called == [gate.future, gate.future]


def test_a_callback_of_a_cancelled_call_runs_in_the_context_of_who_added_it():
    seen = []
    with OURS(1) as pool, Gate(pool):
        future = pool.submit(user)
        with serving("grace"):
            future.add_done_callback(lambda _: seen.append(user()))
        future.cancel()
    assert seen == ["grace"]


def test_a_callback_is_given_the_future():
    given = []
    with OURS(1) as pool, Gate(pool) as gate:
        gate.future.add_done_callback(given.append)
    assert given == [gate.future]


def test_callbacks_are_called_in_the_order_they_were_added():
    order = []
    with OURS(1) as pool, Gate(pool) as gate:
        for number in range(3):
            gate.future.add_done_callback(lambda _, number=number: order.append(number))
    assert order == [0, 1, 2]


def logged_failure_of_a_callback(make, caplog):
    caplog.set_level(logging.ERROR, "concurrent.futures")
    with make(1) as pool, Gate(pool) as gate:
        gate.future.add_done_callback(fail)
    (record,) = [each for each in caplog.records if each.name == "concurrent.futures"]
    return record


@both
def test_a_callback_that_fails_is_logged_as_the_standard_pool_logs_it(make, caplog):
    record = logged_failure_of_a_callback(make, caplog)
    assert record.getMessage() == f"exception calling callback for {record.args[0]!r}"
    assert record.exc_info[0] is Boom


if sys.version_info >= (3, 11):

    def test_a_callback_that_fails_is_logged_without_a_frame_of_ours(caplog):
        record = logged_failure_of_a_callback(OURS, caplog)
        assert files_of_ours(record.exc_info[2]) == []


# map.


def test_control_the_standard_map_does_not_carry_the_variable(ada):
    with STANDARD(1) as pool:
        assert list(pool.map(user, range(2))) == ["nobody", "nobody"]


buffersizes = pytest.mark.parametrize("buffersize", [None, 1, 3, 100])


@buffersizes
def test_map_carries_the_variable(ada, buffersize):
    with OURS(2) as pool:
        assert list(pool.map(user, range(5), buffersize=buffersize)) == ["ada"] * 5


@buffersizes
def test_map_gives_the_results_in_the_order_of_the_items(buffersize):
    with OURS(3) as pool:
        assert list(pool.map(pow, [1, 2, 3], [2, 2, 2], buffersize=buffersize)) == [1, 4, 9]


@buffersizes
def test_map_stops_with_the_shortest_iterable(buffersize):
    with OURS(3) as pool:
        results = pool.map(pow, [1, 2, 3], [2, 2], buffersize=buffersize)
        assert list(results) == [1, 4]


@buffersizes
def test_map_over_nothing_gives_nothing(buffersize):
    with OURS(1) as pool:
        assert list(pool.map(user, [], buffersize=buffersize)) == []


@buffersizes
def test_each_item_of_a_map_has_a_fresh_copy(ada, buffersize):
    def sets(number):
        before = user()
        USER.set(str(number))
        return before

    with OURS(1) as pool:
        assert list(pool.map(sets, range(4), buffersize=buffersize)) == ["ada"] * 4


@buffersizes
def test_map_takes_one_snapshot_when_it_is_called(buffersize):
    def items():
        for name in ("grace", "mary", "rosa", "zoe"):
            USER.set(name)
            yield name

    def in_a_request():
        USER.set("ada")
        with OURS(1) as pool:
            return list(pool.map(user, items(), buffersize=buffersize))

    assert contextvars.copy_context().run(in_a_request) == ["ada"] * 4


def test_results_taken_in_another_request_come_from_calls_of_the_first():
    with OURS(1) as pool:
        with serving("ada"):
            results = pool.map(user, range(4), buffersize=1)
        with serving("grace"):
            assert list(results) == ["ada"] * 4


@both
def test_map_without_buffersize_consumes_its_input_at_once(make):
    taken = []
    with make(1) as pool:
        pool.map(user, map(taken.append, range(5)))
        assert len(taken) == 5


def test_map_with_buffersize_takes_no_more_than_the_buffer_before_a_result_is_asked_for():
    items = itertools.count()
    with OURS(1) as pool:
        results = pool.map(int, items, buffersize=3)
        assert next(items) == 3
        results.close()


def test_map_with_buffersize_takes_one_item_for_each_result():
    taken = []
    items = (taken.append(number) or number for number in itertools.count())
    with OURS(1) as pool:
        results = pool.map(int, items, buffersize=3)
        assert [next(results), next(results)] == [0, 1]
        assert taken == [0, 1, 2, 3, 4]
        results.close()


def test_map_with_buffersize_works_on_infinite_iterables():
    with OURS(2) as pool:
        results = pool.map(pow, itertools.count(), itertools.repeat(2), buffersize=4)
        assert list(itertools.islice(results, 5)) == [0, 1, 4, 9, 16]
        results.close()


def test_map_with_buffersize_raises_the_error_of_a_call_in_its_place():
    def third_fails(number):
        return fail() if number == 2 else number

    with OURS(1) as pool:
        results = pool.map(third_fails, itertools.count(), buffersize=2)
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(Boom):
            next(results)
        assert next(results, "ended") == "ended"


def test_map_with_buffersize_raises_the_error_of_its_input_when_it_is_reached():
    def items():
        yield from range(3)
        raise Boom

    with OURS(1) as pool:
        results = pool.map(int, items(), buffersize=2)
        assert next(results) == 0
        with pytest.raises(Boom):
            list(results)


def test_map_with_buffersize_ends_with_what_is_submitted_when_the_pool_is_dropped():
    pool = OURS(1)
    results = pool.map(int, itertools.count(), buffersize=3)
    del pool
    gc.collect()
    assert list(results) == [0, 1, 2]


def test_map_with_buffersize_raises_when_the_pool_was_shut_down():
    with OURS(1) as pool:
        results = pool.map(int, itertools.count(), buffersize=1)
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        next(results)


def test_a_closed_map_with_buffersize_cancels_what_did_not_start():
    with OURS(1) as pool, Gate(pool):
        called = []
        results = pool.map(called.append, range(5), buffersize=3, timeout=0)
        with pytest.raises(concurrent.futures.TimeoutError):
            next(results)
    assert called == []


@pytest.mark.parametrize("buffersize", [None, 2])
def test_map_gives_up_after_its_timeout(buffersize):
    with OURS(1) as pool, Gate(pool):
        results = pool.map(int, range(5), timeout=0.001, buffersize=buffersize)
        with pytest.raises(concurrent.futures.TimeoutError):
            next(results)


@pytest.mark.parametrize("buffersize", ["1", 1.0])
def test_a_buffersize_that_is_no_integer_is_refused(buffersize):
    with OURS(1) as pool, pytest.raises(TypeError, match="buffersize must be an integer or None"):
        pool.map(int, [1], buffersize=buffersize)


@pytest.mark.parametrize("buffersize", [0, -1])
def test_a_buffersize_below_one_is_refused(buffersize):
    with OURS(1) as pool, pytest.raises(ValueError, match="buffersize must be None or > 0"):
        pool.map(int, [1], buffersize=buffersize)


def test_a_subclass_that_overrides_submit_is_asked_for_each_item_of_a_map(ada):
    class Counting(OURS):
        count = 0

        def submit(self, fn, /, *args, **kwargs):
            self.count += 1
            return super().submit(lambda: (fn(*args, **kwargs), "counted"))

    with Counting(1) as pool:
        assert list(pool.map(user, range(2))) == [("ada", "counted")] * 2
        assert pool.count == 2
