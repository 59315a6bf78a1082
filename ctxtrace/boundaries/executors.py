"""Thread pools: each call runs in the context of whoever submitted it."""

from __future__ import annotations

import concurrent.futures
import sys
import time
import weakref
from collections import deque
from concurrent.futures import Executor
from contextvars import Context
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from .._compat import without_our_frames
from .._snapshot import Snapshot, capture_for_threads, cross, crossing, crossing_of, release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from typing_extensions import ParamSpec

    _P = ParamSpec("_P")

_T = TypeVar("_T")


class CarryingCallbacks(list[Any]):
    """The callbacks of a standard future, each in the context of whoever added it.

    The future appends to this list while its call is not over. Afterwards it calls what is added
    at once, where it is added, which crosses nothing.
    """

    __slots__ = ()

    def append(self, fn: Callable[[Any], object]) -> None:
        super().append(_Callback(fn))


class _Callback:
    # A finished future keeps its callbacks. This one lets go of all that it brought along.
    __slots__ = ("_crossing", "_fn")

    def __init__(self, fn: Callable[[Any], object]) -> None:
        self._fn = fn
        self._crossing: Callable[..., object] | None = cross(fn)

    def __call__(self, future: object) -> None:
        crossing, self._crossing = self._crossing, None
        if crossing is None:
            return
        try:
            crossing(future)
        except BaseException as error:
            without_our_frames(error)
            raise
        finally:
            del crossing  # a kept error keeps the frames it came through

    def __repr__(self) -> str:  # the standard library logs it when the callback fails
        return repr(self._fn)


class _Item:
    """The function of one `map` call, bound to the snapshot that map() took."""

    __slots__ = ("fn", "snapshot")

    def __init__(self, snapshot: Snapshot, fn: Callable[..., Any]) -> None:
        self.snapshot = snapshot
        self.fn = fn

    def __call__(self, *args: Any) -> Any:
        # Reached where a subclass's submit() puts something around what it is given.
        return crossing_of(self.snapshot)(self.fn, *args)


def _carry_callbacks(future: Any) -> None:
    """Have the callbacks carry that are added from now on, to a future nobody else has yet.

    The executor makes the future inside its own submit(), and has no hook to make another; to
    change its class would make whatever is done with it slower.
    """
    if future.__class__ is concurrent.futures.Future:
        # An executor that counts its calls, say, has added one of its own.
        callbacks: object = future._done_callbacks
        if callbacks.__class__ is list:
            future._done_callbacks = CarryingCallbacks(future._done_callbacks)


def _submit(submit: Callable[..., Any], fn: Any, args: Any, kwargs: Any) -> Any:
    """Submit to an executor of somebody else's, in the context that is current.

    That one may look at the arguments, which it finds where they were. The future that it gives may
    be one that others have, and add callbacks to.
    """
    if type(fn) is _Item:
        crossing = crossing_of(fn.snapshot)
        call = partial(crossing, fn.fn)
    else:
        call = crossing = cross(fn)
    try:
        future = submit(call, *args, **kwargs)
    except BaseException:
        release(crossing)
        raise
    if future.__class__ is concurrent.futures.Future:
        with future._condition:
            _carry_callbacks(future)
    return future


