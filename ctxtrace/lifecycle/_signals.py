"""Signals that would kill the process at once: flush first, then be killed by them.

A handler runs between two instructions of the main thread, which may hold any lock. So ours takes
none and flushes nothing: it starts a thread, with the one call that takes no lock, and returns.
That thread flushes, and then has the main thread called again, which puts the default back and
sends the signal to its own process: the exit status is the signal's. Until then the program goes
on. A second signal changes nothing: a supervisor and a process group often send it twice.

A signal that comes at the very moment when the main thread begins to wait, for a lock or a pipe,
is taken note of and does not wake it: Python runs its handler when that wait is over. The default
would have killed it. For one that comes by chance that moment is too short to matter; but
`multiprocessing.Pool` terminates its workers just when they begin to wait for more work. There
`be_sure_to_wake` sees to it.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from .._errors import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

# Signals whose handler is ours, by who wants it flushed then. Changed in the main thread alone.
_wanted: dict[signal.Signals, list[Callable[[], object]]] = {}
# How long the main thread has, to come to its handler, before it is woken again: seconds.
_PATIENCE = 0.05

_under_way: set[signal.Signals] = set()
_flushed: set[signal.Signals] = set()
# Whether the main thread flushes because the interpreter ends.
_is_ending = False
# Whether it forks: what is there to be flushed is not yet told apart, the parent's from the
# child's. And the signals that came meanwhile, with the process that they came to.
_is_forking = False
_came_while_forking: list[tuple[signal.Signals, int]] = []


def check_signals(names: Iterable[str]) -> list[signal.Signals]:
    """Return the signals of these names.

    Raises:
        TypeError: It is no list of names.
        ValueError: There is no such signal here, or none that can be caught; this is not the main
            thread.
    """
    if isinstance(names, (str, bytes)) or not hasattr(names, "__iter__"):
        raise TypeError(
            f"flush_on_exit() takes signals as a list of names, and got {names!r}: pass, for "
            "example, signals=('SIGTERM',)."
        )
    found = [_signal_called(name) for name in names]
    if found and threading.current_thread() is not threading.main_thread():
        raise ValueError(
            "flush_on_exit() can see to signals in the main thread alone, and was called in "
            f"{threading.current_thread().name!r}: call it there, or pass signals=()."
        )
    return found


def _signal_called(name: Any) -> signal.Signals:
    found = getattr(signal.Signals, name, None) if isinstance(name, str) else None
    if isinstance(name, signal.Signals):
        found = name
    if not isinstance(found, signal.Signals):
        known = ", ".join(sorted(each.name for each in signal.Signals))
        raise ValueError(
            f"flush_on_exit() knows no signal {name!r}. Those of this system are: {known}."
        )
    if found.name in ("SIGKILL", "SIGSTOP"):
        raise ValueError(
            f"flush_on_exit() cannot see to {found.name}: no process can catch it. Whoever sends "
            "it should send SIGTERM before."
        )
    return found


def flush_before(number: signal.Signals, flush: Callable[[], object]) -> bool:
    """Have `flush` called before a signal kills the process; return whether it would.

    Where the program has a handler, that is called and nothing else is done: it ends the program
    as it likes, and then it is flushed. So SIGINT keeps what Python does. An ignored one stays so.
    """
    handler = signal.getsignal(number)
    # Also where ours was there before: who sets the default again need not know that.
    if handler is signal.SIG_DFL:
        signal.signal(number, _handle)
    elif handler is not _handle:
        return False
    _wanted.setdefault(number, []).append(flush)
    return True


def leave(number: signal.Signals, flush: Callable[[], object]) -> None:
    """Take `flush_before` back."""
    flushes = _wanted.get(number, [])
    if flush in flushes:
        flushes.remove(flush)
    # Elsewhere it cannot be put back; with nothing to flush, ours does what the default does.
    if not flushes and threading.current_thread() is threading.main_thread():
        _wanted.pop(number, None)
        if signal.getsignal(number) is _handle:
            signal.signal(number, signal.SIG_DFL)


def begin_to_end() -> None:
    """Say that the interpreter ends, and that the main thread flushes for that now."""
    global _is_ending
    _is_ending = True


def has_flushed_to_end() -> None:
    """Say that the main thread has flushed; be killed by a signal that came before or meanwhile."""
    global _is_ending
    _is_ending = False
    for number in [*_under_way]:
        _flushed.add(number)
        if signal.getsignal(number) is _handle:
            _be_killed_by(number)


def begin_to_fork() -> None:
    """Say that the process is about to fork: signals are kept until it has."""
    global _is_forking
    _is_forking = True


def has_forked() -> None:
    """Say that it has, in the parent or in the child; see to the signals that came to this one."""
    global _is_forking
    _is_forking = False
    process = os.getpid()
    while _came_while_forking:
        number, came_to = _came_while_forking.pop()
        if came_to == process:
            _wake_main(number)


def renew() -> None:
    """Forget, in the child of a fork, signals that came to the parent."""
    global _is_ending
    _is_ending = False
    _under_way.clear()
    _flushed.clear()
    be_sure_to_wake()


def _handle(received: int, _: object) -> None:
    number = signal.Signals(received)
    flushes = _wanted.get(number)
    if _is_forking:
        _came_while_forking.append((number, os.getpid()))
    elif number in _flushed or not flushes:
        _be_killed_by(number)
    elif number not in _under_way:
        _under_way.add(number)
        try:
            _thread.start_new_thread(_flush_and_call_again, (number, tuple(flushes)))
        except RuntimeError:
            # Python 3.12 ends, or the system has no more threads. If the main thread is flushing,
            # it sees to the signal after that.
            if not _is_ending:
                _be_killed_by(number)


def _flush_and_call_again(
    number: signal.Signals, flushes: tuple[Callable[[], object], ...]
) -> None:
    try:
        for flush in flushes:
            guard("flush_on_exit()", flush)
    finally:
        _flushed.add(number)
        # By now the program may have a handler of its own, which is then called; ours until it has.
        _wake_main(number)
        while signal.getsignal(number) is _handle:
            time.sleep(_PATIENCE)
            _wake_main(number)


def _wake_main(number: signal.Signals) -> None:
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        # To the main thread, so that what it waits for is interrupted.
        signal.pthread_kill(main, number)
    else:
        _thread.interrupt_main(number)


def be_sure_to_wake() -> None:
    """Have a signal wake the main thread of a child of `multiprocessing`, whenever it comes.

    Python tells of a signal in one more way, at once and in any thread: it writes to a file. That
    place is one for all, and asyncio and trio want it in a process that runs them.
    """
    if not _wanted or not hasattr(signal, "pthread_kill") or not _is_of_multiprocessing():
        return
    read, write = os.pipe()
    os.set_blocking(write, False)
    before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    if before != -1:
        signal.set_wakeup_fd(before)
        os.close(read)
        os.close(write)
        return
    threading.Thread(target=_see_to_it, args=(read,), name="ctxtrace", daemon=True).start()


def _see_to_it(read: int) -> None:
    while True:
        for received in os.read(read, 64):
            number = signal.Signals(received)
            if number not in _wanted:
                continue
            time.sleep(_PATIENCE)
            if number not in _under_way and signal.getsignal(number) is _handle:
                _wake_main(number)  # which is told here again


def _is_of_multiprocessing() -> bool:
    process: Any = sys.modules.get("multiprocessing.process")
    if process is None:
        return False
    if process.parent_process() is not None:
        return True
    # It may be forking just now, and does not know yet.
    frame: FrameType | None = sys._getframe()  # pyright: ignore[reportPrivateUsage]
    while frame is not None and frame.f_globals.get("__name__") != "multiprocessing.popen_fork":
        frame = frame.f_back
    return frame is not None


def _be_killed_by(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
