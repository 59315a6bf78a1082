"""`flush_on_exit`: a program ends in many ways, and what it recorded last arrives.

Each is a process of its own, and each way has its control.
"""

from __future__ import annotations

import concurrent.futures
import signal
import textwrap
from typing import Any

import pytest
from core.leaving import run, start
from core.support import LIMIT

import ctxtrace

ON_EXIT = "ctxtrace.flush_on_exit()\n"

# How a program ends after it has recorded, and with which status.
WAYS = {
    "at its end": ("pass", 0),
    "by sys.exit": ("sys.exit(3)", 3),
    "by an exception": ("raise RuntimeError('of the program')", 1),
    "by a signal": ("os.kill(os.getpid(), signal.SIGTERM); threading.Event().wait()", -15),
    "by another signal": ("os.kill(os.getpid(), signal.SIGHUP); threading.Event().wait()", -1),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_was_recorded_last_arrives(way: str) -> None:
    code, status = WAYS[way]
    ended = run(f"ctxtrace.flush_on_exit(signals=['SIGTERM', 'SIGHUP'])\nrecord('last')\n{code}\n")
    assert (ended.arrived, ended.status) == (["last"], status)


@pytest.mark.parametrize("way", WAYS)
def test_control_without_it_nothing_arrives(way: str) -> None:
    code, status = WAYS[way]
    ended = run(f"record('last')\n{code}\n")
    assert (ended.arrived, ended.status) == ([], status)


@pytest.mark.parametrize("way", WAYS)
def test_the_program_says_the_same_at_its_end(way: str) -> None:
    code, _ = WAYS[way]
    with_it, without = start(ON_EXIT + code), start(f"pass\n{code}")
    assert with_it.ended().errors == without.ended().errors


def test_what_cannot_be_saved_is_lost() -> None:
    for code, status in (("os._exit(4)", 4), ("os.kill(os.getpid(), signal.SIGKILL)", -9)):
        ended = run(f"{ON_EXIT}record('last')\n{code}")
        assert (ended.arrived, ended.status) == ([], status)


LATE = textwrap.dedent("""\
    def late():
        threading.main_thread().join()
        record("by a thread that outlives the main one")

    threading.Thread(target=late).start()
    atexit.register(record, "by an exit handler")
    record("last")
""")
ALL_OF_IT = ["last", "by a thread that outlives the main one", "by an exit handler"]


def test_what_is_recorded_while_the_program_ends_arrives() -> None:
    assert run(ON_EXIT + LATE).arrived == ALL_OF_IT


def test_what_an_earlier_exit_handler_records_is_lost() -> None:
    ended = run("atexit.register(record, 'by an exit handler')\n" + ON_EXIT + "record('last')")
    assert ended.arrived == ["last"]


def test_what_a_pool_does_at_the_end_arrives() -> None:
    ended = run(
        ON_EXIT
        + "from concurrent.futures import ThreadPoolExecutor\n"
        + "go = threading.Event()\n"
        + "ThreadPoolExecutor().submit(lambda: (go.wait(), record('by a pool')))\n"
        + "record('last')\n"
        + "threading.Thread(target=lambda: (threading.main_thread().join(0.2), go.set())).start()"
    )
    assert sorted(ended.arrived) == ["by a pool", "last"]


# What hangs.

HANGS = textwrap.dedent("""\
    class Hanging(Tracer):
        name = "hanging"
        def flush(self, timeout):
            threading.Event().wait()

    ctxtrace.register_carrier(Hanging())
    record("last")
""")


@pytest.mark.parametrize("way", ["at its end", "by a signal"])
def test_who_hangs_delays_the_end_by_the_timeout_at_most(way: str) -> None:
    code, status = WAYS[way]
    ended = run("ctxtrace.flush_on_exit(1)\n" + HANGS + code)
    assert (ended.arrived, ended.status, ended.errors) == (["last"], status, "")


def test_a_thread_of_a_library_is_waited_for_as_long_as_the_timeout() -> None:
    ended = run(
        """
        class Sending(Tracer):
            name = "sending"
            def ending(self, bounded):
                bounded(threading.Event().wait)()  # which does not last
                return [thread]

        thread = threading.Thread(target=threading.Event().wait)
        thread.start()
        ctxtrace.register_carrier(Sending())
        ctxtrace.flush_on_exit(1)
        record("last")
        """
    )
    assert (ended.arrived, ended.status, ended.errors) == (["last"], 0, "")


def test_a_thread_of_a_library_that_ends_is_waited_for() -> None:
    ended = run(
        """
        class Sending(Tracer):
            name = "sending"
            def ending(self, bounded):
                return [thread]

        def send():
            threading.main_thread().join()
            os.write(1, b"sent by itself\\n")

        thread = threading.Thread(target=send)
        thread.start()
        ctxtrace.register_carrier(Sending())
        ctxtrace.flush_on_exit()
        """
    )
    assert (ended.arrived, ended.status, ended.errors) == (["sent by itself"], 0, "")


def test_threads_of_the_program_are_waited_for_as_python_does() -> None:
    ended = run(
        """
        class Sending(Tracer):
            name = "sending"
            def ending(self, bounded):
                return [thread]

        class Raising(threading.Thread):
            def join(self, timeout=None):
                raise RuntimeError("as some do, with what run() raised")

        def work():
            threading.main_thread().join()
            os.write(1, b"work is done\\n")

        thread = threading.Thread(target=threading.main_thread().join)
        for each in (thread, Raising(target=threading.main_thread().join)):
            each.start()
        threading.Thread(target=work).start()
        ctxtrace.register_carrier(Sending())
        ctxtrace.flush_on_exit()
        """
    )
    assert (ended.arrived, ended.errors, ended.status) == (["work is done"], "", 0)


# Signals.


def test_a_handler_of_the_program_is_called_and_nothing_else_is_done() -> None:
    ended = run(
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit('as the program likes'))\n"
        + ON_EXIT
        + "record('last')\nsignal.raise_signal(signal.SIGTERM)\n"
    )
    assert (ended.arrived, ended.errors, ended.status) == (["last"], "as the program likes\n", 1)


