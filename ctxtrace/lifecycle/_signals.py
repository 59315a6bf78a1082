"""Signals that would kill the process at once: flush first, then be killed by them.

A handler runs between two instructions of the main thread, which may hold any lock. So ours takes
none and flushes nothing: it starts a thread, with the one call that takes no lock, and returns.
That thread flushes, and then has the main thread called again, which puts the default back and
sends the signal to its own process: the exit status is the signal's. Until then the program goes
on. A second signal changes nothing: a supervisor and a process group often send it twice.

A signal to a child that is just being forked must find that child ready: Python forgets what comes
before it is, and the child would not know its runs from its parent's. So such signals are blocked
while the process forks, and come after it.

A signal that comes at the very moment when the main thread begins to wait, for a lock or a pipe,
is taken note of and does not wake it: Python runs its handler when that wait is over. The default
would have killed it. For a signal that comes by chance that moment is too short to matter; but
`multiprocessing.Pool` terminates its workers just when they begin to wait for more work. In such a
process `_be_sure_to_wake` sees to it.
"""

from __future__ import annotations

import _thread
import faulthandler
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
# The pipes that are written to when a signal comes, and read by a thread of ours.
_pipes: dict[signal.Signals, tuple[int, int]] = {}
# By thread: what a thread that forks had blocked before.
_masks: dict[int, set[Any]] = {}


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
        _be_sure_to_wake(number)
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
            _be_told_no_more(number)
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
    """Keep signals from this thread, which is about to fork, and from its child."""
    thread = _thread.get_ident()
    if _wanted and thread not in _masks and hasattr(signal, "pthread_sigmask"):
        _masks[thread] = signal.pthread_sigmask(signal.SIG_BLOCK, _wanted)


def has_forked() -> None:
    """Let those come that came meanwhile, to the parent or to the child that this is."""
    mask = _masks.pop(_thread.get_ident(), None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def renew() -> None:
    """Forget, in the child of a fork, signals that came to the parent."""
    global _is_ending
    _is_ending = False
    _under_way.clear()
    _flushed.clear()
    # Its pipes are the parent's, whose thread would take the child's signals for its own.
    for number in [*_pipes]:
        os.close(_pipes[number][0])
        _be_told_no_more(number)
    for number in _wanted:
        if signal.getsignal(number) is _handle:
            _be_sure_to_wake(number)


def _handle(received: int, _: object) -> None:
    number = signal.Signals(received)
    flushes = _wanted.get(number)
    if number in _flushed or not flushes:
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


def _be_sure_to_wake(number: signal.Signals) -> None:
    """Have a signal wake the main thread of a child of `multiprocessing`, whenever it comes.

    faulthandler has a handler in C that runs at once, in any thread, and writes to a file before it
    goes on to Python's. (`signal.set_wakeup_fd` would do, too; but asyncio and trio want it.)
    """
    if not hasattr(faulthandler, "register") or not _is_of_multiprocessing():
        return
    read, write = _pipes[number] = os.pipe()
    os.set_blocking(write, False)
    faulthandler.register(number, file=write, all_threads=False, chain=True)
    threading.Thread(target=_see_to_it, args=(number, read), name="ctxtrace", daemon=True).start()


def _be_told_no_more(number: signal.Signals) -> None:
    if number in _pipes:
        faulthandler.unregister(number)
        _, write = _pipes.pop(number)
        os.close(write)


def _see_to_it(number: signal.Signals, read: int) -> None:
    while os.read(read, 4096):
        time.sleep(_PATIENCE)
        while number not in _under_way and signal.getsignal(number) is _handle:
            _wake_main(number)
            time.sleep(_PATIENCE)
    os.close(read)


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
