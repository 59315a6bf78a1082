"""Thread and Timer: each runs in the context of whoever started it."""

from __future__ import annotations

import contextvars
import inspect
import sys
import threading

import pytest
from core.support import (
    LIMIT,
    USER,
    Boom,
    caught,
    fail,
    files_of_ours,
    frames,
    in_a_subprocess,
    serving,
    user,
)

import ctxtrace

both = pytest.mark.parametrize(
    "make", [threading.Thread, ctxtrace.Thread], ids=["standard", "ours"]
)
both_timers = pytest.mark.parametrize(
    "make", [threading.Timer, ctxtrace.Timer], ids=["standard", "ours"]
)


def seen_in(make, *arguments, **keywords):
    """Whom a thread or timer sees that is started here."""
    seen = []
    thread = make(*arguments, **keywords, **target_of(make, lambda: seen.append(user())))
    thread.start()
    thread.join(LIMIT)
    return seen[0]


def target_of(make, function):
    return {"function" if issubclass(make, threading.Timer) else "target": function}


def test_control_a_standard_thread_does_not_see_its_starters_variable(ada):
    assert seen_in(threading.Thread) == "nobody"


def test_a_thread_sees_its_starters_variable(ada):
    assert seen_in(ctxtrace.Thread) == "ada"


def test_control_a_standard_timer_does_not_see_its_starters_variable(ada):
    assert seen_in(threading.Timer, 0) == "nobody"


def test_a_timer_sees_its_starters_variable(ada):
    assert seen_in(ctxtrace.Timer, 0) == "ada"


@pytest.mark.parametrize(
    ("make", "arguments"), [(ctxtrace.Thread, ()), (ctxtrace.Timer, (0,))], ids=["Thread", "Timer"]
)
def test_the_context_is_that_of_the_start_and_not_of_the_making(make, arguments):
    seen = []
    with serving("grace"):
        thread = make(*arguments, **target_of(make, lambda: seen.append(user())))
    with serving("ada"):
        thread.start()
    thread.join(LIMIT)
    assert seen == ["ada"]


def test_what_the_starter_sets_after_the_start_is_not_seen():
    seen, go = [], threading.Event()

    def target():
        assert go.wait(LIMIT)
        seen.append(user())

    thread = ctxtrace.Thread(target=target)
    with serving("ada"):
        thread.start()
    go.set()
    thread.join(LIMIT)
    assert seen == ["ada"]


def test_what_a_thread_sets_is_not_seen_by_its_starter(ada):
    thread = ctxtrace.Thread(target=USER.set, args=("mary",))
    thread.start()
    thread.join(LIMIT)
    assert user() == "ada"


def test_a_run_overridden_in_a_subclass_runs_in_the_context(ada):
    class Worker(ctxtrace.Thread):
        def run(self):
            self.seen = user()

    worker = Worker()
    worker.start()
    worker.join(LIMIT)
    assert worker.seen == "ada"


def test_a_run_that_calls_the_overridden_one_runs_in_the_context(ada):
    class Worker(ctxtrace.Thread):
        def run(self):
            self.before = user()
            super().run()

    seen = []
    worker = Worker(target=lambda: seen.append(user()))
    worker.start()
    worker.join(LIMIT)
    assert (worker.before, seen) == ("ada", ["ada"])


def test_a_run_assigned_on_the_instance_runs_in_the_context_and_stays(ada):
    seen = []
    thread = ctxtrace.Thread()
    assigned = thread.run = lambda: seen.append(user())
    thread.start()
    thread.join(LIMIT)
    assert (seen, thread.run) == (["ada"], assigned)


def test_a_subclass_of_a_timer_that_overrides_run_runs_in_the_context(ada):
    class Repeating(ctxtrace.Timer):
        def run(self):
            for _ in range(2):
                self.finished.wait(self.interval)
                self.function()

    seen = []
    timer = Repeating(0, lambda: seen.append(user()))
    timer.start()
    timer.join(LIMIT)
    assert seen == ["ada", "ada"]


def test_a_class_with_a_standard_thread_among_its_bases_runs_in_the_context(ada):
    class Theirs(threading.Thread):
        def run(self):
            self.seen = user()

    class Mixed(ctxtrace.Thread, Theirs):
        pass

    thread = Mixed()
    thread.start()
    thread.join(LIMIT)
    assert thread.seen == "ada"


@both
def test_arguments_reach_the_target(make):
    given = []
    thread = make(None, lambda *a, **k: given.append((a, k)), "name", (1,), {"self": 2})
    thread.start()
    thread.join(LIMIT)
    assert given == [((1,), {"self": 2})]


def test_the_context_can_be_used_for_a_thread_started_in_an_empty_context(ada):
    assert contextvars.Context().run(seen_in, ctxtrace.Thread) == "nobody"


@pytest.mark.parametrize("name", ["Thread", "Timer"])
def test_the_signature_of_the_class_is_the_standard_one(name):
    standard, ours = getattr(threading, name), getattr(ctxtrace, name)
    assert inspect.signature(ours) == inspect.signature(standard)


@pytest.mark.parametrize("name", ["Thread", "Timer"])
def test_it_is_a_subclass_of_the_standard_class(name):
    assert issubclass(getattr(ctxtrace, name), getattr(threading, name))


@both
def test_a_thread_is_named_as_the_standard_one(make):
    def target():
        pass

    name = make(target=target).name
    assert name.startswith("Thread-")
    assert name.endswith(" (target)") is (sys.version_info >= (3, 10))


@both
def test_the_repr_of_a_finished_thread_is_the_standard_one(make):
    thread = make(target=user, name="mine", daemon=True)
    thread.start()
    thread.join(LIMIT)
    assert repr(thread) == f"<Thread(mine, stopped daemon {thread.ident})>"