class _MapsOneSnapshot(Executor):
    """`map` for an executor whose `submit` carries."""

    def map(
        self,
        fn: Callable[..., _T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[_T]:
        """Call a function with the items of the iterables, in the pool.

        Mirrors `concurrent.futures.Executor.map` of Python 3.14, on every Python. One
        snapshot of the context is taken now; each call runs in a fresh copy of it.

        Args:
            fn: Takes as many arguments as there are iterables.
            *iterables: Without `buffersize` they are consumed at once, as they are by the
                standard map(); with it, as results are taken, so that they may be infinite.
            timeout: Seconds from now until `TimeoutError`, or None.
            chunksize: Has no effect on threads.
            buffersize: How many calls may be submitted whose results were not yet taken.

        Returns:
            An iterator over the results, in the order of the items.

        Raises:
            TypeError: `buffersize` is neither an int nor None.
            ValueError: `buffersize` is below 1.
        """
        if buffersize is not None and not isinstance(buffersize, int):
            raise TypeError("buffersize must be an integer or None")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        item = _Item(capture_for_threads(), fn)
        if buffersize is None:
            return super().map(item, *iterables, timeout=timeout, chunksize=chunksize)
        # Goes with Python 3.13: 3.14's own map() has it.
        deadline = None if timeout is None else time.monotonic() + timeout
        arguments = zip(*iterables)
        futures = deque(self.submit(item, *args) for args in islice(arguments, buffersize))
        return _results(weakref.ref(self), item, arguments, futures, deadline)


def _results(
    executor_ref: weakref.ref[Executor],
    item: _Item,
    arguments: Iterator[tuple[Any, ...]],
    futures: deque[concurrent.futures.Future[Any]],
    deadline: float | None,
) -> Iterator[Any]:
    try:
        while futures:
            # As in 3.14: refilled before the wait, so that the pool is never idle, and not
            # at all once the executor was dropped.
            executor = executor_ref()
            if executor is not None:
                for args in islice(arguments, 1):
                    futures.append(executor.submit(item, *args))
            del executor
            yield _result(
                futures.popleft(), None if deadline is None else deadline - time.monotonic()
            )
    finally:
        for future in futures:
            future.cancel()
        del item, arguments, futures  # a kept error keeps this frame


def _result(future: concurrent.futures.Future[_T], timeout: float | None) -> _T:
    try:
        return future.result(timeout)
    finally:
        future.cancel()
        del future  # an exception would keep it, and it keeps the exception


class ThreadPoolExecutor(_MapsOneSnapshot, concurrent.futures.ThreadPoolExecutor):
    """A `concurrent.futures.ThreadPoolExecutor` whose calls belong to who submitted them.

    A drop-in: the same arguments, errors and behaviour at shutdown and exit. In addition

    * every submitted call runs in a private copy of its submitter's context, and keeps the
      run that was current there alive until it is done;
    * `map` takes one snapshot when it is called, and `buffersize=` works on every Python;
    * a callback added to a future while its call is not over runs once, in the context of
      whoever added it;
    * workers start in an empty context, and so does `initializer`: a pool outlives the
      request that happened to start its threads. What an initializer sets in a context
      variable is not seen by the calls, which have their submitters' contexts.

    Args:
        max_workers: As in the standard library; and so are the others.
        thread_name_prefix: For the names of the threads.
        initializer: Called at the start of each worker.
        initargs: Its arguments.

    Mirrors `concurrent.futures.ThreadPoolExecutor`. Safe to use from any thread.
    """

    # Whether a class with a submit() of its own comes between this one and the standard one.
    _has_another_between = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        order = cls.__mro__
        after = order[order.index(ThreadPoolExecutor) + 1 :]
        follower = next(kind for kind in after if "submit" in vars(kind))
        cls._has_another_between = follower is not concurrent.futures.ThreadPoolExecutor

    def submit(
        self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> concurrent.futures.Future[_T]:
        """Schedule ``fn(*args, **kwargs)``, in a copy of the current context.

        Args:
            fn: The function to call.
            *args: Its positional arguments.
            **kwargs: Its keyword arguments; any name will do, ``fn`` and ``self`` too.

        Returns:
            A future for the result.

        Raises:
            RuntimeError: The pool, or the interpreter, was shut down.
            concurrent.futures.BrokenExecutor: An initializer failed.
        """
        if self._has_another_between:
            return _submit(partial(Context().run, super().submit), fn, args, kwargs)
        given: Any = fn
        if type(given) is _Item:
            call, given = crossing_of(given.snapshot), given.fn
        else:
            call = crossing()
        try:
            # In an empty context, because a worker that is started now may inherit this one: on
            # free-threaded builds, and where somebody patched Thread.start().
            future = Context().run(super().submit, call, given, *args, **kwargs)
        except BaseException:
            release(call)
            raise
        _carry_callbacks(future)
        return future


class _WrappedExecutor(Executor):
    """Hands everything to another executor."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return _submit(self._executor.submit, fn, args, kwargs)

    def shutdown(self, *args: Any, **kwargs: Any) -> None:
        self._executor.shutdown(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._executor, name)

    def __repr__(self) -> str:
        return f"<ctxtrace.wrap_executor({self._executor!r})>"


class _CarryingExecutor(_MapsOneSnapshot, _WrappedExecutor):
    pass


def wrap_executor(executor: Executor) -> Executor:
    """Make an executor that somebody else built carry the context.

    Args:
        executor: A `concurrent.futures.Executor` that runs its calls in threads of this
            process: a subclass of the standard one, a framework's, or one of your own.

    Returns:
        An executor with the same calls (`submit`, `map`, `shutdown`, ``with``) that hands the
        work on to the given one, and any other attribute from it. `submit`, `map` and
        callbacks behave as they do on `ctxtrace.ThreadPoolExecutor`. How and in which context
        threads are started stays the affair of the given executor.

    Raises:
        TypeError: It is not an executor, or it runs its calls in other processes or
            interpreters, where a context cannot go.

    Safe to call from any thread.
    """
    if not isinstance(executor, Executor):
        raise TypeError(
            f"wrap_executor() takes a concurrent.futures.Executor, and {executor!r} is not "
            "one. Wrap a single function with ctxtrace.wrap() instead."
        )
    refuse_other_processes("wrap_executor", executor)
    if isinstance(executor, _MapsOneSnapshot):
        return executor  # it carries already
    return _CarryingExecutor(executor)


# Executors whose work is pickled: a context cannot be, and the error would come from inside.
_ELSEWHERE = (
    ("concurrent.futures.process", "ProcessPoolExecutor"),
    ("concurrent.futures.interpreter", "InterpreterPoolExecutor"),
)


def refuse_other_processes(who: str, executor: object) -> None:
    """Raise TypeError if `executor` runs its calls in other processes or interpreters."""
    for module, name in _ELSEWHERE:
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(executor, kind):
            raise TypeError(
                f"{who}() cannot carry a context into {executor!r}: a context cannot leave its "
                "interpreter. Submit to it directly; its runs will be traces of their own. "
                "Process pools that carry a trace are planned."
            )


ThreadPoolExecutor.__module__ = wrap_executor.__module__ = "ctxtrace"
