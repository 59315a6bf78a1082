"""Record what LangSmith would send, LangChain's and LangGraph's runs among it."""

from __future__ import annotations

import contextlib
import sys
import threading
from importlib import import_module
from typing import TYPE_CHECKING

from .._errors import guard

# Nothing is left to be imported when a recording ends: it may do so with the interpreter.
from . import _langsmith_clients, _langsmith_switches, _tape
from ._imports import when_imported
from ._langsmith_switches import Replaced

if TYPE_CHECKING:
    from collections.abc import Generator

SOURCE = "langsmith"

# The first of them that is complete has what the recorder turns. Nothing of LangSmith is
# imported for its own sake: it takes most of a second, and the program may not use it.
_CLIENT, _RUN_TREES, _ASYNC_CLIENT = (
    "langsmith.client",
    "langsmith.run_trees",
    "langsmith.async_client",
)

_lock = threading.RLock()
_listeners = 0
# Those among them who take the runs.
_recorders = 0
_failure: Exception | None = None
# What puts back the switches, while somebody listens, and the clients: these hear of the end of
# runs also after a recording.
_switches = Replaced()
_clients = Replaced()
_async_clients = Replaced()
_places = Replaced()


@contextlib.contextmanager
def listening(runs: _tape.Runs, *, watch: bool) -> Generator[None, None, None]:
    """Have every run that starts in the block appended, and none sent.

    Args:
        runs: Where to.
        watch: Leave all as it is: whether LangSmith traces, and where the runs go.

    Raises:
        RuntimeError: This LangSmith is not laid out as the known ones are, so that a run could
            get past the recorder.
    """
    global _listeners, _recorders
    with _lock:
        _listeners += 1
        _recorders += not watch
    _tape.open_for(SOURCE, runs, _let_go, watch=watch)
    try:
        if sys.modules.get(_CLIENT) or sys.modules.get(_RUN_TREES):
            _turn()
        for module in (_CLIENT, _RUN_TREES, _ASYNC_CLIENT):
            when_imported(module, _imported)
        with contextlib.nullcontext() if watch else _langsmith_switches.hidden(_tape.knows):
            yield
    finally:
        # First nothing is traced any more that the program would not trace by itself; then what
        # is traced goes where it would go.
        _turn_back(watch)
        _tape.close_for(SOURCE, runs)


def check() -> None:
    """Raise what kept the recorder from LangSmith when the program imported it."""
    if _failure is not None:
        raise RuntimeError(f"LangSmith was imported, and not recorded: {_failure}") from _failure


def _imported(module: object) -> None:
    def failed(error: Exception) -> None:
        global _failure
        _failure = error

    # LangSmith's client is a part of what the run trees import: these will call again.
    if getattr(module, "__name__", None) != _CLIENT or _RUN_TREES not in sys.modules:
        guard("the recording of LangSmith", _turn, told=failed)


def _turn() -> None:
    global _failure
    if not _listeners:
        return
    # Before the lock is taken: another thread may be about to import these, and call us then.
    import_module(_RUN_TREES)
    # Half imported it is where this is called by what it imports; it will call again.
    has_async_client = bool(sys.modules.get(_ASYNC_CLIENT)) and hasattr(
        import_module(_ASYNC_CLIENT), "AsyncClient"
    )
    with _lock:
        if not _listeners:
            return
        if not _clients:
            _langsmith_clients.intercept(_clients)
        if not _async_clients and has_async_client:
            _langsmith_clients.intercept_async(_async_clients)
        if not _places:
            _langsmith_switches.say_for(_places)
        if _recorders and not _switches:
            _langsmith_switches.turn(_switches, _langsmith_clients.recording_client)
        _failure = None


def _turn_back(watch: bool) -> None:
    global _listeners, _recorders
    with _lock:
        _listeners -= 1
        _recorders -= not watch
        if not _recorders:
            _switches.put_back()
        if not _listeners:
            _places.put_back()


def _let_go() -> None:
    """Give the clients back: nobody records, and no recorded run is still to end."""
    with _lock:
        if not _listeners:
            _langsmith_clients.let_go(_clients)
            _langsmith_clients.let_go(_async_clients)
