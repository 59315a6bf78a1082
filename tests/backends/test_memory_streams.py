"""context_stream(): items bring their sender's context; in all else it is anyio's stream."""

# ruff: noqa: PT012 - a group raises when it is left, and has to be filled before

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import logging
import math
import random
import sys
import warnings

import anyio
import anyio.abc
import pytest
from anyio.streams.stapled import StapledObjectStream
from backends.support import described, outcome, turns
from core.support import OTHER, USER, Boom, current_run, has_parent, serving, user

import ctxtrace

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


def bare(size=10):
    return anyio.create_memory_object_stream(size)


def carrying(size=10):
    return ctxtrace.context_stream(*anyio.create_memory_object_stream(size))


def close(*streams):
    for stream in streams:
        stream.close()


async def send_as(name, send, item):
    with serving(name):
        await send.send(item)


# A worker that was started before the request, and how it sees an item's sender.


async def test_control_a_worker_of_a_bare_stream_does_not_see_the_sender():
    seen = []
    send, receive = bare()

    async def work():
        async for _ in receive:
            seen.append(user())  # noqa: PERF401 - where it is received

    async with receive, anyio.create_task_group() as group:
        group.start_soon(work)
        await send_as("ada", send, 1)
        send.close()
    assert seen == ["nobody"]


async def served(send, receive, seen):
    await receive.serve(lambda item: seen.append((item, user())))


async def received(send, receive, seen):
    while True:
        try:
            async with receive.receive() as item:
                seen.append((item, user()))
        except anyio.EndOfStream:
            return


async def got_with_context(send, receive, seen):
    while True:
        try:
            item, snapshot = await receive.get_with_context()
        except anyio.EndOfStream:
            return
        seen.append((item, snapshot.run(user)))


WORKERS = pytest.mark.parametrize(
    "work", [served, received, got_with_context], ids=lambda work: work.__name__
)
HOW_TO_SEND = pytest.mark.parametrize("nowait", [False, True], ids=["send", "send_nowait"])


@WORKERS
@HOW_TO_SEND
async def test_an_item_is_seen_in_its_senders_context(work, nowait):
    seen = []
    send, receive = carrying()
    async with receive, anyio.create_task_group() as group:
        group.start_soon(work, send, receive, seen)
        for name in ("ada", "eve"):
            with serving(name):
                if nowait:
                    send.send_nowait(name)
                else:
                    await send.send(name)
        await send.send("nobody")
        send.close()
    assert seen == [("ada", "ada"), ("eve", "eve"), ("nobody", "nobody")]


@WORKERS
@pytest.mark.parametrize("size", [0, 10, math.inf])
async def test_an_item_finds_its_senders_run_after_that_is_gone(work, size, tracer):
    seen = []
    send, receive = carrying(size)
    gate = anyio.Event()

    async def look(_):
        await turns()
        seen.append(has_parent())

    async def worker():
        await gate.wait()
        if work is served:
            await receive.serve(look)
        elif work is received:
            async with receive.receive() as item:
                await look(item)
        else:
            item, snapshot = await receive.get_with_context()
            await snapshot.run(look, item)

    async def request():
        with tracer.run():
            await send.send("item")
        gc.collect()
        gate.set()
        send.close()

    async with receive, anyio.create_task_group() as group:
        group.start_soon(worker)
        if size == 0:
            # The sender waits for the receiver.
            gate.set()
        await request()
    assert seen == [True]


async def test_a_bare_receive_gives_the_item_and_not_the_context():
    send, receive = carrying()
    with send, receive:
        await send_as("ada", send, 1)
        await send_as("ada", send, 2)
        await send_as("ada", send, 3)
        send.close()
        items = [await receive.receive(), receive.receive_nowait()]
        items += [item async for item in receive]
        assert (items, user()) == ([1, 2, 3], "nobody")


async def test_the_overlay_of_a_block_ends_with_it():
    send, receive = carrying()
    with send, receive:
        await send_as("ada", send, 1)
        with serving("eve"):
            async with receive.receive() as item:
                assert (item, user()) == (1, "ada")
                await turns()
                assert user() == "ada"
            assert user() == "eve"


async def test_the_overlay_of_a_block_ends_with_its_error():
    send, receive = carrying()
    with send, receive:
        await send_as("ada", send, 1)
        with pytest.raises(Boom):
            async with receive.receive():
                raise Boom
        assert user() == "nobody"


def in_a_context_of_its_own(function):
    async def run():
        async with anyio.create_task_group() as group:
            group.start_soon(function)

    return run()


