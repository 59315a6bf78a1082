"""install() and the standard library: every way into another thread carries.

Each way begins a call and returns how to get its result, and what it returns is kept.
"""

from __future__ import annotations

import _thread
import asyncio
import concurrent.futures
import contextlib
import contextvars
import dataclasses
import decimal
import functools
import gc
import multiprocessing.dummy
import multiprocessing.pool
import sys
import threading

import pytest
from core.support import (
    LIMIT,
    OTHER,
    USER,
    Boom,
    Run,
    WeakTracer,
    caught,
    fail,
    files_of_ours,
    frames,
    has_current_run_set,
    has_parent,
    serving,
    user,
)

import ctxtrace

# Pools.


def submit(stack, fn):
    pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(1))
    return functools.partial(pool.submit(fn).result, LIMIT)


def executor_map(stack, fn):
    pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(1))
    return functools.partial(next, pool.map(fn, [0]))


def submit_to_a_subclass(stack, fn):
    class Pool(concurrent.futures.ThreadPoolExecutor):
        def submit(self, fn, /, *args, **kwargs):
            return super().submit(fn, *args, **kwargs)

    return functools.partial(stack.enter_context(Pool(1)).submit(fn).result, LIMIT)


def in_a_loop(begin):
    """The loop runs in the test's own context, and the call ends when the loop does."""

    def way(stack, fn):
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)

        async def main():
            return begin(loop, fn)

        call = asyncio.ensure_future(loop.run_until_complete(main()), loop=loop)
        stack.callback(loop.run_until_complete, loop.shutdown_default_executor())
        return functools.partial(loop.run_until_complete, call)

    return way


run_in_executor = in_a_loop(lambda loop, fn: loop.run_in_executor(None, fn))
to_thread = in_a_loop(lambda loop, fn: asyncio.to_thread(fn))


# Threads and timers.


def wait_for(thread, results):
    def result():
        thread.join(LIMIT)
        kind, value = results.pop()
        if kind == "error":
            raise value
        return value

    result.keeps = thread
    return result


def noting(fn, results):
    def target(*_):
        try:
            results.append(("value", fn()))
        except Exception as error:
            results.append(("error", error))

    return target


def start(make):
    def way(stack, fn):
        results = []
        thread = make(noting(fn, results))
        thread.start()
        return wait_for(thread, results)

    return way


class OverridesRun(threading.Thread):
    def __init__(self, target):
        super().__init__()
        self.work = target

    def run(self):
        self.work()


class OverridesStart(threading.Thread):
    def __init__(self, target):
        super().__init__(target=target)

    def start(self):
        return super().start()


class ATimer(threading.Timer):
    def __init__(self, target):
        super().__init__(0, target)


thread = start(lambda target: threading.Thread(target=target))
daemon = start(lambda target: threading.Thread(target=target, daemon=True))
run_of_a_subclass = start(OverridesRun)
start_of_a_subclass = start(OverridesStart)
timer = start(lambda target: threading.Timer(0, target))
timer_of_a_subclass = start(ATimer)
dummy_process = start(lambda target: multiprocessing.dummy.Process(target=target))


# multiprocessing.pool.


def thread_pool(begin):
    def way(stack, fn):
        pool = stack.enter_context(multiprocessing.pool.ThreadPool(1))
        return begin(pool, fn)

    return way


def first_of(get):
    return lambda: get()[0]


apply_async = thread_pool(
    lambda pool, fn: functools.partial(pool.apply_async(fn, (), {}).get, LIMIT)
)
map_async = thread_pool(
    lambda pool, fn: first_of(functools.partial(pool.map_async(fn, [0]).get, LIMIT))
)
starmap_async = thread_pool(
    lambda pool, fn: first_of(functools.partial(pool.starmap_async(fn, [(0,)]).get, LIMIT))
)
imap = thread_pool(lambda pool, fn: functools.partial(next, pool.imap(fn, [0])))
imap_chunks = thread_pool(
    lambda pool, fn: functools.partial(next, pool.imap(fn, iter([0]), chunksize=2))
)
imap_unordered = thread_pool(lambda pool, fn: functools.partial(next, pool.imap_unordered(fn, [0])))


