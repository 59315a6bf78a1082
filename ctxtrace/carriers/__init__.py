"""What a tracing vendor needs beside plain context variables, and who is asked for it.

A copied context carries every vendor's variables. Three things it cannot do, and a carrier
does: keep a parent run alive that the vendor's variable holds only weakly (`pin`), say that
no run is current without losing the rest of the vendor's settings (`clear`), and name the
variables that are the vendor's own (`variables`).

The built-in carriers are made when their library turns up in ``sys.modules``, and not
before: a library that was never imported has no run to lose, and importing one takes up to
a second. Nothing in this file knows a vendor beyond the name of the module to look for.
"""

from __future__ import annotations

import sys
import threading
from contextvars import Context, ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .._errors import guard
from ._protocol import Carrier, StreamEnd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

__all__ = ["Carrier", "StreamEnd", "register_carrier"]


# For each library: the module whose presence shows that a run may be current, and ours.
BUILT_IN = (
    ("langsmith._internal._context", "langsmith"),
    ("langchain_core.runnables.config", "langchain"),
    ("opentelemetry.trace", "otel"),
    ("langfuse._client.resource_manager", "langfuse"),
)

_lock = threading.Lock()
# How many modules there were when none of the libraries was among them. Something new may be
# there once there are more; that some went and as many came is not worth a look per crossing.
_modules_seen = 0
# Replaced, never changed: readers take no lock.
_waiting: tuple[tuple[str, str], ...] = BUILT_IN
_active: tuple[Carrier, ...] = ()
# Those that pin: what the log calls it, its pin(), and for a built-in one what gives None where no
# run is current.
_pinning: tuple[tuple[str, Callable[[], object], Callable[[], object] | None], ...] = ()
# Those that can name the current run, each with what the log calls it, and those that know whether
# the context says that work is traced: for who looks at every crossing, and has looked for new ones
# when a run began.
naming: tuple[tuple[str, Any], ...] = ()
switched: tuple[Any, ...] = ()


def take_pins() -> tuple[object, ...] | None:
    """Ask every carrier for its pin; None, and nothing allocated, where there is none."""
    if _waiting and len(sys.modules) != _modules_seen:
        _look_for_libraries()
    pins = None
    for who, pin, peek in _pinning:
        # A context variable's own get(), which cannot fail: mostly that is all there is to do.
        if peek is not None and peek() is None:
            continue
        held = guard(who, pin)
        if held is not None:
            pins = (held,) if pins is None else (*pins, held)
    return pins


def called(carrier: Carrier) -> str:
    """Return how the log calls a carrier."""
    return f"carrier {carrier.name!r}"


def revive(pins: Iterable[object]) -> None:
    """Have the carriers make a run current again that died in the context before its pin."""
    for carrier in active():
        method = getattr(carrier, "revive", None)
        if method is not None:
            for pin in pins:
                guard(called(carrier), method, pin)


def context_meant_by(frame: FrameType) -> Context | None:
    """Return the context that a library means to call something in, from one of its frames.

    None for all frames but those in which a library calls a function here and steps what it
    returns there.
    """
    for carrier in active():
        method = getattr(carrier, "context_meant_by", None)
        context = None if method is None else guard(called(carrier), method, frame)
        if context is not None:
            return context
    return None


def current_runs() -> dict[str, tuple[object, str]]:
    """Return the identifier and the name of each run that is current, by the carrier's name."""
    if _waiting and len(sys.modules) != _modules_seen:
        _look_for_libraries()
    found: dict[str, tuple[object, str]] = {}
    for who, carrier in naming:
        run = guard(who, carrier.current)
        if run is not None:
            found[carrier.name] = run
    return found


def holds_weakly(name: str) -> bool:
    """Whether a library's context holds the current run weakly, by the carrier's name."""
    return any(
        carrier.name == name and getattr(carrier, "holds_weakly", False) for _, carrier in naming
    )


def active() -> tuple[Carrier, ...]:
    """Return the carriers whose library is loaded, and the registered ones."""
    if _waiting:
        _look_for_libraries()
    return _active