async def test_limit_a_variable_that_the_sender_has_not_and_a_block_sets_stays_set():
    async def work():
        send, receive = carrying()
        with send, receive:
            for item in (1, 2):
                send.send_nowait(item)
            seen = []
            for _ in range(2):
                async with receive.receive():
                    seen.append(OTHER.get())
                    OTHER.set("by the block")
            assert seen == ["unset", "by the block"]

    await in_a_context_of_its_own(work)


async def test_what_a_handler_of_serve_sets_the_next_item_does_not_see():
    seen = []

    async def handle(item):
        await turns()
        seen.append((item, USER.get(), OTHER.get()))
        USER.set("by the handler")
        OTHER.set("by the handler")

    send, receive = carrying()
    with receive:
        await send_as("ada", send, 1)
        await send.send(2)
        send.close()
        await receive.serve(handle)
    assert seen == [(1, "ada", "unset"), (2, "nobody", "unset")]
    assert OTHER.get() == "unset"


async def test_what_was_sent_through_the_wrapped_stream_is_handled_in_an_empty_context():
    seen = []
    inner, receive = bare()
    send, receive = ctxtrace.context_stream(inner, receive)
    with receive, serving("ada"):
        for item in (1, 2, 3, 4):
            inner.send_nowait(item)
        assert receive.receive_nowait() == 1
        item, snapshot = await receive.get_with_context()
        assert (item, snapshot.run(user)) == (2, "nobody")
        assert await receive.receive() == 3
        send.close()
        await receive.serve(lambda item: seen.append((item, user())))
    assert seen == [(4, "nobody")]


@pytest.mark.parametrize("item", [None, 0, (), [], {"a": 1}, ValueError("an item"), Boom], ids=repr)
async def test_any_item_comes_out_as_the_object_it_was(item):
    send, receive = carrying()
    with send, receive:
        for _ in range(3):
            await send.send(item)
        assert await receive.receive() is item
        assert receive.receive_nowait() is item
        async with receive.receive() as got:
            assert got is item


# Where a receive() may be given to what takes a coroutine.


async def test_a_receive_may_be_started_as_a_task():
    send, receive = carrying()
    with send, receive:
        async with anyio.create_task_group() as group:
            group.start_soon(receive.receive)
            await turns()
            assert receive.statistics().tasks_waiting_receive == 1
            await send.send(1)
        assert receive.statistics().current_buffer_used == 0


async def test_a_receive_may_be_given_up_after_a_time():
    send, receive = carrying()
    with send, receive:
        with anyio.move_on_after(0) as scope:
            await receive.receive()
        assert scope.cancelled_caught
        with anyio.move_on_after(0) as scope:
            async with receive.receive():
                raise AssertionError("never")
        assert scope.cancelled_caught
        await send.send(1)
        assert await receive.receive() == 1


asyncio_only = pytest.mark.parametrize("backend", ["asyncio", "uvloop"], indirect=True)


@asyncio_only
@pytest.mark.parametrize(
    "wait",
    [
        lambda coro: asyncio.create_task(coro),
        lambda coro: asyncio.ensure_future(coro),
        lambda coro: asyncio.wait_for(coro, 20),
        lambda coro: asyncio.gather(coro),
        lambda coro: asyncio.shield(coro),
        lambda coro: ctxtrace.create_task(coro),
        lambda coro: ctxtrace.capture().drive(coro),
    ],
    ids=["create_task", "ensure_future", "wait_for", "gather", "shield", "ours", "drive"],
)
async def test_on_asyncio_a_receive_is_a_coroutine_to_whoever_takes_one(wait):
    send, receive = carrying()
    with send, receive:
        for when in ("now", "later"):
            if when == "now":
                send.send_nowait("item")
            waiting = wait(receive.receive())
            if when == "later":
                send.send_nowait("item")
            result = await waiting
            assert result in ("item", ["item"])


async def test_a_receive_is_a_coroutine_by_its_type():
    send, receive = carrying()
    with send, receive:
        receipt = receive.receive()
        assert inspect.isawaitable(receipt)
        assert asyncio.iscoroutine(receipt)
        receipt.close()


async def test_a_receive_that_nobody_awaits_warns_as_that_of_a_bare_stream():
    said = []
    for make in (bare, carrying):
        send, receive = make()
        with send, receive, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            receive.receive()
            gc.collect()
        said.append([(each.category, "was never awaited" in str(each.message)) for each in caught])
    assert said == [[(RuntimeWarning, True)]] * 2


@pytest.mark.parametrize("use", ["await", "async with", "close"])
async def test_a_receive_that_is_used_gives_no_warning(use):
    send, receive = carrying()
    with send, receive, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        await send.send(1)
        if use == "await":
            await receive.receive()
        elif use == "close":
            receive.receive().close()
        else:
            async with receive.receive():
                pass
        gc.collect()
    assert caught == []