def dummy_pool(stack, fn):
    pool = stack.enter_context(multiprocessing.dummy.Pool(1))
    return functools.partial(pool.apply_async(func=fn).get, LIMIT)


# These return when all is done: what they return is the result.


def now(call):
    def way(stack, fn):
        value = call(stack.enter_context(multiprocessing.pool.ThreadPool(1)), fn)
        return lambda: value

    return way


apply = now(lambda pool, fn: pool.apply(fn))
pool_map = now(lambda pool, fn: pool.map(fn, [0])[0])
starmap = now(lambda pool, fn: pool.starmap(fn, [(0,)])[0])

LATER = {
    "submit": submit,
    "Executor.map": executor_map,
    "submit of a subclass": submit_to_a_subclass,
    "run_in_executor": run_in_executor,
    "Thread": thread,
    "daemon": daemon,
    "run of a subclass": run_of_a_subclass,
    "start of a subclass": start_of_a_subclass,
    "Timer": timer,
    "Timer's subclass": timer_of_a_subclass,
    "dummy.Process": dummy_process,
    "apply_async": apply_async,
    "map_async": map_async,
    "starmap_async": starmap_async,
    "imap": imap,
    "imap in chunks": imap_chunks,
    "imap_unordered": imap_unordered,
    "dummy.Pool": dummy_pool,
}
AT_ONCE = {"apply": apply, "map": pool_map, "starmap": starmap}
WAYS = {**LATER, **AT_ONCE}

every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
every_later_way = pytest.mark.parametrize("way", LATER.values(), ids=LATER)
both = pytest.mark.parametrize("variables", ["all", "trace"])


def assert_keeps_the_run_until_done(way, variables, stack, tracer):
    gate = threading.Event()

    def work(*_):
        assert gate.wait(LIMIT)
        return has_parent()

    with ctxtrace.install(variables=variables):
        with tracer.run() as run:
            result = way(stack, work)
        assert run() is not None
        gate.set()
        assert result() is True
    stack.close()
    assert run() is None


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def installed():
    with ctxtrace.install() as installation:
        yield installation


# What is carried.


@every_way
def test_control_without_install_the_variable_and_the_run_are_lost(way, stack, ada, tracer):
    with tracer.run():
        assert way(stack, lambda *_: (user(), has_parent()))() == ("nobody", False)


@every_way
def test_the_call_has_its_callers_variable_and_run(way, stack, ada, tracer, installed):
    with tracer.run():
        assert way(stack, lambda *_: (user(), has_parent()))() == ("ada", True)


@every_way
def test_with_trace_the_call_has_the_run_alone(way, stack, ada, tracer):
    with ctxtrace.install(variables="trace"), tracer.run():
        assert way(stack, lambda *_: (user(), has_parent()))() == ("nobody", True)


@both
def test_to_thread_carries_as_it_does_without(variables, stack, ada, tracer):
    with ctxtrace.install(variables=variables), tracer.run():
        assert to_thread(stack, lambda: (user(), has_parent()))() == ("ada", True)


@every_way
def test_what_the_call_sets_is_not_seen_by_its_caller(way, stack, ada, installed):
    way(stack, lambda *_: USER.set("mary"))()
    assert user() == "ada"


def test_each_call_of_a_map_has_a_context_of_its_own(stack, ada, installed):
    def work(_):
        seen = user()
        USER.set("mary")
        return seen

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert list(pool.map(work, range(3))) == ["ada"] * 3
    with multiprocessing.pool.ThreadPool(1) as pool:
        assert pool.map(work, range(3), chunksize=3) == ["ada"] * 3
        assert list(pool.imap(work, range(3), chunksize=3)) == ["ada"] * 3
        assert pool.starmap(work, [(0,)] * 3) == ["ada"] * 3


