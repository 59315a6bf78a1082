"""install() and uninstall(): what is changed, when, and that it can be undone.

Mostly with made-up libraries, so that every state of a site can be met on every Python.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import importlib
import itertools
import logging
import multiprocessing.pool
import sys
import threading
from importlib.machinery import PathFinder

import pytest
from core.support import LIMIT, caught, in_a_subprocess, serving, user

import ctxtrace
from ctxtrace import patches
from ctxtrace.patches._patch import Place, Unexpected

MISSING = object()
_numbers = itertools.count()


def standing_there():
    """What every place that install() knows holds, in the class or module itself."""
    found = {}
    for place in patches.PLACES:
        for module in (place.module, *place.copies):
            *path, name = place.attribute.split(".")
            owner = functools.reduce(
                lambda owner, step: getattr(owner, step, None), path, sys.modules.get(module)
            )
            if owner is not None:
                found[f"{module}.{place.attribute}"] = vars(owner).get(name, MISSING)
    return found


def changed(before):
    after = standing_there()
    return sorted(name for name in before if after[name] is not before[name])


def states(installation):
    return {site.target: site.state for site in installation.sites}


def standard_sites(installation):
    names = ("thread_pools", "threads", "timers", "multiprocessing_pools")
    return [site for site in installation.sites if site.name in names]


@pytest.fixture(autouse=True)
def _nothing_stays_installed():
    yield
    patches.uninstall()


# A library that nobody else knows.


def twice(original, patch, settings):
    @functools.wraps(original)
    def replacement(*args):
        return original(*args) * 2 if patch.active else original(*args)

    return replacement


class Library:
    """A module of its own, that can be imported, and the places in it."""

    def __init__(self, folder, monkeypatch):
        self.name = f"library_{next(_numbers)}"
        self._path = folder / f"{self.name}.py"
        self._monkeypatch = monkeypatch
        self.is_written(
            """
            def number(): return 1
            def other(): return 10
            class Base:
                def number(self): return 100
            class Service(Base): pass
            """
        )
        monkeypatch.syspath_prepend(folder)
        self.has_places(("numbers", "number", twice))

    def is_written(self, code):
        import textwrap

        self._path.write_text(textwrap.dedent(code))

    def has_places(self, *places):
        made = tuple(
            Place(site, self.name, attribute, replace, **(rest[0] if rest else {}))
            for site, attribute, replace, *rest in places
        )
        self._monkeypatch.setattr(patches, "PLACES", made)
        self._monkeypatch.setattr(patches, "SITES", tuple(place.site for place in made))

    def imported(self):
        return importlib.import_module(self.name)


@pytest.fixture
def library(tmp_path, monkeypatch):
    library = Library(tmp_path, monkeypatch)
    yield library
    sys.modules.pop(library.name, None)


def the_site(installation):
    (site,) = installation.sites
    return site


def warnings_in(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "ctxtrace"]


# What is changed, and taken back.


def test_the_standard_librarys_places_are_patched():
    with ctxtrace.install() as installation:
        found = standard_sites(installation)
    assert len(found) == 10
    assert {site.state for site in found} == {"patched"}


def test_after_uninstall_every_attribute_is_identical_to_what_it_was():
    before = standing_there()
    installation = ctxtrace.install()
    patched = {site.target for site in installation.sites if site.state == "patched"}
    assert patched <= set(changed(before))
    ctxtrace.uninstall()
    assert changed(before) == []


def test_an_inherited_attribute_is_inherited_again():
    assert "start" not in vars(threading.Timer)
    with ctxtrace.install():
        assert "start" in vars(threading.Timer)
        assert "map" in vars(multiprocessing.pool.ThreadPool)
    assert "start" not in vars(threading.Timer)
    assert "map" not in vars(multiprocessing.pool.ThreadPool)


def test_the_end_of_the_with_block_takes_it_back_also_after_an_error():
    before = standing_there()
    with contextlib.suppress(ZeroDivisionError), ctxtrace.install():
        assert changed(before)
        raise ZeroDivisionError
    assert changed(before) == []


@pytest.mark.parametrize("skipped", ["thread_pools", "threads", "timers", "multiprocessing_pools"])
def test_a_site_can_be_switched_off_by_its_name(skipped):
    before = standing_there()
    with ctxtrace.install(skip=[skipped]) as installation:
        of_it = [site for site in standard_sites(installation) if site.name == skipped]
        rest = [site for site in standard_sites(installation) if site.name != skipped]
        untouched = [site.target for site in of_it if site.target not in changed(before)]
    assert {(site.state, site.detail) for site in of_it} == {("off", "skipped")}
    assert {site.state for site in rest} == {"patched"}
    assert untouched == [site.target for site in of_it]


def test_what_is_patched_keeps_its_name_and_signature():
    import inspect

    bare = inspect.signature(concurrent.futures.ThreadPoolExecutor.submit)
    with ctxtrace.install():
        submit = concurrent.futures.ThreadPoolExecutor.submit
        assert (submit.__name__, submit.__qualname__) == ("submit", "ThreadPoolExecutor.submit")
        assert inspect.signature(submit) == bare


def test_the_list_can_be_printed():
    with ctxtrace.install(skip=["timers"]) as installation:
        lines = str(installation).splitlines()
        assert len(lines) == len(installation.sites)
        assert lines[0].split()[-1] == "patched"
        assert "timers" in str(installation)
        count = sum(site.state == "patched" for site in installation.sites)
        assert f"{count} of {len(lines)} places patched" in repr(installation)
    assert {site.state for site in standard_sites(installation)} == {"off"}
    assert standard_sites(installation)[0].detail == "uninstalled"


# Twice.


def test_a_second_call_changes_nothing_and_takes_nothing_back():
    with ctxtrace.install() as first:
        once = standing_there()
        with ctxtrace.install() as second:
            assert changed(once) == []
            assert {site.detail for site in standard_sites(second)} == {"by another install()"}
        assert changed(once) == []
        assert {site.detail for site in standard_sites(first)} == {""}


def test_a_second_call_adds_what_the_first_left_out():
    with ctxtrace.install(skip=["timers"]) as first:
        once = standing_there()
        with ctxtrace.install():
            assert changed(once) == ["threading.Timer.start"]
            assert states(first)["threading.Timer.start"] == "patched"
        assert changed(once) == []


def test_the_first_to_be_taken_back_takes_its_own_and_the_second_says_so():
    before = standing_there()
    first, second = ctxtrace.install(), ctxtrace.install()
    first.uninstall()
    assert changed(before) == []
    found = {(site.state, site.detail) for site in standard_sites(second)}
    assert found == {("off", "taken back with an earlier install()")}
    second.uninstall()


def test_uninstall_takes_back_all_that_any_call_changed():
    before = standing_there()
    ctxtrace.install(skip=["threads"])
    ctxtrace.install()
    ctxtrace.uninstall()
    assert changed(before) == []


def test_to_uninstall_twice_or_without_an_install_does_nothing():
    before = standing_there()
    ctxtrace.uninstall()
    installation = ctxtrace.install()
    for _ in range(2):
        installation.uninstall()
        ctxtrace.uninstall()
    assert changed(before) == []


def test_to_uninstall_the_old_leaves_a_newer_installation_alone():
    old = ctxtrace.install()
    old.uninstall()
    with ctxtrace.install() as new:
        old.uninstall()
        assert {site.state for site in standard_sites(new)} == {"patched"}


# Bad input.


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"variables": "some"}, ValueError, "variables is 'some', and must be 'all' or 'trace'"),
        ({"variables": ["all"]}, ValueError, "and must be 'all' or 'trace'"),
        ({"skip": ["nope"]}, ValueError, "no site called 'nope'.* The sites are: thread_pools"),
        ({"skip": "threads"}, TypeError, r"skip is 'threads', and must be a list of names"),
        ({"skip": None}, TypeError, "skip is None, and must be a list of names"),
        ({"infrastructure": [1]}, TypeError, r"infrastructure is \[1\], and must be a list"),
        ({"infrastructure": "mine"}, TypeError, "infrastructure is 'mine', and must be a list"),
        ({"infrastructure": b"mine"}, TypeError, "infrastructure is b'mine', and must be a list"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_patched(arguments, kind, text):
    before = standing_there()
    with pytest.raises(kind, match=text):
        ctxtrace.install(**arguments)
    assert changed(before) == []
    assert patches._installations == []


def test_names_may_come_from_any_iterable():
    with ctxtrace.install(skip=(name for name in ["timers"])) as installation:
        assert states(installation)["threading.Timer.start"] == "off"


def test_under_gevents_threads_nothing_is_touched_and_it_is_said(monkeypatch, caplog):
    class Monkey:
        @staticmethod
        def is_module_patched(name):
            return name == "threading"

    before = standing_there()
    monkeypatch.setitem(sys.modules, "gevent.monkey", Monkey)
    with ctxtrace.install() as installation:
        assert changed(before) == []
        assert {site.state for site in installation.sites} == {"off"}
        assert "gevent has patched threading" in installation.sites[0].detail
    assert "gevent has patched threading" in "".join(warnings_in(caplog))


# Before and after the import.


def test_a_library_that_is_imported_before_is_patched(library):
    module = library.imported()
    original = module.number
    with ctxtrace.install() as installation:
        assert module.number() == 2
        assert the_site(installation).state == "patched"
    assert module.number is original


def test_a_library_that_is_imported_after_is_patched_then(library):
    with ctxtrace.install() as installation:
        site = the_site(installation)
        assert (site.state, site.detail) == ("absent", f"{library.name} is not imported")
        module = library.imported()
        assert module.number() == 2
        assert the_site(installation).state == "patched"
    assert module.number() == 1


def test_a_library_that_is_imported_after_uninstall_is_left_alone(library):
    with ctxtrace.install():
        pass
    assert library.imported().number() == 1


def test_a_library_awaited_by_an_installation_before_is_patched_for_this_one(library):
    with ctxtrace.install():
        pass
    with ctxtrace.install():
        assert library.imported().number() == 2


def test_a_library_whose_import_fails_is_patched_when_it_succeeds(library):
    library.is_written("def number(): return 1\nraise ValueError('on purpose')")
    with ctxtrace.install() as installation:
        with pytest.raises(ValueError, match="on purpose"):
            library.imported()
        assert the_site(installation).state == "absent"
        library.is_written("def number(): return 1  # and no error")
        importlib.invalidate_caches()
        assert library.imported().number() == 2


def test_a_library_whose_import_is_forbidden_is_absent(library, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, library.name, None)
    with ctxtrace.install() as installation:
        assert the_site(installation).state == "absent"
        monkeypatch.delitem(sys.modules, library.name)
        assert library.imported().number() == 2
    assert warnings_in(caplog) == []


def test_a_library_under_import_in_another_thread_is_patched_when_that_is_done(library):
    library.is_written(
        """
        import core_install_gate as gate
        gate.begun.set()
        assert gate.go.wait(20)
        def number(): return 1
        """
    )

    class Gate:
        begun, go = threading.Event(), threading.Event()

    sys.modules["core_install_gate"] = Gate
    try:
        importer = threading.Thread(target=library.imported)
        importer.start()
        assert Gate.begun.wait(LIMIT)
        made = []
        installer = threading.Thread(target=lambda: made.append(ctxtrace.install()))
        installer.start()
        Gate.go.set()
        importer.join(LIMIT)
        installer.join(LIMIT)
        assert the_site(made[0]).state == "patched"
        assert library.imported().number() == 2
    finally:
        del sys.modules["core_install_gate"]


def test_a_library_whose_import_begins_while_it_is_being_awaited_is_patched(library, monkeypatch):
    """Another thread has looked for it before our hook was there, and executes it after."""
    begun, go = threading.Event(), threading.Event()

    class Finder:
        """Stands where a slow disk would."""

        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == library.name:
                begun.set()
                assert go.wait(LIMIT)

    after_ours = sys.meta_path.index(PathFinder)
    monkeypatch.setattr(
        sys, "meta_path", [*sys.meta_path[:after_ours], Finder, *sys.meta_path[after_ours:]]
    )
    importer = threading.Thread(target=library.imported)
    importer.start()
    assert begun.wait(LIMIT)
    made = []
    installer = threading.Thread(target=lambda: made.append(ctxtrace.install()))
    installer.start()
    go.set()
    importer.join(LIMIT)
    installer.join(LIMIT)
    assert the_site(made[0]).state == "patched"


def test_an_import_that_installs_does_not_wait_for_itself(library):
    library.is_written(
        """
        def number(): return 1
        import ctxtrace
        ctxtrace.install()
        """
    )
    assert library.imported().number() == 2


@pytest.mark.parametrize(
    "first", ["import concurrent.futures.thread, multiprocessing.pool, threading", "pass"]
)
def test_the_standard_library_may_be_imported_before_or_after(first):
    done = in_a_subprocess(
        f"""
        {first}
        import ctxtrace, sys
        from contextvars import ContextVar
        number = ContextVar("number", default=0)
        installation = ctxtrace.install()
        imported = "concurrent.futures.thread" in sys.modules
        assert imported is ({first!r} != "pass"), imported
        number.set(1)
        import concurrent.futures, multiprocessing.pool
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            assert pool.submit(number.get).result() == 1
        with multiprocessing.pool.ThreadPool(1) as pool:
            assert pool.apply(number.get) == 1
        installation.uninstall()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            assert pool.submit(number.get).result() == 0
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