async def test_a_receive_cannot_be_entered_twice():
    send, receive = carrying()
    with send, receive:
        await send.send(1)
        receipt = receive.receive()
        async with receipt:
            pass
        with pytest.raises(RuntimeError, match="call it anew for each with block"):
            async with receipt:
                pass


async def test_a_receive_cannot_be_awaited_twice():
    send, receive = carrying()
    with send, receive:
        await send.send(1)
        receipt = receive.receive()
        assert await receipt == 1
        with pytest.raises(RuntimeError, match="cannot reuse already awaited"):
            await receipt


# serve().


async def test_serve_ends_when_all_senders_are_closed_and_nothing_is_left():
    seen = []
    send, receive = carrying()
    other = send.clone()
    with receive:
        for item in range(3):
            await send.send(item)
        send.close()
        await other.send(3)
        other.close()
        await receive.serve(seen.append)
    assert seen == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", ["plain", "coroutine", "lambda", "object", "partial"])
async def test_serve_takes_a_handler_of_any_kind(kind):
    seen = []

    def plain(item):
        seen.append((item, user()))

    async def coroutine(item):
        await turns()
        seen.append((item, user()))

    class Handler:
        async def __call__(self, item):
            await coroutine(item)

    handlers = {
        "plain": plain,
        "coroutine": coroutine,
        "lambda": lambda item: coroutine(item),
        "object": Handler(),
        "partial": functools.partial(coroutine),
    }
    send, receive = carrying()
    with receive:
        await send_as("ada", send, 1)
        send.close()
        await receive.serve(handlers[kind])
    assert seen == [(1, "ada")]


async def test_an_error_of_the_handler_goes_to_on_error_in_the_senders_context():
    seen = []

    def handle(item):
        if item == 2:
            raise Boom(item)
        seen.append(item)

    async def on_error(error):
        await turns()
        seen.append((described(error), user()))

    send, receive = carrying()
    with receive:
        for item in (1, 2, 3):
            await send_as(f"user {item}", send, item)
        send.close()
        await receive.serve(handle, on_error=on_error)
    assert seen == [1, (("Boom", "2"), "user 2"), 3]


async def test_an_error_of_the_handler_is_logged_where_there_is_no_on_error(caplog):
    def handle(item):
        raise Boom(item)

    send, receive = carrying()
    with receive, caplog.at_level(logging.ERROR, logger="ctxtrace"):
        await send.send("secret")
        await send.send("secret")
        send.close()
        await receive.serve(handle)
    assert [record.name for record in caplog.records] == ["ctxtrace"] * 2
    for record in caplog.records:
        assert "handle" in record.getMessage()
        assert "Boom" in record.getMessage()
        assert "secret" not in record.getMessage()


async def test_an_error_of_on_error_is_logged_and_the_loop_goes_on(caplog):
    def handle(item):
        raise Boom(item)

    def on_error(error):
        raise KeyError

    send, receive = carrying()
    with receive, caplog.at_level(logging.ERROR, logger="ctxtrace"):
        for item in (1, 2):
            await send.send(item)
        send.close()
        await receive.serve(handle, on_error=on_error)
    assert ["KeyError" in record.getMessage() for record in caplog.records] == [True] * 2


async def test_cancelling_what_serves_ends_it_in_the_middle_of_a_handler():
    seen = []
    send, receive = carrying()

    async def handle(item):
        seen.append(item)
        await anyio.sleep_forever()

    with send, receive:
        async with anyio.create_task_group() as group:
            group.start_soon(receive.serve, handle)
            await send.send(1)
            await send.send(2)
            await turns()
            group.cancel_scope.cancel()
        assert seen == [1]
        assert receive.receive_nowait() == 2


class Ending(BaseException):
    pass


async def test_what_is_no_exception_ends_the_loop():
    def handle(_):
        raise Ending

    send, receive = carrying()
    with send, receive:
        await send.send(1)
        await send.send(2)
        with pytest.raises(Ending):
            await receive.serve(handle)
        assert await receive.receive() == 2


def a_generator_function(_):
    yield


async def an_async_generator_function(_):
    yield


BAD_HANDLERS = [None, 42, "text", a_generator_function, an_async_generator_function]


@pytest.mark.parametrize(
    "bad", BAD_HANDLERS, ids=["None", "int", "str", "generator", "async_generator"]
)
async def test_what_cannot_handle_is_refused_before_an_item_is_taken(bad):
    send, receive = carrying()
    with send, receive:
        await send.send(1)
        with pytest.raises(TypeError, match=r"serve\(\) calls its handler"):
            await receive.serve(bad)
        if bad is not None:
            with pytest.raises(TypeError, match=r"serve\(\) calls its on_error"):
                await receive.serve(print, on_error=bad)
        assert await receive.receive() == 1