def test_calls_of_one_map_may_run_at_the_same_time(ada, installed):
    meet = threading.Barrier(3, timeout=LIMIT)

    def work(_):
        meet.wait()
        return user()

    with multiprocessing.pool.ThreadPool(3) as pool:
        assert pool.map(work, range(3), chunksize=1) == ["ada"] * 3


@both
def test_calls_take_keywords_of_any_name(variables):
    names = ("values", "function", "context", "fn", "func", "self", "args", "kwargs", "callback")
    keywords = {name: number for number, name in enumerate(names)}

    def echo(**given):
        return given

    with ctxtrace.install(variables=variables):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            assert pool.submit(echo, **keywords).result(LIMIT) == keywords
        with multiprocessing.pool.ThreadPool(1) as pool:
            assert pool.apply(echo, kwds=keywords) == keywords
            assert pool.map_async(functools.partial(echo, **keywords), []).get(LIMIT) == []


def test_a_thread_has_the_context_of_its_start_and_not_of_its_making(installed):
    seen = []
    with serving("grace"):
        thread = threading.Thread(target=lambda: seen.append(user()))
    with serving("ada"):
        thread.start()
    thread.join(LIMIT)
    assert seen == ["ada"]


def test_what_is_below_threads_is_left_alone(ada):
    bare = _thread.start_new_thread
    seen, done = [], threading.Event()

    def work():
        seen.append(user())
        done.set()

    with ctxtrace.install():
        assert _thread.start_new_thread is bare
        _thread.start_new_thread(work, ())
        assert done.wait(LIMIT)
    assert seen == ["nobody"]


def test_threads_and_timers_are_switched_off_apart(stack, ada):
    with ctxtrace.install(skip=["threads"]):
        assert (thread(stack, user)(), timer(stack, user)()) == ("nobody", "ada")
    with ctxtrace.install(skip=["timers"]):
        assert (thread(stack, user)(), timer(stack, user)()) == ("ada", "nobody")


def test_a_thread_keeps_its_own_run_after_it_was_started(installed):
    done = threading.Event()

    def run():
        done.set()

    mine = threading.Thread()
    mine.run = run
    mine.start()
    mine.join(LIMIT)
    assert done.is_set()
    assert mine.run is run
    other = threading.Thread()
    other.start()
    other.join(LIMIT)
    assert "run" not in vars(other)


@pytest.mark.parametrize("make", [threading.Thread, functools.partial(threading.Timer, 0, user)])
def test_a_thread_that_is_started_twice_is_refused_in_pythons_words(make, installed):
    once = make()
    once.start()
    once.join(LIMIT)
    with pytest.raises(RuntimeError, match="threads can only be started once"):
        once.start()


def test_a_thread_whose_init_was_forgotten_is_refused_in_pythons_words(installed):
    class Forgetful(threading.Thread):
        def __init__(self):
            pass

    with pytest.raises(RuntimeError, match=r"thread\.__init__\(\) not called"):
        Forgetful().start()


def test_limit_callbacks_of_futures_do_not_carry(ada, installed):
    seen = []
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        gate = threading.Event()
        future = pool.submit(gate.wait, LIMIT)
        future.add_done_callback(lambda _: seen.append(user()))
        gate.set()
    assert seen == ["nobody"]


# The items of imap() are taken in a thread of the pool.

imaps = pytest.mark.parametrize("name", ["imap", "imap_unordered"])
chunks = pytest.mark.parametrize("chunksize", [1, 2])


def items():
    seen = [user(), has_parent()]
    token = OTHER.set("in the middle")
    yield seen
    yield OTHER.get()
    OTHER.reset(token)  # raises in another context than it was set in


def in_pool(name, iterable, chunksize=1):
    with multiprocessing.pool.ThreadPool(1) as pool:
        return list(getattr(pool, name)(lambda item: item, iterable, chunksize))


@imaps
@chunks
def test_control_the_items_of_imap_are_taken_without_the_context(name, chunksize, ada, tracer):
    with tracer.run():
        assert in_pool(name, items(), chunksize) == [["nobody", False], "in the middle"]


