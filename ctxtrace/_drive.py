"""Step a coroutine, a generator or an async generator inside one context: the one place.

None of the three has a context of its own: each step runs in the context of whoever takes
it. To *drive* one is to take every step inside one given context, in the caller's own task
and thread. `Context.run` around each step is all it takes, and what these few lines add is
that nobody can tell:

* What a caller gets is a real coroutine, generator or async generator, whose body forwards
  whatever is done to it (`send`, `throw`, `close` and their async kin) to the inner one.
  Re-entrancy errors, "never awaited" warnings, closing by the garbage collector and by the
  event loop's hooks then come from Python itself.
* No task is made. `asyncio.current_task()`, `asyncio.timeout` and cancel scopes see what
  they would see without the driver.

Each driver keeps the pins it is given for as long as its frame lives, and drops them before
an exception leaves the frame, because a kept exception keeps its frames.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import AsyncGenerator, Coroutine, Generator
from contextlib import suppress
from functools import partial
from itertools import repeat
from types import AsyncGeneratorType, CoroutineType, FunctionType, GeneratorType
from typing import TYPE_CHECKING, Any, TypeVar

from ._compat import CLOSING_A_STEP_CLOSES, is_suspended, without_our_frames
from .carriers import revive

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import Context

_T = TypeVar("_T")

_CO_SUSPENDS = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


# Of which type checkers make more than there is in it.
_map: Any = map


class Steps(_map, Coroutine[Any, Any, _T]):
    """What a coroutine is to the one who steps it, with every step inside a context.

    A step is ``run(send, None)``. Python's own `map` takes it, and is what the interpreter
    finds in ``await`` and in a task's step: no Python frame lies between the one who steps and
    the one who is stepped, which is half of what a step costs.

    Forwards attributes, so that a task shows the inner coroutine's name and line in its repr
    and its stack when it is given this object for a coroutine.
    """

    __slots__ = ("_inner", "_run")

    _inner: Any
    _run: Any

    __await__: Any = _map.__iter__  # itself

    @classmethod
    def of(cls, context: Context, inner: Any) -> Steps[Any]:
        """Return the steps of a coroutine."""
        steps = cls(context.run, repeat(inner.send), repeat(None))
        steps._run = context.run
        steps._inner = inner
        return steps

    def send(self, value: Any) -> Any:
        return self._run(self._inner.send, value)

    def throw(self, *error: Any) -> Any:
        try:
            return self._run(self._inner.throw, *error)
        finally:
            del error  # which has this frame, or has an error that has it

    def close(self) -> None:
        self._run(self._inner.close)

    def __getattr__(self, name: str) -> Any:
        if name in Steps.__slots__:  # of one that was made by copying: it is no coroutine
            raise AttributeError(name)
        return getattr(self._inner, name)


class _StepsOfMany(Steps[Any]):
    """The steps of one awaitable iterator after the other: put the next one into `box[0]`.

    For a driver that awaits thousands of them. It awaits one at a time, so one object serves
    them all; with an object for each, a chunk would cost half as much again.
    """

    __slots__ = ("box",)

    box: list[Any]

    @classmethod
    def within(cls, context: Context) -> _StepsOfMany:
        box: list[Any] = [None]
        steps = cls(context.run, repeat(next), map(box.__getitem__, repeat(0)))
        steps._run = context.run
        steps.box = box
        return steps

    @property
    def _inner(self) -> Any:
        return self.box[0]

    def close(self) -> None:
        # The driver is closed in the middle of a step, and nobody else will close its generator.
        if CLOSING_A_STEP_CLOSES:
            self._run(self._inner.close)
            return
        try:
            self._run(self._inner.throw, GeneratorExit)
        except (GeneratorExit, StopAsyncIteration):
            return
        raise RuntimeError("async generator ignored GeneratorExit")


class Unstarted:
    """A coroutine that has not been stepped, and its pins, held by the one that will await it.

    If that one is dropped or closed before its first step, Python says so ("was never
    awaited") or does not, as it should; this one's own warning would be a second.
    """

    __slots__ = ("coroutine", "pins")

    def __init__(self, coroutine: Any, pins: object = None) -> None:
        self.coroutine = coroutine
        self.pins = pins

    def take(self) -> Any:
        coroutine, self.coroutine = self.coroutine, None
        return coroutine

    def take_pins(self) -> object:
        pins, self.pins = self.pins, None
        return pins

    def __del__(self) -> None:
        coroutine = self.coroutine
        if isinstance(coroutine, CoroutineType):  # other awaitables do not warn
            coroutine.close()


def drive_awaitable(
    context: Context | None,
    awaitable: Awaitable[_T],
    pins: Any,
    then: Callable[[_T], Any] | None = None,
) -> Coroutine[Any, Any, Any]:
    """Return a coroutine that awaits `awaitable` inside `context`.

    Without a context, in that of whoever steps it: all it then does is to keep the pins. Its
    result goes through `then`, if that is given.
    """
    coroutine: Any = awaitable
    if not isinstance(awaitable, Coroutine):
        coroutine = _as_coroutine(awaitable)
    return drive_unstarted(context, Unstarted(coroutine, pins), then)


def drive_unstarted(
    context: Context | None, unstarted: Unstarted, then: Callable[[Any], Any] | None = None
) -> Coroutine[Any, Any, Any]:
    """Do the same for a coroutine that the caller may yet take back."""
    return named_after(unstarted.coroutine, _drive_coroutine(context, unstarted, then))


def drive_coroutine(context: Context, make: Callable[[], Any], pins: Any) -> Any:
    """Return a coroutine that awaits inside `context` what `make` returns."""
    return drive_awaitable(context, make(), pins)


def named_after(inner: Any, driver: Any) -> Any:
    """Call a driver as what it drives is called: in task reprs, warnings and tracebacks."""
    try:
        driver.__name__ = inner.__name__
        driver.__qualname__ = inner.__qualname__
    except AttributeError:
        pass  # an awaitable of another kind
    return driver


async def _as_coroutine(awaitable: Awaitable[_T]) -> _T:
    return await awaitable


async def _drive_coroutine(
    context: Context | None, unstarted: Unstarted, then: Callable[[Any], Any] | None
) -> Any:
    pins = unstarted.take_pins()
    try:
        coroutine = unstarted.take()
        steps: Any = coroutine if context is None else Steps.of(context, coroutine)
        del coroutine
        result = await steps
        return result if then is None else then(result)
    except BaseException as error:
        without_our_frames(error)
        raise
    finally:
        steps = result = None
        del context, pins, then


def is_generator(thing: Any) -> bool:
    """Whether something is a generator: not one that types.coroutine made, to be awaited."""
    return (
        type(thing) is GeneratorType and not thing.gi_code.co_flags & inspect.CO_ITERABLE_COROUTINE
    )


def is_async_generator(thing: Any) -> bool:
    """Whether something is an async generator."""
    return type(thing) is AsyncGeneratorType


class _Inner:
    """What a driver drives, and with what; and who closes it where the driver would come too late.

    Objects that die at once the garbage collector finalizes in its own order, and a generator
    that is not closed by its driver is closed outside its context. Mostly the older come first:
    therefore the driver is made before the generator. But since Python 3.11 a collection in
    the middle of a step may put the driver behind what its running frame has. This object lies
    in that frame before the generator and is older, too: it comes first wherever both go.
    """

    __slots__ = ("context", "generator", "pins", "see", "started")

    def __init__(self, context: Context, pins: Any) -> None:
        self.context = context
        self.pins = pins
        self.generator: Any = None
        self.see: Callable[[Any], Any] | None = None
        self.started = False

    def take(self, generator: Any, see: Callable[[Any], Any] | None) -> bool:
        """Take what is to be driven; return whether it was started before."""
        self.generator = generator
        self.see = see
        self.started = is_suspended(generator)
        return self.started

    def __del__(self) -> None:
        generator = self.generator
        if self.started and generator.gi_frame is not None and not generator.gi_running:
            if self.pins is not None:
                self.context.run(revive, self.pins)
            try:
                self.context.run(generator.throw, GeneratorExit())
            except (GeneratorExit, StopIteration):
                return
            raise RuntimeError("generator ignored GeneratorExit")


def drive_generator(
    context: Context,
    make: Callable[[], Any],
    pins: Any,
    see: Callable[[Any], Any] | None = None,
    otherwise: Callable[[Context, Any, object], Any] | None = None,
) -> Any:
    """Return a generator that does inside `context` what is done to it.

    Args:
        context: Where the steps are taken. `make` is called in the one that is current.
        make: Returns the generator to drive. It is called late: see `_Inner`.
        pins: What is to stay alive until the generator is over.
        see: Called inside `context` before the first step; returns what is to be driven in
            place of the generator, with the same methods.
        otherwise: Drives what `make` returned if that is no generator. Without it that is
            returned as it is.
    """
    try:
        inner = _Inner(context, pins)
        driver = _drive_generator(inner)
        generator = make()
        if not is_generator(generator):
            return generator if otherwise is None else otherwise(context, generator, pins)
        if generator.gi_frame is None:
            return generator  # is over, and says so to whatever is done to it
        if inner.take(generator, see):
            # As it is, closing the driver would close nothing: it has a step to take itself, to
            # where it forwards.
            next(driver)
        return named_after(generator, driver)
    finally:
        del context, make, pins, see, otherwise  # a kept error has the frames it came through
        driver = inner = None


def drive_async_generator(
    context: Context,
    make: Callable[[], Any],
    pins: Any,
    see: Callable[[Any], Any] | None = None,
    otherwise: Callable[[Context, Any, object], Any] | None = None,
) -> Any:
    """Return an async generator that does inside `context` what is done to it.

    Its arguments are those of `drive_generator`.
    """
    try:
        inner = _Inner(context, pins)
        driver = _drive_async_generator(inner)
        generator = make()
        if not is_async_generator(generator):
            return generator if otherwise is None else otherwise(context, generator, pins)
        if generator.ag_frame is None:
            return generator
        if inner.take(generator, see):
            with suppress(StopIteration):  # with which an async generator's step gives its item
                driver.__anext__().send(None)
        return named_after(generator, driver)
    finally:
        del context, make, pins, see, otherwise
        driver = inner = None


def _drive_generator(inner: _Inner) -> Generator[Any, Any, Any]:
    run, pins, started = inner.context.run, inner.pins, inner.started
    generator = inner.generator
    if inner.see is not None:
        generator = inner.generator = run(inner.see, generator)
    inner.started = True
    send, throw = generator.send, generator.throw
    value: Any = None
    thrown: list[BaseException] = []
    try:
        while True:
            # Not `yield from`: it closes the inner generator where it should throw
            # GeneratorExit into it, and loses what that one then yields or returns.
            try:
                if started:
                    started = False
                    value = yield
                if thrown:
                    if pins is not None:
                        run(revive, pins)  # if it is the garbage collector that throws
                    value = yield run(throw, thrown.pop())
                while True:
                    value = yield run(send, value)
            except BaseException as error:
                # From inside, or thrown in where we stand? A generator that raised is over.
                if generator.gi_frame is None or generator.gi_running:
                    raise
                without_our_frames(error)
                thrown.append(error)
    except StopIteration as stop:
        return stop.value
    except BaseException as error:
        without_our_frames(error)
        raise
    finally:
        # Before 3.11 the error keeps this frame; this frame is not to keep the error.
        del generator, run, send, throw, pins, value, thrown, inner


@types.coroutine
def _drive_generator_coroutine(context: Context, generator: Any, pins: Any) -> Any:
    inner = _Inner(context, pins)
    inner.take(generator, None)
    return (yield from _drive_generator(inner))


def drive_generator_coroutine(context: Context, make: Callable[[], Any], pins: Any) -> Any:
    """Return the like of what a `types.coroutine` function returns, driven inside `context`."""
    generator = make()
    return named_after(generator, _drive_generator_coroutine(context, generator, pins))


async def _drive_async_generator(inner: _Inner) -> AsyncGenerator[Any, Any]:
    context, pins, started = inner.context, inner.pins, inner.started
    generator = inner.generator
    if inner.see is not None:
        generator = context.run(inner.see, generator)
    inner.started = False  # it is the loop's hooks that close the driver, whatever the order
    del inner
    asend, athrow = generator.asend, generator.athrow
    steps: Any = _StepsOfMany.within(context)
    box = steps.box
    item: Any = None
    try:
        if not started:
            box[0] = first_step(generator)
            item = await steps
        while True:
            try:
                box[0] = asend((yield item))
            except BaseException as error:  # noqa: BLE001 - forwarded, not swallowed
                without_our_frames(error)
                if pins is not None:
                    context.run(revive, pins)
                box[0] = athrow(error)
            else:
                item = await steps
                continue
            item = await steps
            box[0] = None  # which has the error
    except StopAsyncIteration:
        return
    except BaseException as error:
        without_our_frames(error)
        raise
    finally:
        del context, generator, asend, athrow, pins, steps, box, item


def first_step(generator: AsyncGenerator[Any, Any]) -> Any:
    """Begin the first step of an async generator that another one is to close."""
    # A loop's hooks (PEP 525) are to know the generator that the program has, which is the
    # driver: it is the one to be closed at shutdown, and it closes the inner one in turn. The
    # inner one gets a finalizer that does nothing: without any, Python would close it itself.
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(firstiter=None, finalizer=_leave_to_the_driver)
    try:
        return generator.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)


def _leave_to_the_driver(_: object) -> None:
    pass


def driver_of(
    function: Callable[..., Any],
) -> Callable[[Context, Callable[[], Any], object], Any] | None:
    """Return the driver for what `function` returns, by the kind of function it is.

    It is called with a context, a function that makes the call, and pins.

    None for a function whose body runs when it is called. Looks through methods and
    `functools.partial`, and at the ``__call__`` of other objects.
    """
    # The common case, by its code alone. (Marks such as asgiref's and inspect's
    # markcoroutinefunction are in __dict__.)
    if (
        type(function) is FunctionType
        and not function.__dict__
        and not function.__code__.co_flags & _CO_SUSPENDS
    ):
        return None
    while isinstance(function, partial):
        function = function.func
    if isinstance(function, type):
        return None  # calling a class makes an instance, whatever its instances do when called
    # Not callable(): it is the method itself that is asked what it is.
    for candidate in (function, getattr(type(function), "__call__", None)):  # noqa: B004
        if inspect.iscoroutinefunction(candidate):
            return drive_coroutine
        if inspect.isgeneratorfunction(candidate):
            awaitable = candidate.__code__.co_flags & inspect.CO_ITERABLE_COROUTINE
            return drive_generator_coroutine if awaitable else drive_generator
        if inspect.isasyncgenfunction(candidate):
            return drive_async_generator
    return None