async def test_stop_ends_a_serve_that_waits():
    send, receive = carrying()
    with send, receive:
        async with anyio.create_task_group() as group:
            group.start_soon(receive.serve, print)
            await turns()
            receive.stop()


async def test_stop_ends_every_serve_of_its_end_and_no_other():
    send, receive = carrying()
    other = receive.clone()
    seen = []
    with send, receive, other:
        async with anyio.create_task_group() as outer:
            outer.start_soon(other.serve, seen.append)
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(receive.serve, seen.append)
                await turns()
                assert receive.statistics().tasks_waiting_receive == 4
                receive.stop()
            assert receive.statistics().tasks_waiting_receive == 1
            await send.send(1)
            await turns()
            send.close()
    assert seen == [1]


@pytest.mark.parametrize("size", [0, 10])
async def test_after_stop_what_is_in_the_stream_is_handled(size):
    seen = []
    send, receive = carrying(size)
    with send, receive:
        async with anyio.create_task_group() as group:
            for item in range(4):
                group.start_soon(send.send, item)
            await turns()
            receive.stop()
            await receive.serve(seen.append)
    assert sorted(seen) == [0, 1, 2, 3]


async def test_a_serve_called_after_stop_returns():
    send, receive = carrying()
    with send, receive:
        receive.stop()
        await receive.serve(print)
        await receive.serve(print)


async def test_stop_from_within_a_handler_lets_the_rest_be_handled():
    seen = []
    send, receive = carrying()

    def handle(item):
        seen.append(item)
        receive.stop()

    with send, receive:
        for item in range(3):
            await send.send(item)
        await receive.serve(handle)
    assert seen == [0, 1, 2]


async def test_after_stop_items_can_be_received_by_other_means():
    send, receive = carrying()
    with send, receive:
        receive.stop()
        await send.send(1)
        assert await receive.receive() == 1


@pytest.mark.parametrize("first", ["send", "stop"])
@pytest.mark.parametrize("size", [0, 10])
async def test_stop_at_the_moment_an_item_is_handed_over_loses_none(first, size):
    seen = []
    send, receive = carrying(size)
    with send, receive:
        async with anyio.create_task_group() as group:
            group.start_soon(receive.serve, seen.append)
            await turns()
            if first == "stop":
                receive.stop()
            left = []
            try:
                send.send_nowait(1)
            except anyio.WouldBlock:
                left.append(1)
            if first == "send":
                receive.stop()
        with pytest.raises(anyio.WouldBlock):
            receive.receive_nowait()
    assert seen + left == [1]


async def test_serve_on_a_closed_end_says_so():
    send, receive = carrying()
    close(send, receive)
    with pytest.raises(anyio.ClosedResourceError, match="receiving end of this stream was closed"):
        await receive.serve(print)


# Bad input, and what is said.


async def test_a_closed_end_says_what_was_done():
    send, receive = carrying()
    close(send, receive)
    said = "end of this stream was closed: use it before it is closed, or give each task a clone()"
    for call in (receive.receive, receive.get_with_context):
        with pytest.raises(anyio.ClosedResourceError) as raised:
            await call()
        assert f"the receiving {said}" in str(raised.value)
    with pytest.raises(anyio.ClosedResourceError) as raised:
        async with receive.receive():
            pass
    assert f"the receiving {said}" in str(raised.value)
    with pytest.raises(anyio.ClosedResourceError) as raised:
        receive.receive_nowait()
    assert f"the receiving {said}" in str(raised.value)
    with pytest.raises(anyio.ClosedResourceError) as raised:
        send.send_nowait(1)
    assert f"the sending {said}" in str(raised.value)
    with pytest.raises(anyio.ClosedResourceError) as raised:
        await send.send(1)
    assert f"the sending {said}" in str(raised.value)


async def test_what_is_no_pair_of_streams_is_refused():
    send, receive = bare()
    ours = ctxtrace.context_stream(send, receive)
    class_ = type(send)
    with send, receive:
        for args, said in [
            ((receive, send), "takes the sending end first"),
            (ours, "carries already: use that one"),
            ((send, ours[1]), "carries already: use that one"),
            ((ours[0], receive), "carries already: use that one"),
            ((send, send), "got MemoryObjectSendStream for a MemoryObjectReceiveStream"),
            ((receive, receive), "got MemoryObjectReceiveStream for a MemoryObjectSendStream"),
            ((None, None), "got NoneType for a MemoryObjectSendStream"),
            ((send, None), "got NoneType for a MemoryObjectReceiveStream"),
            (((send, receive), receive), "got tuple for a MemoryObjectSendStream"),
            ((class_, type(receive)), "takes the two ends of an anyio memory object stream"),
        ]:
            with pytest.raises(TypeError, match=said.replace("(", r"\(")):
                ctxtrace.context_stream(*args)