@imaps
@chunks
def test_the_items_of_imap_are_taken_in_its_callers_context(
    name, chunksize, ada, tracer, installed
):
    with tracer.run():
        assert in_pool(name, items(), chunksize) == [["ada", True], "in the middle"]


@imaps
def test_with_trace_the_items_of_imap_are_taken_with_the_run_alone(name, ada, tracer):
    with ctxtrace.install(variables="trace"), tracer.run():
        assert in_pool(name, items()) == [["nobody", True], "in the middle"]


@imaps
@chunks
def test_an_error_of_the_items_of_imap_comes_from_the_results(name, chunksize, installed):
    def broken():
        yield 1
        raise Boom

    with multiprocessing.pool.ThreadPool(1) as pool:
        results = getattr(pool, name)(abs, broken(), chunksize)
        assert type(caught(list, results)) is Boom


@imaps
def test_what_is_no_iterable_fails_in_the_results_of_imap_as_without(name, installed):
    with multiprocessing.pool.ThreadPool(1) as pool:
        results = getattr(pool, name)(abs, 5)
        assert type(caught(next, results)) is TypeError


# Callbacks of multiprocessing.pool.


def ended(result):
    result.wait(LIMIT)


@pytest.mark.parametrize("positional", [True, False])
@pytest.mark.parametrize("work", [user, fail])
@pytest.mark.parametrize("name", ["apply_async", "map_async", "starmap_async"])
def test_a_callback_runs_once_in_its_callers_context(name, work, positional, ada, installed):
    seen = []

    def callback(value):
        seen.append((user(), "done"))

    def failed(error):
        seen.append((user(), type(error)))

    arguments = {"apply_async": ((), {}), "map_async": ([0], 1), "starmap_async": ([(0,)], 1)}
    with multiprocessing.pool.ThreadPool(1) as pool:
        method = getattr(pool, name)
        if positional:
            result = method(work, *arguments[name], callback, failed)
        else:
            result = method(work, *arguments[name], error_callback=failed, callback=callback)
        ended(result)
    assert seen == [("ada", "done" if work is user else Boom)]


def test_control_a_callback_runs_without_the_context(ada):
    seen = []
    with multiprocessing.pool.ThreadPool(1) as pool:
        ended(pool.apply_async(user, callback=lambda _: seen.append(user())))
    assert seen == ["nobody"]


def test_with_trace_a_callback_has_the_run_alone(ada, tracer):
    seen = []
    install = ctxtrace.install(variables="trace")
    with install, multiprocessing.pool.ThreadPool(1) as pool, tracer.run():
        ended(pool.apply_async(user, callback=lambda _: seen.append((user(), has_parent()))))
    assert seen == [("nobody", True)]


def test_only_one_of_two_callbacks_need_be_given(ada, installed):
    seen = []
    with multiprocessing.pool.ThreadPool(1) as pool:
        ended(pool.apply_async(fail, callback=lambda _: seen.append("done")))
        ended(pool.apply_async(user, error_callback=lambda _: seen.append("failed")))
        ended(pool.apply_async(fail, error_callback=lambda _: seen.append(user())))
    assert seen == ["ada"]


@both
@pytest.mark.usefixtures("no_gc")
def test_a_callback_keeps_the_run_until_it_was_called(variables, tracer):
    seen, gate = [], threading.Event()
    with ctxtrace.install(variables=variables), multiprocessing.pool.ThreadPool(1) as pool:
        pool.apply_async(gate.wait, (LIMIT,))
        with tracer.run() as run:
            result = pool.apply_async(user, callback=lambda _: seen.append(has_parent()))
            failing = pool.apply_async(fail, error_callback=lambda _: seen.append(has_parent()))
        assert run() is not None
        gate.set()
        ended(result)
        ended(failing)
    assert (seen, run()) == ([True, True], None)


# Pins.


@both
@every_later_way
@pytest.mark.usefixtures("no_gc")
def test_the_call_keeps_the_run_until_it_is_done_and_what_is_kept_does_not(
    way, variables, stack, tracer
):
    assert_keeps_the_run_until_done(way, variables, stack, tracer)