# Places that are not as expected.


def refuses(original, patch, settings):
    raise Unexpected("it has another shape")


def crashes(original, patch, settings):
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("attribute", "replace", "detail"),
    [
        ("gone", twice, "has no gone"),
        ("Gone.number", twice, "has no Gone.number"),
        ("number", refuses, "it has another shape"),
        ("number", crashes, "ZeroDivisionError while patching it"),
    ],
)
@pytest.mark.parametrize("imported", ["before", "after"])
def test_a_place_that_is_not_as_expected_is_left_alone_and_named(
    attribute, replace, detail, imported, library, caplog
):
    library.has_places(("numbers", attribute, replace), ("others", "other", twice))
    if imported == "before":
        library.imported()
    with ctxtrace.install() as installation:
        module = library.imported()
        site, other = installation.sites
        assert (site.state, other.state) == ("unknown version", "patched")
        assert detail in site.detail
        assert (module.number(), module.other()) == (1, 20)
    (line,) = warnings_in(caplog)
    assert site.target in line


def test_a_place_that_cannot_be_set_is_left_as_it_was(library, caplog):
    library.is_written(
        """
        class Fixed(type):
            def __setattr__(self, name, value): raise AttributeError("it is " + "fixed")
        class Service(metaclass=Fixed):
            def number(self): return 1
        """
    )
    library.has_places(("numbers", "Service.number", twice))
    module = library.imported()
    with ctxtrace.install() as installation:
        assert the_site(installation).detail == "AttributeError while patching it"
        assert module.Service().number() == 1
    (line,) = warnings_in(caplog)
    assert the_site(installation).target in line
    assert "it is fixed" not in line


