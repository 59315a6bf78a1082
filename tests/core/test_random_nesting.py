"""Random trees of boundaries: each child sits under its caller, every time."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
from contextvars import ContextVar
from typing import NamedTuple

from chance import examples
from core.support import LIMIT
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st

import ctxtrace

PATH: ContextVar[tuple[int, ...]] = ContextVar("path", default=())

DEPTH = 6


class Node(NamedTuple):
    boundary: str  # how this node is started by its parent
    children: tuple[Node, ...]


# From functions. Each starts the work and returns when it is done.


def submit(work):
    with ctxtrace.ThreadPoolExecutor(1) as pool:
        pool.submit(work).result(LIMIT)


def map_(work):
    with ctxtrace.ThreadPoolExecutor(1) as pool:
        list(pool.map(lambda _: work(), [0]))


def map_with_buffersize(work):
    with ctxtrace.ThreadPoolExecutor(1) as pool:
        list(pool.map(lambda _: work(), [0], buffersize=1))


def done_callback(work):
    with ctxtrace.ThreadPoolExecutor(1) as pool:
        pool.submit(int).add_done_callback(lambda _: work())


def _started(thread):
    thread.start()
    thread.join(LIMIT)


def thread(work):
    _started(ctxtrace.Thread(target=work))


def timer(work):
    _started(ctxtrace.Timer(0, work))


def run(work):
    ctxtrace.capture().run(work)


def wrap_in_an_empty_context(work):
    contextvars.Context().run(ctxtrace.wrap(work))


def generator(work):
    def steps():
        yield
        work()

    stepped = ctxtrace.wrap(steps)()
    contextvars.Context().run(list, stepped)


def attach_in_an_empty_context(work):
    snapshot = ctxtrace.capture()

    def attached():
        with snapshot.attach():
            work()

    contextvars.Context().run(attached)


# From coroutines. Each is given the work as a coroutine function.


async def create_task(work):
    await ctxtrace.create_task(work())


async def create_task_with_context(work):
    await ctxtrace.create_task(work(), context=contextvars.copy_context())


async def gather(work):
    await ctxtrace.gather(work(), asyncio.sleep(0))


async def task_group(work):
    async with ctxtrace.TaskGroup() as group:
        group.create_task(work())


async def drive(work):
    await ctxtrace.capture().drive(work())


async def drive_in_a_task_of_an_empty_context(work):
    driven = ctxtrace.wrap(work)()
    await ctxtrace.create_task(driven, context=contextvars.Context())


async def async_generator(work):
    async def steps():
        await asyncio.sleep(0)
        yield
        await work()

    async for _ in ctxtrace.wrap(steps)():
        pass


# From coroutines into threads: the work goes on there as a function.


async def to_thread(work):
    await ctxtrace.to_thread(work)


async def run_in_executor(work):
    await ctxtrace.run_in_executor(None, work)


async def run_in_our_pool(work):
    with ctxtrace.ThreadPoolExecutor(1) as pool:
        await ctxtrace.run_in_executor(pool, work)


async def in_a_foreign_pool(work):
    with ctxtrace.wrap_executor(concurrent.futures.ThreadPoolExecutor(1)) as pool:
        await asyncio.wrap_future(pool.submit(work))


def _named(*functions):
    return {function.__name__: function for function in functions}


FROM_FUNCTIONS = _named(
    submit,
    map_,
    map_with_buffersize,
    done_callback,
    thread,
    timer,
    run,
    wrap_in_an_empty_context,
    generator,
    attach_in_an_empty_context,
)
FROM_COROUTINES = _named(
    create_task,
    create_task_with_context,
    gather,
    task_group,
    drive,
    drive_in_a_task_of_an_empty_context,
    async_generator,
)
INTO_THREADS = _named(to_thread, run_in_executor, run_in_our_pool, in_a_foreign_pool)


class Program:
    """Runs a tree; notes for each node where it found itself, and where it should have."""

    def __init__(self):
        self.found = []
        self.expected = []
        self._next = iter(range(1_000_000)).__next__

    def _enter(self, parent):
        number = self._next()
        self.expected.append((*parent, number))
        self.found.append((*PATH.get(), number))
        return (*parent, number)

    def work(self, node, parent):
        """Do a node's work in a function; `parent` is what its path should be."""
        path = self._enter(parent)
        token = PATH.set(path)
        for child in node.children:
            if child.boundary in FROM_FUNCTIONS:
                self._from_function(child, path)
            elif in_a_loop():
                thread(lambda child=child: asyncio.run(self._from_coroutine(child, path)))
            else:
                asyncio.run(self._from_coroutine(child, path))
        PATH.reset(token)

    async def work_in_coroutine(self, node, parent):
        path = self._enter(parent)
        token = PATH.set(path)
        await ctxtrace.gather(*(self._from_coroutine(child, path) for child in node.children))
        PATH.reset(token)

    def _from_function(self, child, path):
        FROM_FUNCTIONS[child.boundary](lambda: self.work(child, path))

    async def _from_coroutine(self, child, path):
        async def work():
            await self.work_in_coroutine(child, path)

        if child.boundary in FROM_FUNCTIONS:
            self._from_function(child, path)
        elif child.boundary in INTO_THREADS:
            await INTO_THREADS[child.boundary](lambda: self.work(child, path))
        else:
            await FROM_COROUTINES[child.boundary](work)


def in_a_loop():
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


boundaries = st.sampled_from([*FROM_FUNCTIONS, *FROM_COROUTINES, *INTO_THREADS])


def nodes(depth):
    children = st.lists(nodes(depth - 1), max_size=2) if depth > 1 else st.just([])
    return st.builds(Node, boundaries, children.map(tuple))


def chain(names):
    children = ()
    for name in reversed(names):
        children = (Node(name, children),)
    return Node("run", children)


@examples(
    60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.builds(Node, st.just("run"), st.lists(nodes(DEPTH), max_size=2).map(tuple)))
@example(chain([*FROM_FUNCTIONS]))
@example(chain([*FROM_COROUTINES]))
@example(chain([*INTO_THREADS]))
def test_each_child_sits_under_its_caller_however_boundaries_are_nested(tree):
    program = Program()
    program.work(tree, ())
    assert sorted(program.found) == sorted(program.expected)
    assert len(program.found) == count(tree)


def count(node):
    return 1 + sum(map(count, node.children))
