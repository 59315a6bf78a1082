"""Boundaries nested at random end in one tree, with each child under its caller."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from chance import examples
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from vendors.crossings import LIMIT
from vendors.tracers import LangSmith, OpenTelemetry, OwnVariable

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Work = Callable[[], None]

DEPTH = 6


class Call(NamedTuple):
    """One node: how it is reached from its caller, and whom it calls."""

    boundary: int
    children: list[Call]


def calls(depth: int) -> st.SearchStrategy[Call]:
    children = (
        st.just([]) if depth == 1 else st.lists(st.deferred(lambda: calls(depth - 1)), max_size=2)
    )
    return st.builds(Call, st.integers(0, 100), children)


def chains() -> st.SearchStrategy[Call]:
    """Trees that always reach the full depth."""
    leaf = st.builds(Call, st.integers(0, 100), st.just([]))
    chain = leaf
    for _ in range(DEPTH - 1):
        chain = st.builds(
            lambda boundary, deep, more: Call(boundary, [deep, *more]),
            st.integers(0, 100),
            chain,
            st.lists(leaf, max_size=1),
        )
    return chain


# From a thread without a loop.


def in_a_pool(work: Work) -> None:
    with ctxtrace.ThreadPoolExecutor(1) as pool:
        pool.submit(work).result(LIMIT)


def in_a_map(work: Work) -> None:
    with ctxtrace.ThreadPoolExecutor(1) as pool:
        list(pool.map(lambda _: work(), [None]))


def in_a_wrapped_executor(work: Work) -> None:
    with ctxtrace.wrap_executor(concurrent.futures.ThreadPoolExecutor(1)) as pool:
        pool.submit(work).result(LIMIT)


def in_a_callback(work: Work) -> None:
    with ctxtrace.ThreadPoolExecutor(1) as pool:
        pool.submit(int).add_done_callback(lambda _: work())


def in_a_thread(work: Work) -> None:
    thread = ctxtrace.Thread(target=work)
    thread.start()
    thread.join(LIMIT)


def in_a_timer(work: Work) -> None:
    timer = ctxtrace.Timer(0, work)
    timer.start()
    timer.join(LIMIT)


def in_a_snapshot(work: Work) -> None:
    ctxtrace.capture().run(work)


def in_a_wrapped_generator(work: Work) -> None:
    def generator() -> Any:
        yield 1
        work()

    assert list(ctxtrace.wrap(generator)()) == [1]


THREADED = [
    in_a_pool,
    in_a_map,
    in_a_wrapped_executor,
    in_a_callback,
    in_a_thread,
    in_a_timer,
    in_a_snapshot,
    in_a_wrapped_generator,
]


# From a loop.


async def in_a_task(work: Callable[[], Awaitable[None]]) -> None:
    await ctxtrace.create_task(work())


async def in_a_gathering(work: Callable[[], Awaitable[None]]) -> None:
    await ctxtrace.gather(work())


async def in_a_group(work: Callable[[], Awaitable[None]]) -> None:
    async with ctxtrace.TaskGroup() as group:
        group.create_task(work())


async def in_a_driven_coroutine(work: Callable[[], Awaitable[None]]) -> None:
    await asyncio.create_task(ctxtrace.capture().drive(work()))


async def in_a_wrapped_async_generator(work: Callable[[], Awaitable[None]]) -> None:
    async def generator() -> Any:
        yield 1
        await work()

    assert [item async for item in ctxtrace.wrap(generator)()] == [1]


IN_A_LOOP: list[Any] = [
    in_a_task,
    in_a_gathering,
    in_a_group,
    in_a_driven_coroutine,
    in_a_wrapped_async_generator,
]


class Program:
    """Makes the calls, each in a run of its own, named by its place in the tree."""

    def __init__(self, tracer: Any) -> None:
        self.tracer = tracer

    def in_a_thread(self, call: Call, name: str) -> None:
        with self.tracer.open(name):
            for i, child in enumerate(call.children):
                where = f"{name}.{i}"
                # One more than there are: a loop of its own.
                kind = child.boundary % (len(THREADED) + 1)
                if kind == len(THREADED):
                    asyncio.run(self.in_a_loop(child, where))
                else:
                    THREADED[kind](lambda child=child, where=where: self.in_a_thread(child, where))

    async def in_a_loop(self, call: Call, name: str) -> None:
        with self.tracer.open(name):
            for i, child in enumerate(call.children):
                where = f"{name}.{i}"
                kind = child.boundary % (len(IN_A_LOOP) + 2)
                if kind == len(IN_A_LOOP):
                    await ctxtrace.to_thread(self.in_a_thread, child, where)
                elif kind == len(IN_A_LOOP) + 1:
                    await ctxtrace.run_in_executor(None, self.in_a_thread, child, where)
                else:
                    await IN_A_LOOP[kind](
                        lambda child=child, where=where: self.in_a_loop(child, where)
                    )


def expected(call: Call, name: str) -> Any:
    return (name, [expected(child, f"{name}.{i}") for i, child in enumerate(call.children)])


@pytest.mark.parametrize(
    "tracer", [LangSmith, OpenTelemetry, OwnVariable], ids=lambda kind: kind.__name__
)
@examples(40, suppress_health_check=list(HealthCheck))
@given(root=calls(DEPTH) | chains(), in_a_loop=st.booleans())
def test_every_child_is_under_its_caller(tracer: Any, root: Call, in_a_loop: bool) -> None:
    used = tracer()
    with used.recording():
        program = Program(used)
        if in_a_loop:
            asyncio.run(program.in_a_loop(root, "0"))
        else:
            program.in_a_thread(root, "0")
    assert used.shape() == [expected(root, "0")]