async def test_only_one_end_is_refused():
    send, receive = bare()
    with send, receive:
        for args in ((send,), (receive,), ((send, receive),), ()):
            with pytest.raises(TypeError, match=r"context_stream\(\) missing"):
                ctxtrace.context_stream(*args)


# As the bare streams.

BOTH = [bare, carrying]
both = pytest.mark.parametrize("make", BOTH, ids=["bare", "ours"])


def test_the_ends_have_all_that_anyios_have():
    async def main():
        send, receive = bare()
        ours = ctxtrace.context_stream(send, receive)
        for theirs, mine in zip((send, receive), ours):
            public = {name for name in dir(theirs) if not name.startswith("_")}
            special = {"__enter__", "__exit__", "__aenter__", "__aexit__", "__aiter__", "__anext__"}
            expected = public | (special & set(dir(theirs)))
            assert expected <= set(dir(mine))
        assert isinstance(ours[0], anyio.abc.ObjectSendStream)
        assert isinstance(ours[1], anyio.abc.ObjectReceiveStream)
        close(*ours)

    anyio.run(main)


@both
async def test_statistics_count_what_is_in_the_stream_and_who_waits(make):
    send, receive = make(1)
    with send, receive:
        async with anyio.create_task_group() as group:
            group.start_soon(send.send, 1)
            group.start_soon(send.send, 2)
            await turns()
            with send.clone(), receive.clone() as third:
                assert send.statistics() == receive.statistics() == third.statistics()
                assert tuple(send.statistics()) == (1, 1, 2, 2, 1, 0)
            group.cancel_scope.cancel()


@both
async def test_each_clone_is_closed_by_itself(make):
    send, receive = make()
    other = send.clone()
    send.close()
    await other.send(1)
    again = receive.clone()
    receive.close()
    assert await again.receive() == 1
    await other.aclose()
    with pytest.raises(anyio.EndOfStream):
        await again.receive()
    await again.aclose()


@both
async def test_a_clone_of_a_closed_end_is_refused(make):
    send, receive = make()
    close(send, receive)
    for end in (send, receive):
        with pytest.raises(anyio.ClosedResourceError):
            end.clone()


async def test_a_clone_carries_as_its_original_does():
    send, receive = carrying()
    seen = []
    with send, receive, send.clone() as other, receive.clone() as again:
        await send_as("ada", other, 1)
        async with again.receive() as item:
            seen.append((item, user()))
    assert seen == [(1, "ada")]


@both
async def test_closing_twice_does_nothing(make):
    send, receive = make()
    for _ in range(2):
        close(send, receive)
        await send.aclose()
        await receive.aclose()


@both
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_with_block_closes_the_end(make, kind):
    send, receive = make()
    for end in (send, receive):
        if kind == "sync":
            with end as entered:
                assert entered is end
        else:
            async with end as entered:
                assert entered is end
    with pytest.raises(anyio.ClosedResourceError):
        send.send_nowait(1)
    with pytest.raises(anyio.ClosedResourceError):
        receive.receive_nowait()


@both
async def test_a_full_stream_would_block(make):
    send, receive = make(1)
    with send, receive:
        send.send_nowait(1)
        with pytest.raises(anyio.WouldBlock):
            send.send_nowait(2)
        assert receive.receive_nowait() == 1
        with pytest.raises(anyio.WouldBlock):
            receive.receive_nowait()


@both
async def test_an_ended_stream_says_so(make):
    send, receive = make()
    send.send_nowait(1)
    send.close()
    with receive:
        assert await receive.receive() == 1
        with pytest.raises(anyio.EndOfStream):
            await receive.receive()
        with pytest.raises(anyio.EndOfStream):
            receive.receive_nowait()
        assert [item async for item in receive] == []


@both
async def test_a_stream_that_nobody_receives_from_is_broken(make):
    send, receive = make()
    receive.close()
    with send:
        with pytest.raises(anyio.BrokenResourceError):
            send.send_nowait(1)
        with pytest.raises(anyio.BrokenResourceError):
            await send.send(1)


@both
async def test_a_sender_that_waits_is_told_that_the_stream_is_broken(make):
    send, receive = make(0)
    with send:
        async with anyio.create_task_group() as group:
            results = []

            async def sender():
                results.append(await outcome(send.send, 1))

            group.start_soon(sender)
            await turns()
            receive.close()
    assert [(kind, error[0]) for kind, error in results] == [("raised", "BrokenResourceError")]