def test_a_site_that_is_not_needed_says_why(library):
    library.has_places(
        ("numbers", "number", twice, {"needless": "this Python counts by itself"}),
        ("others", "other", twice, {"needless_in": lambda module: f"not in {module.__name__}"}),
    )
    module = library.imported()
    with ctxtrace.install() as installation:
        found = [(site.state, site.detail) for site in installation.sites]
        assert (module.number(), module.other()) == (1, 10)
    assert found == [
        ("not needed", "this Python counts by itself"),
        ("not needed", f"not in {library.name}"),
    ]


# Copies: modules that took it by name.


@pytest.fixture
def copy(library, tmp_path):
    name = f"{library.name}_copy"
    (tmp_path / f"{name}.py").write_text(f"from {library.name} import number")
    library.has_places(("numbers", "number", twice, {"copies": (name, "never_imported")}))
    yield importlib.import_module(name)
    del sys.modules[name]


def test_who_took_it_by_name_before_gets_the_new_one_too(library, copy):
    original = copy.number
    with ctxtrace.install():
        assert copy.number() == 2
    assert copy.number is original
    assert library.imported().number is original


def test_who_took_something_else_under_that_name_keeps_it(copy):
    copy.number = lambda: 7
    with ctxtrace.install():
        assert copy.number() == 7
    assert copy.number() == 7


