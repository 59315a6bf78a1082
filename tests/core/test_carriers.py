"""Carriers of the user's own: when they are asked, and what happens when they fail."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest
from core.support import LIMIT, Boom, caught, user

import ctxtrace

CURRENT: ContextVar[object] = ContextVar("current", default=None)
_names = (f"carrier {number}" for number in itertools.count())


class Counting(ctxtrace.Carrier):
    """Counts how often it is asked, and fails where it is told to."""

    def __init__(self, failing="", error=None):
        self.name = next(_names)  # what failed is logged once for each name
        self.asked = []
        self.failing = failing
        self.error = error

    def _ask(self, method):
        self.asked.append(method)
        if method == self.failing:
            raise self.error

    def pin(self):
        self._ask("pin")
        return CURRENT.get()

    def clear(self):
        self._ask("clear")
        CURRENT.set(None)

    def variables(self):
        self._ask("variables")
        return (CURRENT,)


@pytest.fixture
def register():
    undos = []

    def register_(carrier):
        undos.append(ctxtrace.register_carrier(carrier))
        return carrier

    yield register_
    for undo in reversed(undos):
        undo()


@pytest.fixture
def carrier(register):
    return register(Counting())


def submit():
    with ctxtrace.ThreadPoolExecutor(1) as pool:
        return pool.submit(user).result(LIMIT)


def map_():
    with ctxtrace.ThreadPoolExecutor(1) as pool:
        return next(pool.map(user, range(3)))


def start(make=ctxtrace.Thread, *arguments):
    seen = []
    thread = make(*arguments, lambda: seen.append(user()))
    thread.start()
    thread.join(LIMIT)
    return seen[0]


def thread():
    return start(ctxtrace.Thread, None)


def timer():
    return start(ctxtrace.Timer, 0)


async def who_():
    return user()


coroutines = []


def who():
    """A coroutine that `closed` closes where no task took it."""
    coroutines.append(who_())
    return coroutines[-1]


@pytest.fixture
def closed():
    yield
    for coroutine in coroutines:
        coroutine.close()
    coroutines.clear()


def in_a_loop(make):
    async def main():
        return await make()

    return asyncio.run(main())


def create_task():
    return in_a_loop(lambda: ctxtrace.create_task(who()))


def gather():
    return in_a_loop(lambda: ctxtrace.gather(who()))[0]


def to_thread():
    return in_a_loop(lambda: ctxtrace.to_thread(user))


def run_in_executor():
    return in_a_loop(lambda: ctxtrace.run_in_executor(None, user))


def task_group():
    async def main():
        async with ctxtrace.TaskGroup() as group:
            task = group.create_task(who())
        return task.result()

    return asyncio.run(main())


def run():
    return ctxtrace.capture().run(user)


def wrap():
    return ctxtrace.wrap(user)()


CROSSINGS = [
    submit,
    map_,
    thread,
    timer,
    create_task,
    gather,
    task_group,
    to_thread,
    run_in_executor,
    run,
    wrap,
]
every_crossing = pytest.mark.parametrize("crossing", CROSSINGS)


@every_crossing
def test_a_carrier_is_asked_for_its_pin_once_a_crossing(crossing, carrier):
    crossing()
    assert carrier.asked == ["pin"]


@every_crossing
def test_a_carrier_whose_pin_fails_does_not_stop_the_work(crossing, register, caplog):
    register(Counting("pin", Boom()))
    assert crossing() == "nobody"


@every_crossing
def test_an_error_of_a_carrier_that_is_no_exception_passes_through(crossing, register, closed):
    error = KeyboardInterrupt()
    register(Counting("pin", error))
    assert caught(crossing) is error


def warnings_of_ours(caplog):
    return [record for record in caplog.records if record.name == "ctxtrace"]


def fail_in(method):
    """Have the carriers asked for one thing."""
    if method == "pin":
        ctxtrace.capture()
    elif method == "clear":
        with ctxtrace.detached():
            pass
    else:
        with ctxtrace.capture().attach():
            pass


every_method = pytest.mark.parametrize("method", ["pin", "clear", "variables"])


@every_method
def test_a_carrier_that_fails_is_logged_once(method, register, caplog):
    carrier = register(Counting(method, Boom("secret")))
    for _ in range(3):
        fail_in(method)
    (record,) = warnings_of_ours(caplog)
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"carrier {carrier.name!r} failed in {method}();")
    # Where it happened, and not what it says: that may quote what is traced.
    assert "It was a Boom, raised here:" in record.getMessage()
    assert "in _ask" in record.getMessage()
    assert "secret" not in record.getMessage()
    assert record.exc_info is None


@every_method
def test_a_carrier_that_fails_in_another_way_is_logged_again(method, register, caplog):
    carrier = register(Counting(method, Boom()))
    fail_in(method)
    carrier.error = KeyError()
    fail_in(method)
    boom, key_error = (record.getMessage() for record in warnings_of_ours(caplog))
    assert "It was a Boom," in boom
    assert "It was a KeyError," in key_error


@every_method
def test_the_block_runs_although_a_carrier_fails(method, register, caplog):
    register(Counting(method, Boom()))
    ran = []
    with ctxtrace.capture().attach(), ctxtrace.detached():
        ran.append(True)
    assert ran == [True]


@every_method
def test_an_error_of_any_method_that_is_no_exception_passes_through(method, register):
    error = SystemExit()
    register(Counting(method, error))
    assert caught(fail_in, method) is error


def test_two_carriers_that_fail_in_the_same_way_are_each_logged(register, caplog):
    for _ in range(2):
        register(Counting("pin", Boom()))
    ctxtrace.capture()
    assert len(warnings_of_ours(caplog)) == 2


def test_a_carrier_that_fails_in_many_threads_at_once_is_logged_once(register, caplog):
    register(Counting("pin", Boom()))
    barrier = threading.Barrier(8, timeout=LIMIT)

    def capture():
        barrier.wait()
        ctxtrace.capture()

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(capture) for _ in range(8)]:
            future.result(LIMIT)
    assert len(warnings_of_ours(caplog)) == 1


def test_a_carrier_that_fails_does_not_keep_another_from_being_asked(register, caplog):
    register(Counting("pin", Boom()))
    other = register(Counting())
    ctxtrace.capture()
    assert other.asked == ["pin"]


def test_variables_that_are_no_iterable_of_variables_stop_nothing(register, caplog):
    class Strange(Counting):
        def variables(self):
            return (42,)

    register(Strange())
    ran = []
    with ctxtrace.capture().attach(), ctxtrace.detached():
        ran.append(True)
    assert ran == [True]


def test_variables_that_fail_while_they_are_iterated_stop_nothing(register, caplog):
    class Lazy(Counting):
        def variables(self):
            yield CURRENT
            raise Boom

    register(Lazy())
    ran = []
    with ctxtrace.capture().attach(), ctxtrace.detached():
        ran.append(True)
    assert ran == [True]


def test_a_carrier_that_was_taken_off_is_not_asked():
    carrier = Counting()
    ctxtrace.register_carrier(carrier)()
    ctxtrace.capture()
    assert carrier.asked == []


def test_taking_a_carrier_off_twice_does_nothing():
    carrier = Counting()
    first, second = ctxtrace.register_carrier(carrier), ctxtrace.register_carrier(carrier)
    first()
    first()
    ctxtrace.capture()
    second()
    assert carrier.asked == ["pin"]


def test_carriers_that_are_equal_are_told_apart(register):
    class Equal(Counting):
        def __eq__(self, other):
            return True

        __hash__ = None

    first, second = Equal(), register(Equal())
    ctxtrace.register_carrier(first)()
    ctxtrace.capture()
    assert (first.asked, second.asked) == ([], ["pin"])


def test_a_carrier_need_not_be_a_subclass(register):
    class Duck:
        name = "duck"
        pinned = 0

        def pin(self):
            self.pinned += 1
            return

        def clear(self):
            pass

        def variables(self):
            return ()

    duck = register(Duck())
    ctxtrace.capture()
    assert duck.pinned == 1


def test_a_carriers_own_attributes_are_its_own(register):
    class WithAHelper(Counting):
        def _peek(self, span):
            raise AssertionError("nobody was to call this")

    carrier = register(WithAHelper())
    ctxtrace.capture()
    assert carrier.asked == ["pin"]


def test_a_carrier_that_inherits_its_pin_can_be_cleared(register):
    class OnlyClears(ctxtrace.Carrier):
        name = "only clears"

        def clear(self):
            CURRENT.set(None)

        def variables(self):
            return (CURRENT,)

    register(OnlyClears())
    token = CURRENT.set("run")
    with ctxtrace.detached():
        assert CURRENT.get() is None
    assert CURRENT.get() == "run"
    CURRENT.reset(token)


def test_carriers_may_be_registered_in_many_threads_at_once():
    carriers = [Counting() for _ in range(16)]
    with ThreadPoolExecutor(8) as pool:
        undos = list(pool.map(ctxtrace.register_carrier, carriers))
        ctxtrace.capture()
        for future in [pool.submit(undo) for undo in undos]:
            future.result(LIMIT)
    ctxtrace.capture()
    assert [carrier.asked for carrier in carriers] == [["pin"]] * 16
