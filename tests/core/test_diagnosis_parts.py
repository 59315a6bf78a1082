"""The parts of a diagnosis: whose line it is, and what the code of a run calls."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import re
import sys
import textwrap
import threading
from types import SimpleNamespace

import pytest
from core.diagnosing import diagnosing, registered
from core.support import LIMIT

from ctxtrace.diagnosis import _calls, _crossings, _source
from ctxtrace.diagnosis._source import Caller, Line, caller

# Functions of somebody's, each called `call`, that call what they are given.


def of(module, file):
    names = {"__name__": module}
    exec(compile("def call(function, *more):\n    return function(*more)\n", file, "exec"), names)
    return names["call"]


standard = of("queue", "/usr/lib/python3/queue.py")
package = of("searcher.client", "/opt/site-packages/searcher/client.py")
another = of("retrying", "/opt/site-packages/retrying.py")
group = of("anyio.abc", "/opt/site-packages/anyio/abc.py")
ours = of("ctxtrace.boundaries.threads", "/opt/site-packages/ctxtrace/boundaries/threads.py")


def see():
    return Caller.of(caller(sys._getframe(1)))


def here():
    return sys._getframe(1).f_lineno


def test_the_users_own_line_is_the_line():
    found, line = see(), here()
    assert (found.line.number, found.line.function) == (line, inspect.stack()[0].function)
    assert found.line.code.co_filename == __file__
    assert found[1:] == (None, None, None)


def test_the_line_is_the_one_that_calls_the_standard_library():
    found, line = standard(see), here()
    assert found.line.number == line
    assert (found.called, found.package, found.ours) == (standard.__code__, None, None)


def test_what_the_user_calls_is_named_and_not_what_that_calls_in_turn():
    deeper = of("threading", "/usr/lib/python3/threading.py")
    found = standard(deeper, see)
    assert found.called is standard.__code__


def test_a_package_is_named_that_the_user_calls():
    found, line = package(see), here()
    assert found.line.number == line
    assert (found.called, found.package, found.ours) == (None, "searcher", None)


def test_of_two_packages_the_one_is_named_that_the_user_calls():
    assert another(package, see).package == "retrying"


def test_the_standard_library_that_a_package_calls_is_the_packages_business():
    found = package(standard, see)
    assert (found.called, found.package) == (None, "searcher")


def test_a_function_of_ours_is_named_that_the_user_calls():
    found = ours(standard, see)
    assert (found.called, found.package, found.ours) == (standard.__code__, None, ours.__code__)


def test_a_function_of_ours_below_the_standard_library_is_not_named():
    found = standard(ours, see)
    assert (found.called, found.ours) == (standard.__code__, None)


def test_anyio_is_called_as_the_standard_library_is():
    found = group(see)
    assert (found.called, found.package) == (group.__code__, None)


def test_where_a_thread_has_no_line_of_the_users_none_is_named():
    found = []
    thread = threading.Thread(target=package, args=(lambda: found.append(see_above()),))

    def see_above():
        return Caller.of(caller(sys._getframe(2)))

    thread.start()
    thread.join(LIMIT)
    assert found == [Caller(None, threading.Thread._bootstrap.__code__, "searcher", None)]


def test_a_call_of_several_lines_is_at_the_first_one():
    found = standard(
        see,
    )
    assert found.line.number == here() - 3


def test_a_function_is_named_without_those_around_it():
    class Service:
        def answer(self):
            return see()

    def endpoint():
        return see()

    assert endpoint().line.function == "endpoint"
    name = "Service.answer" if sys.version_info >= (3, 11) else "answer"
    assert Service().answer().line.function == name


def test_before_its_first_line_a_function_is_where_it_is_defined():
    assert Line(see.__code__, -1).number == see.__code__.co_firstlineno


def test_functions_that_are_made_anew_are_not_kept(monkeypatch):
    monkeypatch.setattr(_source, "_owners", {})
    monkeypatch.setattr(_source, "_MOST_OWNERS", 5)
    for _ in range(20):
        assert of("searcher", "/opt/site-packages/searcher.py")(see).package == "searcher"
    assert len(_source._owners) <= 5


# What the code of a run calls.

SOURCE = textwrap.dedent("""\
    @traceable
    @retried(
        times=3,
    )
    def load():
        prepare()
        return in_load()

    async def follow(self):
        async with trace(
            "follow"
        ) as run:
            async for row in self.store.in_async_with():
                yield row
        await in_follow()

    def outer():
        @traceable
        def inner():
            return in_inner()
        return in_outer(inner)

    with trace("first"):
        with trace("second"):
            in_second()
        in_first()

    with trace("short"): in_short()
