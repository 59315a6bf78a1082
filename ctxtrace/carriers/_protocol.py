"""What ctxtrace asks of one tracing library: `Carrier`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextvars import ContextVar


class Carrier(Protocol):
    """What ctxtrace asks of one tracing library.

    Write one for a tracer of your own and hand it to `register_carrier`. Subclassing is
    optional; who subclasses inherits a `pin` and a `variables` that do nothing, and is not
    asked for what it inherits.

    A method that raises is logged once and taken for one that returned None: the work that
    crosses goes on. Every method may be called from any thread, at any time, several at once.

    A carrier may have more methods. For whoever is to be told of the run:

    ``current()`` returns the identifier and the name of the current run, or None where no run is
    current. The identifier is an object of any kind, whose `str` is what the run is known by.
    Neither keeps the run alive. Called at every crossing while somebody diagnoses.

    ``is_on()`` returns whether the context that is current itself says that work is traced.

    ``holds_weakly`` is true where the library's context holds the current run weakly.

    For streams:

    ``open_run(name, run_type, inputs)`` opens a run and makes it current, in the context that
    is current, which belongs to the stream alone. It returns a function to end the run with,
    or None when nothing is traced now. That function is called once, with a `StreamEnd`, from
    any context and thread. `inputs()` returns the arguments of the call by name, or None. Two
    attributes of the function are looked at: if ``without_outputs`` is true, no outputs are
    gathered for it, and ``pin`` is what `revive` is given.

    ``revive(pin)`` is for libraries whose context holds the current run weakly. It makes
    `pin` current again in the context that is current, if what was current there has died
    although its pin was held. The garbage collector brings that about: of a group of objects
    that dies at once it clears the weak references first, and closes generators after that.

    ``join(chunks)`` returns one object made of a list of them, or None for chunks that are
    not the library's own.

    For `flush` and what is like it, of all of which only the first is asked of a carrier of
    your own:

    ``flush(timeout)`` sends what was recorded, and returns False if it could not. It is called
    in a thread of ours, one call at a time. It may take longer than `timeout`, seconds: who
    asked for it then stops waiting, and it goes on. ``shutdown(timeout)`` does the same for the
    last time.

    ``after_fork()`` makes the library work in the child of a fork. It may return a function that
    takes back what has to stand for as long as the child lives.

    ``ending(bounded)`` is called when the program ends, before Python waits for its threads. It
    returns the library's threads that Python is to wait for no longer than `flush_on_exit` was
    told. `bounded(f)` is a function that calls `f`, and returns when that time is over.

    ``exporters()`` returns, instead of ``flush``, all that is to be flushed: objects with a
    ``name``, the ``target`` that they stand for, ``flush(timeout)`` and ``shutdown(timeout)``.
    """

    __module__ = "ctxtrace"

    name: str
    """The library, as it is called in logs and reports."""

    def pin(self) -> object | None:
        """Return what must stay alive for children of the current run, or None.

        Called in the sender's context and thread, at every crossing, and now and then while that
        thread holds a lock of the standard library's: keep it fast, and wait for nothing. What it
        returns is held by the work that crosses (a work item, a thread's frame, a task until
        it is done) and dropped with it. None means that no run is current, or that the
        context itself holds it strongly.
        """
        return None

    def clear(self) -> None:
        """Make no run current, in the context that is current.

        Called in a private copy of the context, from which `detached` takes the values of
        `variables`. Set variables, never reset them. What is not the current run itself
        (project, client, tags, baggage, whether tracing is on) stays.
        """
        ...

    def variables(self) -> Iterable[ContextVar[Any]]:
        """Return the context variables that are the library's own.

        Each needs a default, which stands for "nothing": it is what `Snapshot.attach` sets
        where the snapshot has no value.
        """
        return ()


class StreamEnd(NamedTuple):
    """What is known of a stream when it has ended; see `Carrier`."""

    outputs: Any
    """What the stream gave, joined, reduced or as a list. None where it was not recorded."""

    error: Exception | None
    """What the stream failed with."""

    closed_early: bool
    """Whether its consumer ended it, by break, close, cancellation, or by dropping it."""

    chunks: int
    """How many chunks it gave."""

    kept: int
    """How many of them the outputs are made of."""

    first_chunk_after: float | None
    """Seconds from the opening of the run to the first chunk."""

    reduce_error: Exception | None
    """What the user's ``reduce`` failed with; the outputs are then as they are without it."""
