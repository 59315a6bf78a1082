"""`aflush` and `flush_after` on every backend: the loop goes on while something is sent."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import anyio.to_thread
from core.senders import Hanging, Sender, registered
from core.support import LIMIT

import ctxtrace


async def test_the_loop_goes_on_while_a_flush_waits():
    hanging = Hanging()

    async def let_it_end():
        await anyio.lowlevel.checkpoint()
        hanging.may_end.set()

    with registered(hanging):
        async with anyio.create_task_group() as group:
            group.start_soon(let_it_end)
            assert (await ctxtrace.aflush(LIMIT)).ok


async def test_a_flush_ends_at_its_deadline():
    hanging = Hanging()
    with registered(hanging):
        assert not (await ctxtrace.aflush(0.05)).ok


async def test_a_flush_that_is_cancelled_leaves_others_what_it_asked_for():
    hanging = Hanging()
    with registered(hanging):
        with anyio.move_on_after(0.05) as scope:
            await ctxtrace.aflush(LIMIT)
        assert scope.cancelled_caught
        hanging.may_end.set()
        assert (await ctxtrace.aflush(LIMIT)).ok


async def test_who_is_cancelled_already_has_it_sent_all_the_same():
    hanging = Hanging()
    with registered(hanging):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await ctxtrace.aflush(LIMIT)
        assert await anyio.to_thread.run_sync(hanging.has_begun)


async def test_a_handler_is_flushed_after():
    @ctxtrace.flush_after
    async def handler():
        await anyio.lowlevel.checkpoint()
        return "answer"

    @ctxtrace.flush_after
    async def stream():
        for chunk in "ab":
            await anyio.lowlevel.checkpoint()
            yield chunk

    sender = Sender()
    with registered(sender):
        assert await handler() == "answer"
        assert sender.asked == ["flush"]
        assert [chunk async for chunk in stream()] == ["a", "b"]
        assert sender.asked == ["flush", "flush"]