@both
async def test_a_receiver_that_waits_is_told_that_the_stream_has_ended(make):
    send, receive = make()
    with receive:
        results = []

        async def receiver():
            results.append(await outcome(receive.receive))

        async with anyio.create_task_group() as group:
            group.start_soon(receiver)
            await turns()
            send.close()
    assert [(kind, error[0]) for kind, error in results] == [("raised", "EndOfStream")]


async def test_a_receiver_whose_own_end_is_closed_is_told_as_in_anyio():
    async def program(make):
        send, receive = make()
        results = []

        async def receiver():
            results.append(await outcome(receive.receive))

        async with anyio.create_task_group() as group:
            group.start_soon(receiver)
            await turns()
            receive.close()
            await turns()
            group.cancel_scope.cancel()
        send.close()
        return [(kind, error[0]) for kind, error in results]

    assert await program(carrying) == await program(bare)


@both
async def test_without_a_buffer_an_item_is_handed_over(make):
    send, receive = make(0)
    with send, receive:
        async with anyio.create_task_group() as group:
            group.start_soon(send.send, 1)
            await turns()
            assert receive.receive_nowait() == 1
            group.start_soon(send.send, 2)
            assert await receive.receive() == 2


@both
async def test_receive_and_send_are_checkpoints(make):
    send, receive = make()
    with send, receive:
        for call, args in ((send.send, (1,)), (receive.receive, ())):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await call(*args)
            assert scope.cancelled_caught


@both
async def test_the_ends_have_no_extra_attributes(make):
    class Attributes(anyio.TypedAttributeSet):
        colour: str = anyio.typed_attribute()

    send, receive = make()
    with send, receive:
        for end in (send, receive):
            assert end.extra(Attributes.colour, "none") == "none"
            assert dict(end.extra_attributes) == {}
            with pytest.raises(anyio.TypedAttributeLookupError):
                end.extra(Attributes.colour)


@both
async def test_an_end_that_is_dropped_unclosed_warns(make):
    ends = list(make())
    while ends:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ends.pop()
            gc.collect()
        assert [each.category for each in caught] == [ResourceWarning]


@both
async def test_the_ends_can_be_stapled(make):
    send, receive = make()
    async with StapledObjectStream(send, receive) as stream:
        await stream.send(1)
        assert await stream.receive() == 1
        await stream.send_eof()
        assert [item async for item in stream] == []


async def test_the_repr_shows_no_item():
    send, receive = carrying()
    with send, receive:
        await send.send("secret")
        assert [repr(end).split(" at ")[0] for end in (send, receive)] == [
            "<ctxtrace.ContextSendStream",
            "<ctxtrace.ContextReceiveStream",
        ]


# Until when the sender's run is kept. Without the garbage collector.


async def test_the_run_is_kept_while_the_item_is_in_the_stream(tracer, no_gc):
    send, receive = carrying()
    with send, receive:
        with tracer.run() as run:
            await send.send(1)
        await turns()
        assert run() is not None


@pytest.mark.parametrize("how", ["receive", "receive_nowait", "async for", "task"])
async def test_the_run_is_freed_when_the_item_is_received_bare(how, tracer, no_gc):
    send, receive = carrying()
    with send, receive:
        with tracer.run() as run:
            await send.send("item")
        if how == "receive":
            item = await receive.receive()
        elif how == "receive_nowait":
            item = receive.receive_nowait()
        elif how == "task":
            async with anyio.create_task_group() as group:
                group.start_soon(receive.receive)
        else:
            async for item in receive:
                assert item == "item"
                break
        assert run() is None


async def test_the_run_is_freed_after_the_block(tracer, no_gc):
    send, receive = carrying()
    with send, receive:
        with tracer.run() as run:
            await send.send(1)
        receipt = receive.receive()
        async with receipt:
            await turns()
            assert current_run() is run()
            assert run() is not None
        assert run() is None


async def test_the_run_is_freed_after_a_block_that_fails(tracer, no_gc):
    send, receive = carrying()
    with send, receive:
        with tracer.run() as run:
            await send.send(1)
        with pytest.raises(Boom) as raised:
            async with receive.receive():
                raise Boom
        assert run() is None
        del raised


async def test_the_run_is_freed_with_the_snapshot(tracer, no_gc):
    send, receive = carrying()
    with send, receive:
        with tracer.run() as run:
            await send.send(1)
        item, snapshot = await receive.get_with_context()
        assert run() is not None
        del snapshot
        assert run() is None
        del item