def test_a_handler_that_the_program_sets_later_is_called_and_nothing_else_is_done() -> None:
    ended = run(
        ON_EXIT
        + "signal.signal(signal.SIGTERM, lambda *_: sys.exit('as the program likes'))\n"
        + "record('last')\nsignal.raise_signal(signal.SIGTERM)\n"
    )
    assert (ended.arrived, ended.errors, ended.status) == (["last"], "as the program likes\n", 1)


def test_a_signal_that_is_ignored_stays_so() -> None:
    ended = run(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        + ON_EXIT
        + "signal.raise_signal(signal.SIGTERM)\nrecord('last')\n"
    )
    assert (ended.arrived, ended.status) == (["last"], 0)


def test_asyncio_ends_in_its_own_way() -> None:
    ended = run(
        ON_EXIT
        + """
import asyncio

async def main():
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    os.kill(os.getpid(), signal.SIGTERM)
    await stop.wait()
    record("by what shuts down")

asyncio.run(main())
"""
    )
    assert (ended.arrived, ended.status) == (["by what shuts down"], 0)


def test_ctrl_c_is_what_it_is_to_python() -> None:
    code = "record('last')\nsignal.raise_signal(signal.SIGINT)\n"
    with_it = run("ctxtrace.flush_on_exit(signals=['SIGINT'])\n" + code)
    without = run("\n" + code)
    assert (with_it.arrived, with_it.status) == (["last"], without.status)
    assert with_it.errors == without.errors
    assert "KeyboardInterrupt" in without.errors


def test_a_signal_while_the_main_thread_holds_a_lock_that_the_flush_needs() -> None:
    # As queue.put holds a queue's: the handler runs in the middle of it.
    ended = run(
        """
        lock = threading.Lock()

        class Locking(Tracer):
            name = "locking"
            def flush(self, timeout):
                with lock:
                    os.write(1, b"flushed\\n")

        ctxtrace.register_carrier(Locking())
        ctxtrace.flush_on_exit()
        with lock:
            signal.raise_signal(signal.SIGTERM)
            record("after the handler")
        threading.Event().wait()
        """
    )
    assert sorted(ended.arrived) == ["after the handler", "flushed"]
    assert ended.status == -15


def test_a_signal_in_the_middle_of_queue_put() -> None:
    ended = run(
        ON_EXIT
        + """
import queue

class Sending(Tracer):
    name = "sending"
    def flush(self, timeout):
        while not waiting.empty():
            os.write(1, waiting.get()[1].encode())

class Told:
    # Compared inside of put(), which holds the queue's lock.
    def __lt__(self, other):
        signal.raise_signal(signal.SIGTERM)
        return True

waiting = queue.PriorityQueue()
ctxtrace.register_carrier(Sending())
waiting.put((Told(), "one\\n"))
waiting.put((Told(), "two\\n"))
threading.Event().wait()
"""
    )
    assert sorted(ended.arrived) == ["one", "two"]
    assert ended.status == -15


def test_a_signal_in_the_middle_of_a_flush() -> None:
    ended = run(
        """
        class Signalled(Tracer):
            name = "signalled"
            def flush(self, timeout):
                if not self.kept:
                    self.kept.append("")
                    signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)
                    os.write(1, b"first\\n")
                else:
                    os.write(1, b"again\\n")

        ctxtrace.register_carrier(Signalled())
        ctxtrace.flush_on_exit()
        ctxtrace.flush()
        threading.Event().wait()
        """
    )
    assert (ended.arrived, ended.status) == (["first", "again"], -15)


def test_a_signal_in_the_middle_of_an_import(tmp_path: Any) -> None:
    (tmp_path / "imported.py").write_text(
        "import signal, threading\nsignal.raise_signal(signal.SIGTERM)\nthreading.Event().wait()\n"
    )
    ended = run(ON_EXIT + "record('last')\nimport imported\n", folder=tmp_path)
    assert (ended.arrived, ended.status) == (["last"], -15)