@both
@pytest.mark.parametrize("way", AT_ONCE.values(), ids=AT_ONCE)
@pytest.mark.usefixtures("no_gc")
def test_a_call_that_was_waited_for_leaves_nothing(way, variables, stack, tracer):
    with ctxtrace.install(variables=variables), tracer.run() as run:
        assert way(stack, has_parent)()
    stack.close()
    assert run() is None


# The pool's own frame that goes through a chunk has the function, and the error has the frame.
KEPT_BY_ITS_ERROR = ("map_async", "starmap_async", "imap in chunks")


@both
@pytest.mark.parametrize(
    ("way", "kept"), [(way, name in KEPT_BY_ITS_ERROR) for name, way in WAYS.items()], ids=WAYS
)
@pytest.mark.usefixtures("no_gc")
def test_a_kept_error_does_not_keep_the_run_save_for_chunks(way, kept, variables, stack, tracer):
    with ctxtrace.install(variables=variables), tracer.run() as run:
        error = caught(lambda: way(stack, fail)())
    stack.close()
    assert (type(error), run() is not None) == (Boom, kept)
    del error
    gc.collect()  # the pool's frames and its result have the error, which has them
    assert run() is None


@pytest.mark.usefixtures("no_gc")
@pytest.mark.parametrize(
    "refused",
    [
        lambda pool: pool.apply_async(user, callback=user),
        lambda pool: pool.map(user, [0]),
        lambda pool: pool.map_async(user, [0], callback=user),
        lambda pool: pool.imap(user, iter([0])),
    ],
)
def test_a_pool_that_was_closed_frees_the_run_while_its_error_is_kept(refused, tracer, installed):
    with multiprocessing.pool.ThreadPool(1) as pool:
        pool.close()
        with tracer.run() as run:
            error = caught(refused, pool)
        assert (type(error), run()) == (ValueError, None)


@pytest.mark.usefixtures("no_gc")
def test_an_executor_that_was_shut_down_frees_the_run_while_its_error_is_kept(tracer, installed):
    pool = concurrent.futures.ThreadPoolExecutor(1)
    pool.shutdown()
    with tracer.run() as run:
        error = caught(pool.submit, user)
    assert (type(error), run()) == (RuntimeError, None)


@both
@pytest.mark.usefixtures("no_gc")
def test_a_cancelled_timer_lets_go(variables, tracer):
    with ctxtrace.install(variables=variables):
        with tracer.run() as run:
            kept = threading.Timer(LIMIT, user)
            kept.start()
        assert run() is not None
        kept.cancel()
        kept.join(LIMIT)
    assert run() is None


@both
@pytest.mark.usefixtures("no_gc")
def test_a_cancelled_call_lets_go(variables, stack, tracer):
    gate = threading.Event()
    with ctxtrace.install(variables=variables):
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(1))
        pool.submit(gate.wait, LIMIT)
        with tracer.run() as run:
            kept = pool.submit(user)
        assert run() is not None
        kept.cancel()
        gate.set()
        stack.close()
    assert (kept.cancelled(), run()) == (True, None)


# What brings its own context.


def context_of(name):
    context = contextvars.copy_context()
    context.run(USER.set, name)
    return context


BRINGS = {
    "run": lambda context, fn: (context.run, fn),
    "partial": lambda context, fn: (functools.partial(context.run, fn),),
    "partial of a partial": lambda context, fn: (
        functools.partial(functools.partial(context.run), fn),
    ),
}


@both
@pytest.mark.parametrize("brings", BRINGS.values(), ids=BRINGS)
@pytest.mark.usefixtures("no_gc")
def test_what_brings_its_own_context_keeps_that_and_is_pinned(brings, variables, ada, tracer):
    gate = threading.Event()
    install = ctxtrace.install(variables=variables)
    with install, concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(gate.wait, LIMIT)
        with tracer.run() as run:
            context = context_of("mary")
            kept = pool.submit(*brings(context, lambda: (user(), has_parent())))
        assert run() is not None
        gate.set()
        assert kept.result(LIMIT) == ("mary", True)
    assert run() is None