@pytest.mark.parametrize("kind", ["plain", "coroutine", "fails", "fails_and_is_kept"])
async def test_the_run_is_freed_after_the_handler_while_serve_waits(kind, tracer, no_gc):
    seen, kept = [], []

    def plain(item):
        seen.append(has_parent())

    async def coroutine(item):
        await turns()
        seen.append(has_parent())

    def fails(item):
        seen.append(has_parent())
        raise Boom

    handler = {"plain": plain, "coroutine": coroutine}.get(kind, fails)
    on_error = kept.append if kind == "fails_and_is_kept" else lambda error: None
    send, receive = carrying()
    with send, receive:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: receive.serve(handler, on_error=on_error))
            with tracer.run() as run:
                await send.send(1)
            await turns(12)
            assert receive.statistics().tasks_waiting_receive == 1
            assert run() is None
            receive.stop()
    assert seen == [True]


async def test_the_run_is_freed_after_a_handler_that_was_cancelled(tracer, no_gc):
    send, receive = carrying()
    with send, receive:
        async with anyio.create_task_group() as group:
            with tracer.run() as run:
                await send.send(1)

            async def handle(_):
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    await anyio.sleep_forever()

            group.start_soon(receive.serve, handle)
            await turns(12)
            assert run() is None
            receive.stop()


async def test_the_run_is_freed_when_serve_is_cancelled_in_a_handler(tracer, no_gc):
    send, receive = carrying()
    with send, receive:
        async with anyio.create_task_group() as group:
            group.start_soon(receive.serve, lambda _: anyio.sleep_forever())
            with tracer.run() as run:
                await send.send(1)
            await turns()
            assert run() is not None
            group.cancel_scope.cancel()
        await turns()
        assert run() is None


async def test_the_run_is_freed_when_both_ends_are_dropped(tracer, no_gc):
    send, receive = carrying()
    with tracer.run() as run:
        await send.send(1)
    close(send, receive)
    assert run() is not None  # a clone might come; anyio keeps the items too
    del send, receive
    await turns()
    assert run() is None


async def test_the_run_is_freed_when_the_sender_would_block_and_the_error_is_kept(tracer, no_gc):
    send, receive = carrying(0)
    with send, receive:
        with tracer.run() as run:
            try:
                send.send_nowait(1)
            except anyio.WouldBlock as error:
                kept = error
        assert run() is None
        del kept


@pytest.mark.parametrize("closed", ["send", "receive"])
@HOW_TO_SEND
async def test_the_run_is_freed_when_sending_is_refused_and_the_error_is_kept(
    closed, nowait, tracer, no_gc
):
    send, receive = carrying()
    (send if closed == "send" else receive).close()
    with send, receive:
        with tracer.run() as run:
            try:
                if nowait:
                    send.send_nowait(1)
                else:
                    await send.send(1)
            except (anyio.ClosedResourceError, anyio.BrokenResourceError) as error:
                kept = error
        assert run() is None
        del kept


async def test_the_run_is_freed_when_a_send_that_waits_is_cancelled(tracer, no_gc):
    send, receive = carrying(0)
    with send, receive:
        async with anyio.create_task_group() as group:
            with tracer.run() as run:
                group.start_soon(send.send, 1)
                await turns()
            assert run() is not None
            group.cancel_scope.cancel()
        del group
        await turns()
        assert run() is None


@pytest.mark.parametrize("first", ["cancel", "take"])
async def test_an_item_taken_at_the_moment_its_sender_is_cancelled_has_its_context(first):
    # anyio hands it over, although send() is cancelled.
    seen = []
    send, receive = carrying(1)

    async def sender(scope):
        with scope:
            await send_as("ada", send, 2)

    with send, receive:
        send.send_nowait(1)
        async with anyio.create_task_group() as group:
            scope = anyio.CancelScope()
            group.start_soon(sender, scope)
            await turns()
            if first == "cancel":
                scope.cancel()
            assert receive.receive_nowait() == 1
            scope.cancel()
        send.close()
        await receive.serve(lambda item: seen.append((item, user())))
    assert seen == [(2, "ada")]


@asyncio_only
async def test_on_asyncio_an_item_taken_before_its_sender_is_cancelled_has_its_context():
    send, receive = carrying(1)
    with send, receive:
        send.send_nowait(1)
        task = asyncio.ensure_future(send_as("ada", send, 2))
        await turns()
        assert receive.receive_nowait() == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        item, snapshot = await receive.get_with_context()
        assert (item, snapshot.run(user)) == (2, "ada")


async def test_where_no_run_is_current_nothing_is_kept(tracer, no_gc):
    send, receive = carrying()
    with send, receive:
        with tracer.run() as run, ctxtrace.detached():
            await send.send(1)
        assert run() is None
        item, snapshot = await receive.get_with_context()
        assert snapshot.run(has_parent) is False
        del item