@both
def test_a_thread_inside_itself_is_the_current_one(make):
    seen = []
    thread = make(target=lambda: seen.append(threading.current_thread()))
    thread.start()
    thread.join(LIMIT)
    assert seen == [thread]


@both
def test_a_second_start_is_refused_with_the_standard_text(make):
    thread = make()
    thread.start()
    thread.join(LIMIT)
    with pytest.raises(RuntimeError, match=r"^threads can only be started once$"):
        thread.start()


@both
def test_a_second_start_while_the_thread_runs_is_refused_and_disturbs_nothing(make):
    go, done = threading.Event(), []

    def target():
        assert go.wait(LIMIT)
        done.append(True)

    thread = make(target=target)
    thread.start()
    with pytest.raises(RuntimeError, match=r"^threads can only be started once$"):
        thread.start()
    go.set()
    thread.join(LIMIT)
    assert done == [True]


@both
def test_a_start_without_init_is_refused_with_the_standard_text(make):
    class Forgetful(make):
        def __init__(self):
            pass

    with pytest.raises(RuntimeError, match=r"^thread.__init__\(\) not called$"):
        Forgetful().start()


@pytest.fixture
def no_more_threads(monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("can't start new thread")

    name = "_start_joinable_thread" if sys.version_info >= (3, 13) else "_start_new_thread"
    monkeypatch.setattr(threading, name, refuse)
    return monkeypatch


@both
def test_a_start_that_fails_raises_the_standard_error_and_leaves_nothing(make, no_more_threads):
    thread = make(target=user)
    before = dict(vars(thread))
    with pytest.raises(RuntimeError, match=r"^can't start new thread$"):
        thread.start()
    assert vars(thread) == before


def test_a_start_that_fails_leaves_a_run_assigned_on_the_instance(no_more_threads):
    thread = ctxtrace.Thread()
    assigned = thread.run = lambda: None
    caught(thread.start)
    assert thread.run is assigned


if sys.version_info < (3, 13):

    def test_a_thread_whose_start_failed_can_be_started_again(no_more_threads, ada):
        seen = []
        thread = ctxtrace.Thread(target=lambda: seen.append(user()))
        caught(thread.start)
        no_more_threads.undo()
        thread.start()
        thread.join(LIMIT)
        assert seen == ["ada"]


@both
def test_a_finished_thread_has_no_attributes_but_the_standard_ones(make):
    thread = make(target=user)
    thread.start()
    thread.join(LIMIT)
    ours = set(vars(thread)) - set(vars(threading.Thread()))
    assert ours <= {"_has_own_context"}
    assert "run" not in vars(thread)


@both
def test_run_called_directly_runs_here(make, ada):
    seen = []
    make(target=lambda: seen.append((user(), threading.current_thread()))).run()
    assert seen == [("ada", threading.current_thread())]


def reported(make, monkeypatch, function=fail):
    """What threading.excepthook is given for a thread that fails."""
    reports = []
    monkeypatch.setattr(
        threading, "excepthook", lambda report: reports.append((report.thread, report.exc_value))
    )
    thread = make(target=function)
    thread.start()
    thread.join(LIMIT)
    ((reporting, error),) = reports
    assert reporting is thread
    return error


@both
def test_the_error_of_a_thread_is_given_to_the_excepthook(make, monkeypatch):
    assert isinstance(reported(make, monkeypatch), Boom)


if sys.version_info >= (3, 11):

    def test_the_traceback_of_a_thread_that_fails_is_the_standard_one(monkeypatch):
        ours = reported(ctxtrace.Thread, monkeypatch)
        standard = reported(threading.Thread, monkeypatch)
        assert files_of_ours(ours) == []
        assert frames(ours) == frames(standard)

else:

    def test_the_traceback_of_a_thread_that_fails_ends_like_the_standard_one(monkeypatch):
        error = reported(ctxtrace.Thread, monkeypatch)
        assert frames(error)[-2:] == ["run", "fail"]


@both
def test_a_thread_that_exits_is_not_reported(make):
    ran = in_a_subprocess(f"""
        import sys
        from {make.__module__} import Thread
        Thread(target=sys.exit).start()
    """)
    assert (ran.stderr, ran.returncode) == ("", 0)


# Timers.


@both_timers
def test_a_cancelled_timer_calls_nothing(make):
    called = []
    timer = make(LIMIT, called.append, (1,))
    timer.start()
    timer.cancel()
    timer.join(LIMIT)
    assert called == []


@both_timers
def test_a_timer_cancelled_before_its_start_calls_nothing(make):
    called = []
    timer = make(0, called.append, (1,))
    timer.cancel()
    timer.start()
    timer.join(LIMIT)
    assert called == []


@both_timers
def test_a_timer_passes_on_its_arguments(make):
    called = []
    timer = make(0, lambda *a, **k: called.append((a, k)), [1], {"key": 2})
    timer.start()
    timer.join(LIMIT)
    assert called == [((1,), {"key": 2})]


@both_timers
def test_a_second_start_of_a_timer_is_refused_with_the_standard_text(make):
    timer = make(0, user)
    timer.start()
    timer.join(LIMIT)
    with pytest.raises(RuntimeError, match=r"^threads can only be started once$"):
        timer.start()


def test_a_timer_started_by_a_timer_sees_the_first_ones_starters_variable(ada):
    seen, done = [], threading.Event()

    def last():
        seen.append(user())
        done.set()

    def first():
        second = ctxtrace.Timer(0, last)
        second.start()
        second.join(LIMIT)

    timer = ctxtrace.Timer(0, first)
    timer.start()
    timer.join(LIMIT)
    assert done.is_set()
    assert seen == ["ada"]