def test_who_takes_it_by_name_afterwards_gets_a_pass_through_at_the_end(library):
    module = library.imported()
    with ctxtrace.install():
        taken = module.number
        assert taken() == 2
    assert taken() == 1


# Somebody else changes the same thing.


def plus_one(inner):
    return lambda *args: inner(*args) + 1


def test_what_somebody_put_on_top_stays_and_ours_beneath_it_does_nothing(library, caplog):
    module = library.imported()
    with ctxtrace.install():
        module.number = theirs = plus_one(module.number)
        assert module.number() == 3
    assert module.number is theirs
    assert module.number() == 2
    (line,) = warnings_in(caplog)
    assert f"{library.name}.number was changed again" in line


def test_what_somebody_put_on_top_of_what_was_inherited_stays(library, caplog):
    library.has_places(("numbers", "Service.number", twice))
    module = library.imported()
    with ctxtrace.install():
        module.Service.number = theirs = plus_one(module.Service.number)
        assert module.Service().number() == 201
    assert vars(module.Service)["number"] is theirs
    assert module.Service().number() == 101
    assert "Service.number was changed again" in warnings_in(caplog)[0]


def test_what_somebody_put_on_top_and_took_off_again_leaves_nothing_of_ours(library, caplog):
    module = library.imported()
    original = module.number
    with ctxtrace.install():
        ours = module.number
        module.number = plus_one(ours)
        module.number = ours
    assert module.number is original
    assert warnings_in(caplog) == []


