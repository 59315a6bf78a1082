"""Random programs of groups, errors and cancellations end alike with anyio's group and ours."""

from __future__ import annotations

import contextlib
import sys

import anyio
import anyio.lowlevel
import trio._core._run
from backends.support import described
from chance import examples
from core.support import Boom
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

import ctxtrace

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup  # noqa: F401 - what described() looks for

# A program is a list of steps; some hold programs of their own.

leaves = st.sampled_from([("checkpoint",), ("checkpoint",), ("wait",), ("fail",), ("cancel",)])


def groups_of(programs):
    children = st.lists(st.tuples(st.sampled_from(["start_soon", "start"]), programs), max_size=3)
    return st.tuples(st.just("group"), children, programs)


def larger(programs):
    blocks = st.tuples(st.sampled_from(["shield", "scope", "finally"]), programs)
    return st.lists(st.one_of(leaves, blocks, groups_of(programs)), max_size=4)


programs = st.recursive(st.lists(leaves, max_size=4), larger, max_leaves=12)


class Interpreter:
    """Runs a program, and notes for each of its places what happened there."""

    def __init__(self, make):
        self.make = make
        self.log = []

    async def run(self, place, program, group):
        for number, (kind, *rest) in enumerate(program):
            here = f"{place}.{number}"
            self.log.append((here, kind))
            try:
                await getattr(self, kind)(here, group, *rest)
            except BaseException as error:
                self.log.append((here, described(error)))
                raise
        self.log.append((place, "end"))

    async def checkpoint(self, here, group):
        await anyio.lowlevel.checkpoint()

    async def wait(self, here, group):
        with anyio.move_on_after(0):
            await anyio.sleep_forever()

    async def fail(self, here, group):
        raise Boom(here)

    async def cancel(self, here, group):
        if group is not None:
            group.cancel_scope.cancel()

    async def shield(self, here, group, program):
        with anyio.CancelScope(shield=True):
            await self.run(here, program, group)

    async def scope(self, here, group, program):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await self.run(here, program, group)
        self.log.append((here, scope.cancelled_caught))

    async def finally_(self, here, group, program):
        try:
            await anyio.lowlevel.checkpoint()
        finally:
            await self.run(here, program, group)

    async def group(self, here, _, children, program):
        async with self.make() as group:
            for number, (how, child) in enumerate(children):
                place = f"{here}/{number}"
                if how == "start":
                    await group.start(self.started, place, child, group)
                else:
                    group.start_soon(self.run, place, child, group)
            await self.run(here, program, group)

    async def started(self, place, program, group, *, task_status):
        with contextlib.suppress(IndexError):
            if program[0][0] == "checkpoint":
                await anyio.lowlevel.checkpoint()
        task_status.started()
        await self.run(place, program, group)


setattr(Interpreter, "finally", Interpreter.finally_)


def what_happens(program, backend, make, tracer):
    # trio takes turns at random.
    trio._core._run._r.seed(0)

    async def main():
        interpreter = Interpreter(make)
        result = None
        with anyio.fail_after(20):
            try:
                with tracer.run() if tracer is not None else contextlib.nullcontext():
                    await interpreter.run("", program, None)
            except Exception as error:
                result = described(error)
        # In which order tasks are cancelled is anybody's guess: they are kept in sets.
        return result, sorted(interpreter.log, key=repr)

    return anyio.run(main, **backend)


@examples(
    40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(program=st.lists(groups_of(programs), min_size=1, max_size=2))
def test_a_random_program_ends_with_our_groups_as_with_anyios(program, backend, tracer):
    theirs = what_happens(program, backend, anyio.create_task_group, None)
    assert what_happens(program, backend, ctxtrace.create_task_group, None) == theirs
    assert what_happens(program, backend, ctxtrace.create_task_group, tracer) == theirs
