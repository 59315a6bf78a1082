"""`flush` and `shutdown`: everyone who has something to send is asked, up to one deadline."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
from core.senders import Hanging, Sender, registered
from core.support import LIMIT, Boom

import ctxtrace
from ctxtrace.lifecycle import _rounds

if TYPE_CHECKING:
    from collections.abc import Callable

SOON = 0.05  # seconds, for what is not to be waited for
ENOUGH = 1.0  # seconds, for what takes none beside what hangs


def states(report: ctxtrace.FlushReport) -> dict[str, str]:
    return {each.name: each.state for each in report.exporters}


def test_everyone_who_can_send_is_asked() -> None:
    one, other = Sender("one"), Sender("other")
    with registered(one, other):
        report = ctxtrace.flush()
    assert (one.asked, other.asked) == (["flush"], ["flush"])
    assert states(report) == {"one": "flushed", "other": "flushed"}
    assert report.ok


def test_who_has_nothing_to_send_is_not_asked() -> None:
    class Plain(ctxtrace.Carrier):
        name = "plain"

        def clear(self) -> None:
            pass

    undo = ctxtrace.register_carrier(Plain())
    try:
        report = ctxtrace.flush()
    finally:
        undo()
    assert report.exporters == ()
    assert report.ok
    assert str(report) == "nothing to flush: no tracing library has anything to send"


def test_who_was_taken_off_is_not_asked() -> None:
    sender = Sender()
    with registered(sender):
        pass
    ctxtrace.flush()
    assert sender.asked == []


def test_one_that_is_registered_twice_is_asked_once() -> None:
    sender = Sender()
    with registered(sender, sender):
        ctxtrace.flush()
    assert sender.asked == ["flush"]


def test_a_failure_is_reported_and_logged_and_not_raised(caplog: pytest.LogCaptureFixture) -> None:
    bad, good = Sender("bad one"), Sender("good")

    def fail_saying(_: float) -> None:
        raise Boom(secret)

    secret = "what is traced"
    bad.flush = fail_saying  # type: ignore[method-assign]
    with registered(bad, good), caplog.at_level(logging.WARNING, "ctxtrace"):
        report = ctxtrace.flush()
    assert states(report) == {"bad one": "failed", "good": "flushed"}
    assert report.exporters[0].detail == Boom.__name__
    assert not report.ok
    (record,) = caplog.records
    assert "bad one failed in flush()" in record.getMessage()
    assert secret not in record.getMessage()


def test_who_says_that_it_could_not_send_has_failed() -> None:
    sender = Sender()
    sender.answer = False
    with registered(sender):
        report = ctxtrace.flush()
    assert states(report) == {"sender": "failed"}
    assert str(report).startswith("sender: failed, 0.")


def test_what_a_carrier_raises_beside_exceptions_ends_its_thread_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: told.set())

    def leave(_: float) -> None:
        leaving.asked.append("flush")
        if len(leaving.asked) == 1:
            raise SystemExit

    leaving = Sender()
    leaving.flush = leave  # type: ignore[method-assign]
    with registered(leaving):
        assert states(ctxtrace.flush()) == {"sender": "failed"}
        assert states(ctxtrace.flush()) == {"sender": "flushed"}
    assert told.wait(LIMIT)


def test_a_flush_that_would_have_to_be_awaited_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    async def flush(_: float) -> None:
        pass

    sender = Sender("awaited")
    sender.flush = flush  # type: ignore[assignment]
    with registered(sender), caplog.at_level(logging.WARNING, "ctxtrace"):
        (found,) = ctxtrace.flush().exporters
    assert (found.state, found.detail) == ("failed", "TypeError")
    assert "awaited failed in refuse_coroutine()" in caplog.text


def test_a_flush_in_the_middle_of_a_flush_is_done_after_it() -> None:
    # As the garbage collector may call one, in a thread that holds our locks.
    class Nested(Hanging):
        def flush(self, timeout: float) -> object:
            if not self.asked:
                reports.append(ctxtrace.flush())
                self.may_end.set()
            return super().flush(timeout)

    reports: list[ctxtrace.FlushReport] = []
    nested = Nested()
    with registered(nested):
        assert ctxtrace.flush().ok
        assert states(reports[0]) == {"ctxtrace": "timed out"}
        assert nested.has_begun()
        assert nested.has_begun()


def test_a_carrier_that_cannot_be_referred_to_weakly_is_not_kept() -> None:
    class Slots:
        __slots__ = ("name",)

        def __init__(self) -> None:
            self.name = "slots"

        def pin(self) -> None:
            return None

        def clear(self) -> None:
            pass

        def variables(self) -> tuple[()]:
            return ()

        def flush(self, _: float) -> None:
            pass

    before = len(_rounds._of)
    undo = ctxtrace.register_carrier(Slots())
    assert ctxtrace.flush().ok
    undo()
    for thread in threading.enumerate():
        if thread.name == "ctxtrace":
            thread.join(LIMIT)
    assert len(_rounds._of) == before


def test_who_hangs_is_not_waited_for_and_holds_up_nobody() -> None:
    hanging, also, good = Hanging(), Hanging("also"), Sender("good")
    with registered(hanging, also, good):
        report = ctxtrace.flush(ENOUGH)
    assert states(report) == {"hanging": "timed out", "also": "timed out", "good": "flushed"}
    assert not report.ok


def test_a_timeout_of_nothing_asks_and_does_not_wait() -> None:
    hanging = Hanging()
    with registered(hanging):
        report = ctxtrace.flush(0)
        assert states(report) == {"hanging": "timed out"}
        assert hanging.has_begun()


def test_what_was_not_waited_for_goes_on_and_a_later_flush_waits_for_it() -> None:
    hanging = Hanging()
    with registered(hanging):
        ctxtrace.flush(SOON)
        assert hanging.has_begun()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            later = pool.submit(ctxtrace.flush, LIMIT)
            hanging.may_end.set()
            assert later.result(LIMIT).ok
    assert hanging.asked == ["flush", "flush"]


def test_who_flushes_while_a_flush_is_under_way_shares_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crowd = 20
    hanging = Hanging()
    asked = threading.Semaphore(0)
    ask = _rounds.ask

    def ask_and_tell(*args: Any, **kwargs: Any) -> Any:
        try:
            return ask(*args, **kwargs)
        finally:
            asked.release()

    monkeypatch.setattr(_rounds, "ask", ask_and_tell)
    with registered(hanging), concurrent.futures.ThreadPoolExecutor(crowd + 1) as pool:
        first = pool.submit(ctxtrace.flush, LIMIT)
        assert hanging.has_begun()
        others = [pool.submit(ctxtrace.flush, LIMIT) for _ in range(crowd)]
        for _ in [first, *others]:
            assert asked.acquire(timeout=LIMIT)
        hanging.may_end.set()
        assert all(each.result(LIMIT).ok for each in [first, *others])
    assert len(hanging.asked) == 2


def test_a_flush_that_began_before_is_not_enough() -> None:
    hanging = Hanging()
    with registered(hanging), concurrent.futures.ThreadPoolExecutor() as pool:
        first = pool.submit(ctxtrace.flush, LIMIT)
        assert hanging.has_begun()
        # What is recorded now, the first one may have passed by.
        assert not ctxtrace.flush(SOON).ok
        hanging.may_end.set()
        assert first.result(LIMIT).ok
        assert hanging.has_begun()
    assert len(hanging.asked) == 2


def test_it_is_sent_outside_of_the_context_of_who_asks(ada: str) -> None:
    sender = Sender()
    with registered(sender):
        ctxtrace.flush(3)
    ((timeout, user, is_daemon),) = sender.seen
    assert 0 < timeout <= 3
    assert user == "nobody"
    assert is_daemon  # or an exit would wait for what hangs


def test_it_is_sent_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    sender = Sender()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with registered(sender):
        assert ctxtrace.flush().ok
    assert sender.asked == ["flush"]
    assert sender.seen[0][-1] == threading.current_thread().daemon


# The end.


def test_shutdown_has_each_end_once_and_asks_nobody_after_it() -> None:
    sender = Sender()
    with registered(sender):
        assert ctxtrace.shutdown().ok
        assert ctxtrace.shutdown().ok
        assert ctxtrace.flush().ok
    assert sender.asked == ["shutdown"]


def test_shutdown_that_failed_is_tried_again() -> None:
    sender = Sender()
    sender.answer = False
    with registered(sender):
        assert not ctxtrace.shutdown().ok
        assert not ctxtrace.shutdown().ok
    assert sender.asked == ["shutdown", "shutdown"]


def test_shutdown_of_who_knows_only_to_flush_flushes() -> None:
    sender = Sender()
    sender.shutdown = None  # type: ignore[method-assign,assignment]
    with registered(sender):
        assert ctxtrace.shutdown().ok
    assert sender.asked == ["flush"]


# In a loop.


async def test_aflush_leaves_the_loop_alone_meanwhile() -> None:
    hanging = Hanging()
    with registered(hanging):
        # Only if the loop goes on does anybody let it end.
        asyncio.get_running_loop().call_soon(hanging.may_end.set)
        assert (await ctxtrace.aflush(LIMIT)).ok


async def test_aflush_keeps_the_deadline() -> None:
    hanging, good = Hanging(), Sender("good")
    with registered(hanging, good):
        report = await ctxtrace.aflush(ENOUGH)
    assert states(report) == {"hanging": "timed out", "good": "flushed"}


async def test_aflush_with_nothing_to_flush_returns() -> None:
    assert (await ctxtrace.aflush()).exporters == ()


async def test_aflush_that_is_cancelled_leaves_others_what_it_asked_for() -> None:
    hanging = Hanging()
    with registered(hanging):
        task = asyncio.ensure_future(ctxtrace.aflush(LIMIT))
        await asyncio.to_thread(hanging.has_begun)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        hanging.may_end.set()
        assert (await ctxtrace.aflush(LIMIT)).ok


async def test_ashutdown_ends() -> None:
    sender = Sender()
    with registered(sender):
        assert (await ctxtrace.ashutdown()).ok
    assert sender.asked == ["shutdown"]


def test_what_ends_when_the_loop_has_gone_tells_nobody(caplog: pytest.LogCaptureFixture) -> None:
    hanging = Hanging()
    with registered(hanging):
        assert not asyncio.run(ctxtrace.aflush(SOON)).ok
        hanging.may_end.set()
        assert ctxtrace.flush(LIMIT).ok
    assert caplog.records == []


# Bad input.


def call_async(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda timeout: asyncio.run(function(timeout))


TAKES_A_TIMEOUT = {
    "flush": ctxtrace.flush,
    "shutdown": ctxtrace.shutdown,
    "aflush": call_async(ctxtrace.aflush),
    "ashutdown": call_async(ctxtrace.ashutdown),
    "flush_on_exit": ctxtrace.flush_on_exit,
    "flush_after": lambda timeout: ctxtrace.flush_after(timeout=timeout),
    "flush_lifespan": lambda timeout: ctxtrace.flush_lifespan(timeout=timeout),
}


@pytest.mark.parametrize("name", TAKES_A_TIMEOUT)
def test_a_negative_timeout_is_an_error_that_says_what_to_pass(name: str) -> None:
    for timeout in (-1, -0.5, float("-inf"), float("nan")):
        with pytest.raises(ValueError, match=rf"^{name}\(\) cannot wait for {timeout} .*pass 0"):
            TAKES_A_TIMEOUT[name](timeout)


@pytest.mark.parametrize("name", TAKES_A_TIMEOUT)
def test_a_timeout_that_is_no_number_is_an_error_that_says_what_to_pass(name: str) -> None:
    for timeout in (None, "10", True, 1j):
        with pytest.raises(TypeError, match=rf"^{name}\(\) takes a timeout in seconds.*pass a"):
            TAKES_A_TIMEOUT[name](timeout)


def test_to_wait_for_ever_is_to_wait_as_long_as_can_be_waited() -> None:
    sender = Sender()
    with registered(sender):
        assert ctxtrace.flush(float("inf")).ok
        assert ctxtrace.flush(10**400).ok
