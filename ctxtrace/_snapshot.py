"""Capture the current context and run work in it elsewhere: the one place that copies,
restores and pins.

A boundary needs two things of the context it is crossed in: a private copy, in which the
work runs, and the pins, which keep the parent run alive until the work is done. `cross` gives
both for one crossing, `Snapshot` for any number.

The copy is private because one context cannot be entered twice at once, and because what
work sets is its own. The pins are held by the work and never by the context: timers,
connection pools and finished tasks keep contexts alive for as long as the process runs.
"""

# crossing_of() and _call() are as much part of Snapshot as its methods, and no business of its
# users.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import functools
import inspect
import sys
from contextvars import Context, copy_context
from functools import partial
from types import BuiltinMethodType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ._compat import without_our_frames
from ._drive import drive_awaitable, drive_coroutine, drive_generator, driver_of
from ._overlay import Overlay, traces_of, values_of, values_without_runs
from .carriers import take_pins

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from contextlib import AbstractContextManager

    from typing_extensions import Never, ParamSpec

    _P = ParamSpec("_P")
    _Driver = Callable[[Context, Callable[[], Any], object], Any]

_T = TypeVar("_T")

# Variables that say something about a thread rather than about a request. Where work arrives
# they have the value of the place of arrival: with the sender's, anyio.run() in a pool's
# thread raises "Already running asyncio in this thread".
_OF_THE_THREAD = (("sniffio", "current_async_library_cvar"),)


def settle(context: Context, here: bool = False) -> Context:
    """Make a copied context true of this thread, or of one that runs nothing yet."""
    for module, name in _OF_THE_THREAD:
        library = sys.modules.get(module)
        if library is None:
            continue
        variable = getattr(library, name, None)
        if variable is not None:
            value = variable.get(None) if here else None
            if context.get(variable) != value:
                context.run(variable.set, value)
    return context


# Called in place of copy_context(), and with a wrapped function at each of its calls, while
# somebody diagnoses. The second returns the snapshot to call it in.
on_copy: Callable[[], Context] | None = None
on_wrapped: Callable[[Snapshot, Any], Snapshot] | None = None


def _copied() -> Context:
    return copy_context() if on_copy is None else on_copy()


class _Pinned(partial[_T]):
    # On the object, never in the context.
    pins: object


def crossing() -> Callable[..., Any]:
    """Capture the current context for one call, in another thread.

    The result is called there with the function and its arguments. It runs the function in that
    context without a Python frame of its own: the user's tracebacks stay as they are, and no
    frame is left to hold the pins.
    """
    # Written for speed: this is at every submit() of a program.
    context = copy_context() if on_copy is None else on_copy()
    pins = take_pins()
    settle(context)
    return context.run if pins is None else _pinned(pins, context.run)


def cross(function: Callable[..., _T]) -> Callable[..., _T]:
    """Do what `crossing` does, for a function that is known already."""
    return _crossing(_copied(), take_pins(), function)


def _crossing(context: Context, pins: object, function: Callable[..., _T]) -> Callable[..., _T]:
    settle(context)
    if pins is None:
        return partial(context.run, function)
    return _pinned(pins, context.run, function)


def _pinned(pins: object, function: Callable[..., Any], *args: Any) -> Callable[..., Any]:
    pinned: _Pinned[Any] = _Pinned(function, *args)
    pinned.pins = pins
    return pinned


def release(crossing: Callable[..., Any]) -> None:
    """Let go of the pins of a crossing that will not be called."""
    if type(crossing) is _Pinned:
        vars(crossing).pop("pins", None)


# What install() has third-party code do in place of cross(). It is given whatever that code
# hands on, and some of it brings its context along: what asyncio.to_thread() and LangSmith's and
# LangChain's executors submit. That is not carried twice, and lacks only the pin.


_MAY_BRING_ONE = (partial, BuiltinMethodType)