def test_to_install_again_on_top_of_somebody_else_counts_once(library):
    module = library.imported()
    with ctxtrace.install():
        module.number = theirs = plus_one(module.number)
    for _ in range(3):
        with ctxtrace.install():
            assert module.number() == (1 + 1) * 2
        assert module.number is theirs


def test_what_somebody_put_beneath_before_is_put_back(library):
    module = library.imported()
    module.number = theirs = plus_one(module.number)
    with ctxtrace.install():
        assert module.number() == 4
    assert module.number is theirs


@pytest.fixture
def covering():
    """A monkeypatch that covers ours on timers; what it puts back, they had inherited."""
    with pytest.MonkeyPatch.context() as covering:
        yield covering
    del threading.Timer.start


def test_a_covered_timer_passes_through_and_the_next_cycle_works(covering, caplog):
    with ctxtrace.install():
        ours = threading.Timer.start
        covering.setattr(threading.Timer, "start", lambda timer: ours(timer))
    assert "Timer.start was changed again" in warnings_in(caplog)[0]
    seen = []
    for _ in range(2):
        with serving("ada"):
            start_and_join(threading.Timer(0, lambda: seen.append(user())))
            with ctxtrace.install():
                start_and_join(threading.Timer(0, lambda: seen.append(user())))
    assert seen == ["nobody", "ada"] * 2


def test_what_somebody_put_on_timers_before_is_called_too(monkeypatch):
    started, seen = [], []

    def theirs(timer):
        started.append(timer)
        threading.Thread.start(timer)

    monkeypatch.setattr(threading.Timer, "start", theirs)
    with ctxtrace.install(), serving("ada"):
        ours = threading.Timer.start
        start_and_join(threading.Timer(0, lambda: seen.append(user())))
    assert vars(threading.Timer)["start"] is theirs
    ours(last := threading.Timer(0, user))
    last.join(LIMIT)
    assert (len(started), seen) == (2, ["ada"])


def start_and_join(thread):
    thread.start()
    thread.join(LIMIT)


# Logging happens without our lock: a handler may hold a lock that somebody needs who waits.


@pytest.mark.parametrize("place", [("numbers", "gone", twice), ("numbers", "number", crashes)])
def test_a_place_left_alone_is_logged_while_nobody_waits_for_it(place, library):
    library.has_places(place)
    library.imported()
    with a_handler_that_uninstalls_in_another_thread() as done, ctxtrace.install():
        pass
    assert done == [True]


def test_a_place_that_is_covered_is_logged_while_nobody_waits_for_it(library):
    module = library.imported()
    with a_handler_that_uninstalls_in_another_thread() as done:
        with ctxtrace.install():
            module.number = plus_one(module.number)
        with ctxtrace.install():
            module.number = plus_one(module.number)
            ctxtrace.uninstall()
    assert done == [True, True]


@contextlib.contextmanager
def a_handler_that_uninstalls_in_another_thread():
    done = []

    class Handler(logging.Handler):
        def emit(self, record):
            thread = threading.Thread(target=ctxtrace.uninstall, daemon=True)
            thread.start()
            thread.join(5)
            done.append(not thread.is_alive())

    handler = Handler()
    logger = logging.getLogger("ctxtrace")
    logger.addHandler(handler)
    try:
        yield done
    finally:
        logger.removeHandler(handler)


# Work in flight.