@pytest.mark.parametrize("brings", BRINGS.values(), ids=BRINGS)
def test_what_brings_its_own_context_runs_in_that_very_one(brings, ada, tracer, installed):
    context = context_of("mary")
    with tracer.run(), concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(*brings(context, lambda: OTHER.set("set in it"))).result(LIMIT)
    assert context[OTHER] == "set in it"


def test_a_refused_call_of_a_users_own_partial_is_left_as_it_was(tracer, installed):
    mine = functools.partial(contextvars.copy_context().run, user)
    mine.pins = "mine"
    pool = concurrent.futures.ThreadPoolExecutor(1)
    pool.shutdown()
    for call in (mine, contextvars.copy_context().run):
        assert type(caught(pool.submit, call)) is RuntimeError
    assert mine.pins == "mine"


# Beside what ctxtrace is used for by name.


class Counting(WeakTracer):
    """Says how often what crosses was pinned."""

    def __init__(self):
        self.pinned = 0

    def pin(self):
        self.pinned += 1
        return super().pin()


@pytest.fixture
def counting():
    tracer = Counting()
    undo = ctxtrace.register_carrier(tracer)
    yield tracer
    undo()


def our_pool(stack, fn):
    pool = stack.enter_context(ctxtrace.ThreadPoolExecutor(1))
    return functools.partial(pool.submit(fn).result, LIMIT)


def wrapped_pool(stack, fn):
    pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(1))
    return functools.partial(ctxtrace.wrap_executor(pool).submit(fn).result, LIMIT)


our_thread = start(lambda target: ctxtrace.Thread(target=target))
our_timer = start(lambda target: ctxtrace.Timer(0, target))
OURS = {
    "ThreadPoolExecutor": our_pool,
    "wrap_executor": wrapped_pool,
    "Thread": our_thread,
    "Timer": our_timer,
}
every_own_way = pytest.mark.parametrize("way", OURS.values(), ids=OURS)


@both
@every_own_way
def test_what_carries_by_itself_carries_as_before_and_once(way, variables, stack, ada, counting):
    with ctxtrace.install(variables=variables), counting.run():
        assert way(stack, lambda *_: (user(), has_parent()))() == ("ada", True)
    assert counting.pinned == 1


@both
@every_own_way
@pytest.mark.usefixtures("no_gc")
def test_what_carries_by_itself_keeps_the_run_until_it_is_done(way, variables, stack, tracer):
    assert_keeps_the_run_until_done(way, variables, stack, tracer)


def test_map_of_our_pool_takes_one_snapshot_as_before(counting, installed):
    with counting.run(), ctxtrace.ThreadPoolExecutor(1) as pool:
        assert list(pool.map(has_parent, range(5))) == [True] * 5
    assert counting.pinned == 1


# "trace" leaves a worker the context that it has.


@both
def test_what_an_initializer_sets_is_seen_with_trace(variables):
    with (
        ctxtrace.install(variables=variables),
        concurrent.futures.ThreadPoolExecutor(1, initializer=OTHER.set, initargs=("set",)) as p,
    ):
        seen = p.submit(OTHER.get).result(LIMIT)
    assert seen == ("set" if variables == "trace" else "unset")


def test_what_an_earlier_call_sets_stays_with_trace_as_in_the_bare_pool(tracer):
    def precision():
        return decimal.getcontext().prec

    def set_precision():
        decimal.getcontext().prec = 7

    with ctxtrace.install(variables="trace"), tracer.run():
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(set_precision).result(LIMIT)
            assert pool.submit(precision).result(LIMIT) == 7
        with multiprocessing.pool.ThreadPool(1) as pool:
            pool.apply(set_precision)
            assert pool.map(lambda _: precision(), [0]) == [7]
        assert decimal.getcontext().prec == 28


def test_with_all_a_worker_shares_its_callers_decimal_context(installed):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(decimal.getcontext).result(LIMIT) is decimal.getcontext()