# Cancellation loses no item, and many at once keep their own.


async def script(make, serve, seed):
    """Senders, receivers and cancellations at random; returns what became of each item."""
    chance = random.Random(seed)
    send, receive = make(chance.choice([0, 1, 3]))
    handled, unsent, sent = [], [], []
    scopes = []

    async def sender(items):
        for item in items:
            with anyio.CancelScope() as scope:
                scopes.append(scope)
                await send_as(str(item), send, item)
            (unsent if scope.cancelled_caught else sent).append(item)
            await turns(chance.randrange(3))

    async def receiver():
        while True:
            with anyio.CancelScope() as scope:
                scopes.append(scope)
                try:
                    item = await receive.receive()
                except anyio.EndOfStream:
                    return
                handled.append(item)

    async def block():
        while True:
            with anyio.CancelScope() as scope:
                scopes.append(scope)
                try:
                    async with receive.receive() as item:
                        handled.append(item)
                        assert user() == str(item)
                except anyio.EndOfStream:
                    return

    async def server():
        done = False
        while not done:
            with anyio.CancelScope() as scope:
                scopes.append(scope)
                await receive.serve(handle)
                done = True

    def handle(item):
        handled.append(item)
        assert user() == str(item)

    with send, receive:
        async with anyio.create_task_group() as group:
            kinds = [server, block, receiver] if serve else [receiver]
            for number in range(3):
                group.start_soon(kinds[number % len(kinds)])
            async with anyio.create_task_group() as senders:
                for number in range(3):
                    senders.start_soon(sender, range(number * 10, number * 10 + 10))
                for _ in range(40):
                    await turns(chance.randrange(2))
                    if scopes and chance.random() < 0.5:
                        chance.choice(scopes[-6:]).cancel()
            send.close()
    return handled, sent, unsent


def nothing_is_lost(handled, sent, unsent):
    assert sorted(sent + unsent) == list(range(30))
    assert len(handled) == len(set(handled))
    # anyio may hand over what a send() that is being cancelled still offers.
    assert set(sent) <= set(handled) <= set(range(30))


@pytest.mark.parametrize("seed", range(15))
async def test_control_a_bare_stream_loses_no_item_when_tasks_are_cancelled(seed):
    nothing_is_lost(*await script(bare, False, seed))


@pytest.mark.parametrize("seed", range(15))
async def test_no_item_is_lost_or_doubled_when_tasks_are_cancelled(seed):
    nothing_is_lost(*await script(carrying, True, seed))


@pytest.mark.parametrize("seed", range(15))
async def test_no_item_is_lost_when_the_loops_are_stopped_at_any_moment(seed):
    chance = random.Random(seed)
    send, receive = carrying(chance.choice([0, 1, 3]))
    handled, sent = [], []

    async def handle(item):
        handled.append((item, user()))
        await turns(chance.randrange(3))

    async def sender(items):
        for item in items:
            try:
                with serving(str(item)):
                    send.send_nowait(item)
            except anyio.WouldBlock:
                pass
            else:
                sent.append(item)
            await turns(chance.randrange(2))
            if item == moment:
                receive.stop()

    moment = chance.randrange(20)
    with send, receive:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(receive.serve, handle)
            await turns(chance.randrange(4))
            group.start_soon(sender, range(20))
        await receive.serve(handle)  # what was sent after they had ended
        with pytest.raises(anyio.WouldBlock):
            receive.receive_nowait()
    assert sorted(handled) == sorted((item, str(item)) for item in sent)


@pytest.mark.parametrize("size", [0, 100])
async def test_many_producers_and_workers_hand_over_every_item_in_its_own_context(size, tracer):
    seen = []
    send, receive = carrying(size)

    async def handle(item):
        await anyio.lowlevel.checkpoint()
        seen.append((item, user(), has_parent()))

    async def produce(number):
        async with send.clone() as mine:
            for item in range(number * 250, (number + 1) * 250):
                with tracer.run():
                    await send_as(str(item), mine, item)

    async def work(stream):
        async with stream:
            await stream.serve(handle)

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(work, receive.clone())
            group.start_soon(produce, number)
        await turns()
        close(send, receive)
    assert sorted(seen) == [(item, str(item), True) for item in range(2000)]


async def test_errors_of_a_group_of_workers_are_theirs():
    send, receive = carrying()

    async def work():
        async with receive.receive():
            raise Boom

    with send, receive:
        with pytest.raises(ExceptionGroup) as raised:
            async with anyio.create_task_group() as group:
                group.start_soon(work)
                await send.send(1)
        assert [type(error) for error in raised.value.exceptions] == [Boom]
