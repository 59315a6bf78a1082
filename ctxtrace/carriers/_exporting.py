"""What carriers know of sending: who has something to send, and what an exit and a fork need.

A library's runs wait in its exporters until they are sent. Which exporters there are, a carrier
finds out anew each time: nothing is patched to be told of them, and nothing is held.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from .._errors import guard
from . import BUILT_IN, active, called

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator


class Exporter(Protocol):
    """Something that keeps runs until they are sent: a client, a provider, a processor."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    @property
    def target(self) -> object:
        """The library's own object. Two exporters of one target are the same."""
        ...

    def flush(self, timeout: float) -> object:
        """Send what has been recorded; False if some of it was left.

        Called in a thread of ours, never twice at once for one target. Need not end in time:
        who asked stops waiting, and is told so.
        """
        ...

    def shutdown(self, timeout: float) -> object:
        """Do the same, and take nothing more."""
        ...


class _OfCarrier:
    """A carrier that sends by itself: one of the user's own, with a ``flush``."""

    def __init__(self, carrier: Any) -> None:
        self.name: str = carrier.name
        self.target = carrier

    def flush(self, timeout: float) -> object:
        return self.target.flush(timeout)

    def shutdown(self, timeout: float) -> object:
        shutdown = getattr(self.target, "shutdown", None)
        return self.flush(timeout) if shutdown is None else shutdown(timeout)


def get_ready() -> None:
    """Import what may be needed at the end of the program, and takes locks and code to import.

    None of it is a tracing library. At its end Python takes an interrupt for one that was dealt
    with, as soon as any code is compiled, as `typing.NamedTuple` does.
    """
    for _, ours in BUILT_IN:
        guard("flush_on_exit()", import_module, f"{__package__}.{ours}")


def live_exporters() -> list[Exporter]:
    """Return all exporters that there are in the process now, each once."""
    found: dict[int, Exporter] = {}
    for carrier in active():
        for exporter in guard(called(carrier), _exporters_of, carrier) or ():
            found.setdefault(id(exporter.target), exporter)
    return list(found.values())


def _exporters_of(carrier: Any) -> list[Exporter]:
    exporters = getattr(carrier, "exporters", None)
    if exporters is not None:
        return list(exporters())
    return [_OfCarrier(carrier)] if callable(getattr(carrier, "flush", None)) else []


def say_that_the_program_ends(
    bounded: Callable[[Callable[[], Any]], Callable[[], Any]],
) -> list[threading.Thread]:
    """Tell the carriers that the program ends, before Python waits for its threads.

    Args:
        bounded: Makes a function return when the time for ending is over, whether or not what
            it does is done.

    Returns:
        The libraries' threads that Python would wait for without limit.
    """
    return [thread for threads in _each("ending", bounded) for thread in threads]


def renew_in_child(exporters: list[Exporter]) -> list[Callable[[], None]]:
    """Have the carriers make their libraries work in the child of a fork.

    Args:
        exporters: Those that there were before it: some are found by threads, which are gone.

    Returns:
        What undoes what has to stand for as long as the child lives.
    """
    undo = list(_each("after_fork"))
    for exporter in exporters:
        renew = getattr(exporter, "renew", None)
        if renew is not None:
            guard(exporter.name, renew)
    return undo


def _each(method: str, *args: Any) -> Iterator[Any]:
    for carrier in active():
        call = getattr(carrier, method, None)
        result = None if call is None else guard(called(carrier), call, *args)
        if result is not None:
            yield result