@pytest.mark.parametrize("work", [has_parent, fail])
def test_after_a_call_with_trace_the_worker_has_no_run(work, tracer):
    bare = concurrent.futures.ThreadPoolExecutor.submit
    with ctxtrace.install(variables="trace"), concurrent.futures.ThreadPoolExecutor(1) as pool:
        with tracer.run():
            pool.submit(work).exception(LIMIT)
        assert bare(pool, has_current_run_set).result(LIMIT) is False


def test_with_trace_a_call_made_without_a_run_has_none_although_the_worker_has(tracer):
    of_the_worker = Run()
    bare = concurrent.futures.ThreadPoolExecutor.submit
    with concurrent.futures.ThreadPoolExecutor(
        1, initializer=tracer.revive, initargs=(of_the_worker,)
    ) as pool:
        assert pool.submit(has_parent).result(LIMIT) is True
        with ctxtrace.install(variables="trace"):
            assert pool.submit(has_parent).result(LIMIT) is False
            assert bare(pool, has_parent).result(LIMIT) is True


# Errors of the user's own work.


@every_way
def test_the_users_error_is_the_same_object_and_text(way, stack, installed):
    mine = Boom("mine")

    def raises(*_):
        raise mine

    assert caught(lambda: way(stack, raises)()) is mine
    assert (str(mine), mine.__cause__, mine.__context__) == ("mine", None, None)


if sys.version_info >= (3, 11):

    @both
    @every_way
    def test_the_users_error_has_the_traceback_it_has_without(way, variables, stack):
        bare = caught(lambda: way(stack, fail)())
        with ctxtrace.install(variables=variables):
            ours = caught(lambda: way(stack, fail)())
        assert files_of_ours(ours) == []
        assert frames(ours) == frames(bare)

else:

    @every_way
    def test_the_users_error_has_at_most_one_frame_of_ours_in_its_own_thread(way, stack, installed):
        error = caught(lambda: way(stack, fail)())
        assert [line for line in files_of_ours(error) if "_cross_each" not in line] == [
            line for line in files_of_ours(error) if line.endswith(" method")
        ]


def test_the_report_of_a_thread_that_fails_has_no_frame_of_ours_on_top(installed, monkeypatch):
    reports = []
    monkeypatch.setattr(threading, "excepthook", reports.append)
    failing = threading.Thread(target=fail)
    failing.start()
    failing.join(LIMIT)
    (report,) = reports
    assert (report.exc_type, report.thread) == (Boom, failing)
    assert frames(report.exc_traceback)[-1] == "fail"
    if sys.version_info >= (3, 11):
        assert files_of_ours(report.exc_traceback) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda pool: pool.apply_async(),
        lambda pool: pool.map(user),
        lambda pool: pool.map(user, [0], 1, 2, 3),
        lambda pool: pool.apply_async(user, colour="green"),
        lambda pool: pool.imap(user, [0], chunksize=0),
        lambda pool: pool.map(user, 5),
    ],
)
def test_a_wrong_call_fails_as_without(call):
    with multiprocessing.pool.ThreadPool(1) as pool:
        bare = caught(call, pool)
        with ctxtrace.install():
            ours = caught(call, pool)
    assert (type(ours), str(ours), ours.__context__) == (type(bare), str(bare), None)


def test_what_cannot_be_called_fails_in_the_worker(installed):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        error = pool.submit(42).exception(LIMIT)
        assert (type(error), str(error)) == (TypeError, "'int' object is not callable")
    with multiprocessing.pool.ThreadPool(1) as pool:
        assert type(caught(pool.map, None, [0])) is TypeError


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int


@pytest.mark.parametrize("variables", ["all", "trace"])
def test_an_error_whose_class_refuses_to_be_changed_passes_unchanged(variables):
    error = Frozen(7)

    def fail_frozen(_):
        raise error

    with ctxtrace.install(variables=variables):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            assert pool.submit(fail_frozen, None).exception(LIMIT) is error
        with multiprocessing.pool.ThreadPool(1) as pool, pytest.raises(Frozen):
            pool.map(fail_frozen, [None])