def test_a_signal_while_it_is_flushed_at_the_end() -> None:
    ended = run(
        """
        class Signalled(Tracer):
            name = "signalled"
            def flush(self, timeout):
                signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)
                os.write(1, b"sent\\n")

        ctxtrace.register_carrier(Signalled())
        ctxtrace.flush_on_exit()
        """
    )
    assert set(ended.arrived) == {"sent"}
    assert ended.status == -15


def test_a_second_signal_changes_nothing() -> None:
    ended = run(
        """
        class Twice(Tracer):
            name = "twice"
            def flush(self, timeout):
                signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)
                os.write(1, b"sent\\n")

        ctxtrace.register_carrier(Twice())
        ctxtrace.flush_on_exit()
        signal.raise_signal(signal.SIGTERM)
        threading.Event().wait()
        """
    )
    assert (ended.arrived, ended.status) == (["sent"], -15)


def test_a_signal_from_outside_while_the_program_waits() -> None:
    running = start(
        ON_EXIT + "record('last')\nprint('ready', flush=True)\nthreading.Event().wait()\n"
    )
    running.wait_for("ready")
    running.send(signal.SIGTERM)
    ended = running.ended()
    assert (ended.arrived, ended.status) == (["last"], -15)


# Taken back.


def test_cancelled_it_flushes_nothing_and_the_default_is_back() -> None:
    cancelled = "ctxtrace.flush_on_exit().cancel()\nrecord('last')\n"
    assert run(cancelled).arrived == []
    ended = run(cancelled + "print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)\n")
    assert ended.arrived == ["True"]


def test_cancelled_in_another_thread_a_signal_kills_as_if_it_were_not_there() -> None:
    ended = run(
        """
        handle = ctxtrace.flush_on_exit()
        thread = threading.Thread(target=handle.cancel)
        thread.start()
        thread.join()
        record("last")
        signal.raise_signal(signal.SIGTERM)
        """
    )
    assert (ended.arrived, ended.status) == ([], -15)


def test_called_twice_it_flushes_until_both_are_cancelled() -> None:
    twice = "first, second = ctxtrace.flush_on_exit(), ctxtrace.flush_on_exit(5)\nrecord('last')\n"
    for code, arrived in (
        ("", ["last"]),
        ("first.cancel(); first.cancel()", ["last"]),
        ("first.cancel(); second.cancel()", []),
    ):
        assert run(twice + code).arrived == arrived
        if arrived:
            ended = run(
                f"{twice}{code}\nsignal.raise_signal(signal.SIGTERM)\nthreading.Event().wait()"
            )
            assert (ended.arrived, ended.status) == (arrived, -15)


def test_it_leaves_nothing_behind_in_this_process() -> None:
    before = signal.getsignal(signal.SIGTERM)
    handle = ctxtrace.flush_on_exit()
    assert repr(handle) == "<ctxtrace.flush_on_exit: within 10 s>"
    handle.cancel()
    assert repr(handle) == "<ctxtrace.flush_on_exit: cancelled>"
    assert signal.getsignal(signal.SIGTERM) is before


# Bad input.


def test_an_unknown_signal_is_an_error_that_names_those_there_are() -> None:
    for name in ("SIGNO", "TERM", "SIG_DFL", "", 15, None):
        with pytest.raises(ValueError, match=r"knows no signal .* SIGTERM"):
            ctxtrace.flush_on_exit(signals=[name])  # type: ignore[list-item]


def test_a_signal_that_nobody_can_catch_is_an_error() -> None:
    with pytest.raises(ValueError, match="cannot see to SIGKILL: no process can catch it"):
        ctxtrace.flush_on_exit(signals=["SIGKILL"])


def test_signals_that_are_no_list_are_an_error() -> None:
    for signals in ("SIGTERM", None, 15):
        with pytest.raises(TypeError, match=r"signals as a list of names.*\('SIGTERM',\)"):
            ctxtrace.flush_on_exit(signals=signals)  # type: ignore[arg-type]


def test_signals_outside_of_the_main_thread_are_an_error_and_none_are_not() -> None:
    with concurrent.futures.ThreadPoolExecutor() as pool:
        with pytest.raises(ValueError, match=r"in the main thread alone.*or pass signals=\(\)"):
            pool.submit(ctxtrace.flush_on_exit).result(LIMIT)
        pool.submit(ctxtrace.flush_on_exit, signals=()).result(LIMIT).cancel()


def test_bad_input_changes_nothing() -> None:
    ended = run(
        """
        for wrong in (["SIGTERM", "SIGNO"], ["SIGTERM", "SIGKILL"]):
            try:
                ctxtrace.flush_on_exit(signals=wrong)
            except ValueError:
                pass
        print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
        record("last")
        """
    )
    assert ended.arrived == ["True"]