""")
ALL = sorted(set(re.findall(r"in_\w+", SOURCE)))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(SOURCE)
    yield str(path)
    _calls.forget_all()


def called(file, line, *, block):
    """The functions that the block, or the function, on a line calls."""
    code = SimpleNamespace(co_filename=file)
    number = next(n for n, text in enumerate(SOURCE.splitlines(), 1) if line in text)
    scene = SimpleNamespace(by_block=block, line=SimpleNamespace(code=code, number=number))
    position = None if block else (file, number)
    return {name for name in ALL if _calls.calls(scene, position, name)}


@pytest.mark.parametrize("line", ["@traceable", "@retried", "times=3", "def load"])
def test_a_decorated_function_is_known_by_each_line_before_its_body(file, line):
    assert called(file, line, block=False) == {"in_load"}


def test_what_an_async_function_calls_is_what_its_blocks_call_too(file):
    assert called(file, "async def follow", block=False) == {"in_async_with", "in_follow"}


@pytest.mark.parametrize("line", ["async with", '"follow"', ") as run"])
def test_a_block_is_known_by_each_line_of_its_head(file, line):
    assert called(file, line, block=True) == {"in_async_with"}


def test_a_function_that_begins_another_is_not_taken_for_it(file):
    assert called(file, "def outer", block=False) == {"in_inner", "in_outer"}
    assert called(file, "def inner", block=False) == {"in_inner"}


def test_a_block_that_begins_another_is_not_taken_for_it(file):
    assert called(file, '"first"', block=True) == {"in_first", "in_second"}
    assert called(file, '"second"', block=True) == {"in_second"}


def test_a_block_of_one_line_is_known(file):
    assert called(file, '"short"', block=True) == {"in_short"}


def test_a_line_that_begins_nothing_calls_nothing(file):
    assert called(file, "prepare()", block=False) == set()
    assert called(file, "in_first()", block=True) == set()


@pytest.mark.parametrize("content", [None, "def load(:\n", "\0"])
def test_without_a_source_nothing_is_called(tmp_path, content):
    path = tmp_path / "program.py"
    if content is not None:
        path.write_text(content)
    scene = SimpleNamespace(by_block=False, line=None)
    assert not _calls.calls(scene, (str(path), 1), "in_load")
    assert not _calls.calls(scene, None, "in_load")
    _calls.forget_all()


# The crossings by which code has come.


@pytest.fixture
def own():
    with registered() as tracer:
        yield tracer


def back(at):
    """The crossings that are followed back from here."""
    while isinstance(at, (_crossings.Crossing, _crossings.Taken)):
        yield at
        at = at.before


def test_what_starts_itself_anew_is_followed_back_so_far_and_no_further(own):
    lengths = []

    async def main():
        done = asyncio.Event()

        def again(left):
            lengths.append(len(list(back(_crossings.AT.get()))))
            if left:
                asyncio.get_running_loop().call_later(0, again, left - 1)
            else:
                done.set()

        with own.run("parent"):
            again(40)
        await asyncio.wait_for(done.wait(), LIMIT)

    with diagnosing():
        asyncio.run(main())
    assert len(lengths) == 41
    assert lengths[1:16] == list(range(lengths[1], lengths[1] + 15))
    assert max(lengths) == _crossings._MOST_BACK


def test_what_is_taken_stands_in_place_of_what_was_taken_before(own):
    with diagnosing(), own.run("parent"), concurrent.futures.ThreadPoolExecutor(1) as pool:
        at = pool.submit(_crossings.AT.get).result(LIMIT)
        first = _crossings.Taken(at, _crossings.START)
        second = _crossings.Taken(None, first)
        assert (first.before, second.before) == (_crossings.START, _crossings.START)
        assert (first.depth, second.depth) == (at.depth, 0)
        assert _crossings.Taken(None, at).depth == at.depth


def test_where_nobody_was_in_a_run_it_is_known_where_the_call_has_come_from_and_no_more(own):
    with diagnosing() as report, concurrent.futures.ThreadPoolExecutor(1) as pool:
        at = pool.submit(_crossings.AT.get).result(LIMIT)
    assert (at.is_light, at.thread) == (True, "MainThread")
    assert report.to_dict()["crossings"] == []


def test_the_crossing_is_gone_from_a_pools_thread_when_the_call_is_done(own):
    with diagnosing(), concurrent.futures.ThreadPoolExecutor(1) as pool:
        with own.run("parent"):
            assert pool.submit(_crossings.AT.get).result(LIMIT).kind == "ThreadPoolExecutor.submit"
        at = pool.submit(_crossings.AT.get).result(LIMIT)
    assert (at.is_light, at.before) == (True, _crossings.START)