def variables_of(carrier: Carrier) -> tuple[ContextVar[Any], ...]:
    """Return the carrier's own variables; none where it fails to say."""
    return guard(called(carrier), _variables, carrier) or ()


def _variables(carrier: Carrier) -> tuple[ContextVar[Any], ...]:
    variables = tuple(carrier.variables())
    for variable in variables:
        if not isinstance(variable, ContextVar):
            raise TypeError(f"variables() is to give context variables, and gave {variable!r}")
    return variables


def load_wanted() -> None:
    """Import the libraries that are to trace, as the environment says, and that nobody has yet.

    For who asks for a run in so many words; a crossing has no use for a library that nothing
    else has imported.
    """
    for library, ours in _waiting:
        if library not in sys.modules:
            module = import_module(f"{__name__}.{ours}")
            load = getattr(module, "load_if_wanted", None)
            if load is not None:
                guard(f"carrier {ours!r}", load)


def register_carrier(carrier: Carrier) -> Callable[[], None]:
    """Have ctxtrace carry one more tracing library.

    It is asked from now on, at every crossing, for as long as it is registered; it may be
    registered before or after the built-in ones are found.

    Args:
        carrier: An object with `name`, `pin`, `clear` and `variables`, see `Carrier`.

    Returns:
        A function that takes the carrier off again. Calling it twice does nothing.

    Raises:
        TypeError: The object lacks one of them, or was given as a class.

    Safe to call from any thread; crossings under way keep the carriers they began with.
    """
    missing = [
        method
        for method in ("pin", "clear", "variables")
        if not callable(getattr(carrier, method, None))
    ]
    if not isinstance(getattr(carrier, "name", None), str):
        missing.insert(0, "name")
    if missing or isinstance(carrier, type):
        why = "is a class" if isinstance(carrier, type) else f"has no {', '.join(missing)}"
        raise TypeError(
            f"register_carrier() takes a carrier, and {carrier!r} {why}. Pass an instance of "
            "a class with a name (str) and the methods pin(), clear() and variables(); "
            "subclassing ctxtrace.Carrier provides pin() and variables()."
        )
    _activate(carrier)
    done = False

    def undo() -> None:
        nonlocal done
        with _lock:
            if done:
                return
            done = True
            kept = list(_active)
            # By identity, and only once: the same object may have been registered twice.
            del kept[max(i for i, other in enumerate(kept) if other is carrier)]
            _replace(kept)

    return undo


def _activate(carrier: Carrier) -> None:
    with _lock:
        _replace([*_active, carrier])


def _replace(carriers: list[Carrier]) -> None:
    global _active, _pinning, naming, switched
    _active = tuple(carriers)
    naming = tuple((called(each), each) for each in carriers if hasattr(each, "current"))
    switched = tuple(each for each in carriers if hasattr(each, "is_on"))
    _pinning = tuple(
        (called(carrier), carrier.pin, _peek_of(carrier))
        for carrier in carriers
        if getattr(type(carrier), "pin", None) is not Carrier.pin
    )


def _peek_of(carrier: Any) -> Callable[[], object] | None:
    # Of ours alone: it is called without a guard.
    ours = type(carrier).__module__.startswith(f"{__name__}.")
    return getattr(carrier, "_peek", None) if ours else None


def _look_for_libraries() -> None:
    global _waiting, _modules_seen
    modules = sys.modules
    count = len(modules)
    for library, ours in _waiting:
        if library not in modules:
            continue
        if _is_importing(modules[library]):
            count = 0  # it need not grow again before this one is complete
            continue
        with _lock:
            if (library, ours) not in _waiting:
                continue  # another thread was faster
            _waiting = tuple(entry for entry in _waiting if entry[0] != library)
        # Outside the lock: this imports a module of ours, and imports take locks too.
        carrier = guard(f"carrier {ours!r}", _make, ours)
        if carrier is not None:
            _activate(carrier)
    _modules_seen = count


def _is_importing(module: object) -> bool:
    # importlib's own mark. While it is set the module may lack what its carrier looks for.
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


def _make(ours: str) -> Carrier:
    carrier: Carrier = import_module(f"{__name__}.{ours}").make()
    return carrier


register_carrier.__module__ = "ctxtrace"