def test_a_call_that_waits_in_a_pool_at_uninstall_still_carries():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        gate = threading.Event()
        with ctxtrace.install(), serving("ada"):
            pool.submit(gate.wait, LIMIT)
            waiting = pool.submit(user)
            mapped = pool.map(user, range(2))
        after = pool.submit(user)
        gate.set()
        assert (waiting.result(LIMIT), list(mapped)) == ("ada", ["ada"] * 2)
        assert after.result(LIMIT) == "nobody"


def test_a_call_that_waits_in_a_pool_at_install_does_not_carry():
    with concurrent.futures.ThreadPoolExecutor(1) as pool, serving("ada"):
        gate = threading.Event()
        pool.submit(gate.wait, LIMIT)
        waiting = pool.submit(user)
        with ctxtrace.install():
            gate.set()
            assert waiting.result(LIMIT) == "nobody"


def test_a_timer_that_was_started_before_uninstall_still_carries():
    seen = []
    with ctxtrace.install(), serving("ada"):
        timer = threading.Timer(LIMIT, lambda: seen.append(user()))
        timer.start()
    timer.finished.wait = lambda _: None  # what it waits for next; it may be waiting already
    timer.interval = 0
    release(timer)
    timer.join(LIMIT)
    assert seen == ["ada"]


def release(timer):
    # It waits for `finished`, and calls its function unless that is set afterwards.
    finished = timer.finished
    timer.finished = threading.Event()
    finished.set()


def test_calls_of_a_thread_pool_that_wait_at_uninstall_still_carry():
    with multiprocessing.pool.ThreadPool(1) as pool:
        gate = threading.Event()
        with ctxtrace.install(), serving("ada"):
            pool.apply_async(gate.wait, (LIMIT,))
            waiting = pool.apply_async(user)
            mapped = pool.map_async(user, range(2))
        gate.set()
        assert (waiting.get(LIMIT), mapped.get(LIMIT)) == ("ada", ["ada"] * 2)


# From many threads.


def test_many_may_install_and_uninstall_while_others_work():
    before = standing_there()
    start, stop = threading.Barrier(7, timeout=LIMIT), threading.Event()
    errors = []

    def guarded(work):
        def run():
            try:
                start.wait()
                work()
            except BaseException as error:
                errors.append(error)

        return run

    def installs():
        for _ in range(60):
            with ctxtrace.install(skip=["timers"]) as installation:
                str(installation)

    def takes_all_back():
        for _ in range(60):
            ctxtrace.install()
            ctxtrace.uninstall()

    def submits():
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            while not stop.is_set():
                with serving("ada"):
                    assert pool.submit(user).result(LIMIT) in ("ada", "nobody")

    def starts():
        while not stop.is_set():
            start_and_join(threading.Thread(target=user))
            start_and_join(threading.Timer(0, user))

    workers = [threading.Thread(target=guarded(work)) for work in (submits, starts, starts)]
    changers = [
        threading.Thread(target=guarded(work)) for work in (installs, installs, takes_all_back)
    ]
    for thread in (*workers, *changers):
        thread.start()
    start.wait()
    for thread in changers:
        thread.join(LIMIT)
    stop.set()
    for thread in workers:
        thread.join(LIMIT)
    assert errors == []
    assert changed(before) == []


def test_many_may_import_while_others_install(library):
    start = threading.Barrier(4, timeout=LIMIT)
    made = []

    def installs():
        start.wait()
        made.append(ctxtrace.install())

    def imports():
        start.wait()
        library.imported()

    threads = [threading.Thread(target=each) for each in (installs, imports, installs)]
    for thread in threads:
        thread.start()
    start.wait()
    for thread in threads:
        thread.join(LIMIT)
    assert [the_site(each).state for each in made] == ["patched", "patched"]
    assert library.imported().number() == 2
    ctxtrace.uninstall()
    assert library.imported().number() == 1


# Loops.


def test_the_executor_of_a_loop_carries_while_installed(ada):
    async def main():
        return await asyncio.get_running_loop().run_in_executor(None, user)

    assert asyncio.run(main()) == "nobody"
    with ctxtrace.install():
        assert asyncio.run(main()) == "ada"
    assert asyncio.run(main()) == "nobody"


def test_an_error_of_a_bad_call_is_the_standard_one():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        bare = caught(pool.submit)
        with ctxtrace.install():
            ours = caught(pool.submit)
    assert type(ours) is type(bare)
    assert "submit" in str(ours)