def carry_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """Do what `cross` does, if the function does not bring a context along itself."""
    # Written for speed: this is at every submit() of a program.
    brings: Any = function
    if isinstance(brings, _MAY_BRING_ONE) and context_of(brings) is not None:
        return _with_pins(function)
    context = copy_context() if on_copy is None else on_copy()
    return _crossing(context, take_pins(), function)


def carry_each(function: Callable[..., Any]) -> Callable[..., Any]:
    """Capture the current context for any number of calls of `function`, in other threads."""
    if context_of(function) is not None:
        return _with_pins(function)
    context = _copied()
    return _pinned(take_pins(), _cross_each, context, function)


def carry_traces(function: Callable[..., Any]) -> Callable[..., Any]:
    """Capture the carriers' variables alone, for calls of `function` in other threads.

    They are set around each call, in the context that the thread has. Everything else in it
    stays as it is, from one call to the next.
    """
    if context_of(function) is not None:
        return _with_pins(function)
    values = traces_of(_copied())
    return _pinned(take_pins(), _call_traced, values, function)


def context_of(function: Any) -> Context | None:
    """Return the context that a function brings along, as ``partial(context.run, f)`` does."""
    while isinstance(function, partial):
        function = function.func
    if type(function) is BuiltinMethodType and type(function.__self__) is Context:
        return function.__self__
    return None


def _with_pins(function: Any) -> Any:
    if isinstance(function, _Pinned):
        return cast("Any", function)
    context = context_of(function)
    pins = None if context is None else context.copy().run(take_pins)
    return function if pins is None else _pinned(pins, function)


def _cross_each(
    context: Context, function: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Any:
    try:
        return settle(context.copy()).run(function, *args, **kwargs)
    except BaseException as error:
        without_our_frames(error)
        raise
    finally:
        del context, function, args, kwargs  # a kept error keeps the frames it came through


def _call_traced(values: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    try:
        with Overlay(values.copy, None):
            return function(*args, **kwargs)
    except BaseException as error:
        without_our_frames(error)
        raise
    finally:
        del values, function, args, kwargs


def capture() -> Snapshot:
    """Take a snapshot of the current context and of what must stay alive for it.

    Returns:
        A `Snapshot`, immutable and usable any number of times, from any thread, at once.

    The snapshot keeps the current run alive, for as long as it exists itself.
    """
    return Snapshot(_copied(), take_pins())


def wrap(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Bind a function to the current context: the same as ``capture().wrap(function)``.

    The context is the one of *this* call, not of later calls of the function. As a decorator
    on a module's top level it would capture the context of the import, which is empty.

    Args:
        function: Any callable, see `Snapshot.wrap`.

    Returns:
        A function of the same kind.

    Raises:
        TypeError: `function` is not callable.
    """
    _check_callable("wrap", function)
    return capture().wrap(function)


def detached(*misused: Never) -> AbstractContextManager[None]:
    """Start work inside the block that belongs to no trace.

    For background workers, caches and connection pools that are started while a request is
    being served and outlive it: without this they show that request for ever.

    Within the block no run and no span is current. Everything else stays: the user's own
    variables, LangSmith's project, client, tags and whether tracing is on, OpenTelemetry's
    baggage, LangChain's config save for its parent run. Afterwards all is as it was before;
    left in another context than it was entered in, it changes nothing there.

    Returns:
        A context manager for ``with``, also in coroutines. Not a decorator.

    Raises:
        TypeError: It was used as a decorator.
    """
    overlay = Overlay(values_without_runs, None)
    return overlay(*misused) if misused else overlay


class Snapshot:
    """An immutable picture of a context, and the pins of the runs that were current in it.

    Made by `capture`. A snapshot is never entered itself: each use enters a copy, so that
    uses neither see each other's changes nor get in each other's way. It may be used from
    any number of threads and tasks at once, and inside itself.

    Pins are held by the snapshot, and by each use of it until the use is over. What is
    dropped is freed at once; nothing here is part of a reference cycle.
    """

    __slots__ = ("__weakref__", "_context", "_pins")

    def __init__(self, context: Context, pins: object) -> None:
        self._context = context
        self._pins = pins

    def run(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call a function in a fresh private copy of the captured context.

        The same as ``snapshot.wrap(function)(*args, **kwargs)``: a coroutine function gives a
        coroutine, a generator function a generator, whose every step runs in that copy.

        Args:
            function: Any callable.
            *args: Its positional arguments.
            **kwargs: Its keyword arguments.

        Returns:
            What the function returns.

        Raises:
            TypeError: `function` is not callable.
            Exception: Whatever the function raises.
        """
        _check_callable("Snapshot.run", function)
        try:
            return _call(self, function, driver_of(function), args, kwargs)
        except BaseException as error:
            without_our_frames(error)
            raise
        finally:
            del self  # as in _call()

    def wrap(self, function: Callable[_P, _T]) -> Callable[_P, _T]:
        """Bind a function to this snapshot.

        Each call runs in a fresh private copy of the captured context; what one call sets,
        the next does not see. The result is a function of the same kind, with the same name,
        signature and docstring: a coroutine function stays one, and so do generator functions
        and async generator functions, whose every step runs in the copy.

        A plain function that *returns* a coroutine is a plain function: its body is run in the
        context, and what it returns is not. Use `drive` for that.

        Args:
            function: A function, method, class, `functools.partial`, or an object with
                ``__call__`` or ``async def __call__``.

        Returns:
            The bound function. It keeps the snapshot alive, and so does an exception from it
            that is kept, for Python keeps the frames an exception came through.

        Raises:
            TypeError: `function` is not callable.
        """
        _check_callable("Snapshot.wrap", function)
        driver = driver_of(function)
        if driver is None:
            return _function(self, function, None)
        if isinstance(function, (FunctionType, MethodType, partial)):
            return _bound(self, function, driver)
        if driver is drive_coroutine:
            # Frameworks ask of an object with `async def __call__` whether they may await it,
            # by looking at that method; so the method stands for the object.
            return _bound(self, getattr(function, "__call__"), driver)  # noqa: B004, B009
        return _function(self, function, driver)

    def drive(self, awaitable: Awaitable[_T]) -> Coroutine[Any, Any, _T]:
        """Await something with every step inside one private copy of the captured context.

        The steps are taken in the task that awaits the result; no task is made. Mirrors what
        ``asyncio.create_task(coro, context=...)`` does for a task's own coroutine.

        Args:
            awaitable: A coroutine, a future, or any other awaitable.

        Returns:
            A coroutine, to be awaited once or to be given to a task. It keeps the pins until
            it is done.

        Raises:
            TypeError: `awaitable` cannot be awaited.
        """
        if not inspect.isawaitable(awaitable):
            hint = "call it first" if callable(awaitable) else "pass a coroutine or a future"
            raise TypeError(
                f"Snapshot.drive() takes an awaitable, and {awaitable!r} cannot be awaited: {hint}."
            )
        return drive_awaitable(settle(self._context.copy(), here=True), awaitable, self._pins)

    def attach(self) -> AbstractContextManager[None]:
        """Overlay the captured context on the current one, for a block.

        An approximation, for where a block cannot be made a function. The captured variables
        are set; those of the tracing libraries that the snapshot lacks are cleared. At the
        end those, and only those, get back the values they had before: a variable that the
        block sets itself and the snapshot does not have stays set. `run`, `wrap` and `drive`
        isolate exactly.

        Left in another context than it was entered in (by a generator that is closed from
        elsewhere), it changes nothing there and raises nothing.

        Returns:
            A context manager, to be entered once, that keeps the pins during the block.
        """
        context = self._context
        return Overlay(lambda: values_of(settle(context.copy(), here=True)), self._pins)


def capture_for_threads() -> Snapshot:
    """Take a snapshot for `crossing_of` alone: settled once, and not for each crossing."""
    return Snapshot(settle(_copied()), take_pins())


def crossing_of(snapshot: Snapshot) -> Callable[..., Any]:
    """Do what `crossing` does, with a copy of a snapshot's context."""
    run = snapshot._context.copy().run
    return run if snapshot._pins is None else _pinned(snapshot._pins, run)


def call_within(snapshot: Snapshot, function: Callable[..., _T], *args: Any) -> _T:
    """Do what `Snapshot.run` does, for a function whose body is known to run when it is called."""
    try:
        return _call(snapshot, function, None, args, {})
    finally:
        del snapshot, args  # as in _call()


def await_within(
    snapshot: Snapshot, function: Callable[..., Coroutine[Any, Any, _T]], *args: Any
) -> Coroutine[Any, Any, _T]:
    """Do what `Snapshot.run` does, for what is known to be a coroutine function."""
    try:
        return _call(snapshot, function, drive_coroutine, args, {})
    finally:
        del snapshot, args


def call_here(
    function: Callable[..., Any],
    driver: _Driver,
    args: Any,
    kwargs: Any,
    *,
    here: bool,
    context: Context | None = None,
) -> Any:
    """Capture the current context for one call, made at once, and for what it returns.

    Args:
        function: What to call.
        driver: Called with the context, a function that makes the call, and the pins.
        args: The positional arguments of the call.
        kwargs: Its keyword arguments.
        here: Whether what is called, and what it returns, runs in this thread.
        context: What to capture in place of the current one.
    """
    if context is None:
        context, pins = _copied(), take_pins()
    else:
        context = context.copy()
        pins = context.run(take_pins)
    if not here:
        settle(context)
    try:
        return driver(context, partial(context.run, function, *args, **kwargs), pins)
    finally:
        del context, pins, driver  # a kept error keeps the frames it came through


def _call(
    snapshot: Snapshot, function: Callable[..., Any], driver: _Driver | None, args: Any, kwargs: Any
) -> Any:
    """Call `function` in a fresh copy, and drive what it returns."""
    # A generator may be stepped in any thread; what is asynchronous stays in one.
    context = settle(snapshot._context.copy(), here=driver is not drive_generator)
    try:
        if driver is None:
            return context.run(function, *args, **kwargs)
        make = partial(context.run, function, *args, **kwargs)
        return driver(context, make, snapshot._pins)
    finally:
        make = None
        del snapshot, context  # as in call_here()


# The two shapes of what `Snapshot.wrap` returns.


def _function(snapshot: Snapshot, function: Any, driver: _Driver | None) -> Any:
    @functools.wraps(function)
    def bound(*args: Any, **kwargs: Any) -> Any:
        here = snapshot if on_wrapped is None else on_wrapped(snapshot, function)
        try:
            return _call(here, function, driver, args, kwargs)
        except BaseException as error:
            without_our_frames(error)
            raise

    return bound


def _bound(snapshot: Snapshot, function: Any, driver: _Driver) -> Any:
    def bound(wrapped: Any, _: object, args: Any, kwargs: Any) -> Any:
        here = snapshot if on_wrapped is None else on_wrapped(snapshot, wrapped)
        try:
            return _call(here, wrapped, driver, args, kwargs)
        except BaseException as error:
            without_our_frames(error)
            raise

    return seen_as(function, bound)


def seen_as(function: Any, bound: Callable[[Any, object, Any, Any], Any]) -> Any:
    """Return what is seen as `function`, of whatever kind that is, and calls `bound`.

    That is called when the result is, so errors in the arguments are raised at the call. Its
    arguments are the function (bound, where it is a method), the instance, the positional and
    the keyword arguments.
    """
    # A plain function in its place would not be of a generator function's kind, and a
    # generator function would not run before its first step.
    from ._function import Function

    return Function(function, bound)


def _check_callable(who: str, function: object) -> None:
    if not callable(function):
        hint = (
            "a coroutine is driven with capture().drive(coroutine)"
            if hasattr(type(function), "__await__")
            else "pass the function itself, not the result of calling it"
        )
        raise TypeError(f"{who}() takes a callable, and {function!r} is not one: {hint}.")


for _name in (Snapshot, capture, detached, wrap):
    _name.__module__ = "ctxtrace"  # where users find them, and what tracebacks show
