"""LangSmith's clients: which there are, how they send what they have, and how they end.

A client puts runs into a queue, or from some moment on into a compressed buffer; a thread of its
own sends them. That thread ends when the main thread does, and a run that is put into the queue
after that stays there: whoever flushes then sends it.
"""

from __future__ import annotations

import inspect
import sys
import threading
import time
import weakref
from contextlib import suppress
from contextvars import Context
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

CLIENT = "langsmith.client"
SENDING = "langsmith._internal._background_thread"
_AITER = "langsmith._internal._aiter"


class Client:
    """One of LangSmith's clients, to be flushed."""

    name = "langsmith"

    def __init__(self, client: Any) -> None:
        self.target = client

    def flush(self, timeout: float) -> bool:
        client = self.target
        deadline = time.monotonic() + timeout
        if not threading.main_thread().is_alive():
            _send_what_is_queued(client)
        elif not _is_being_sent(client):
            return False
        if "timeout" in inspect.signature(client.flush).parameters:
            client.flush(timeout=timeout)
        else:
            # An earlier version: without a limit, and of queue and buffer only one.
            if not _wait_until_sent(client.tracing_queue, deadline):
                return False
            client.flush()
        return time.monotonic() < deadline

    def shutdown(self, timeout: float) -> bool:
        done = self.flush(timeout)
        if "timeout" in inspect.signature(self.target.cleanup).parameters:
            self.target.cleanup(timeout=0)
        else:
            self.target.cleanup()
        return done

    def renew(self) -> None:
        """Make it work in the child of a fork."""
        import_module(f"{__package__}._langsmith_fork").renew_client(self.target)


def live_clients() -> Iterator[Any]:
    """Yield all clients of the process, whoever made them.

    LangSmith keeps no list of them; but each asks Python to close its session when it goes.
    """
    module: Any = sys.modules.get(CLIENT)
    kind = getattr(module, "Client", None)
    registry = getattr(weakref.finalize, "_registry", None)
    if kind is None or registry is None:
        return
    for finalizer in list(registry):
        found = finalizer.peek()
        if found is not None and issubclass(type(found[0]), kind):
            yield found[0]


def end() -> list[threading.Thread]:
    """Have LangSmith go on recording while the interpreter ends; return its threads.

    Threads and pools refuse to start anything then. LangSmith's async functions start and end
    their runs in one, and a first client starts a thread: both raise into the program.
    """
    aiter: Any = sys.modules.get(_AITER)
    if aiter is not None:
        aiter.aio_to_thread = _in_this_thread
    client: Any = sys.modules.get(CLIENT)
    if client is not None:
        client.threading = _Threading("threading", client.threading)
    sending: Any = sys.modules.get(SENDING)
    if sending is None:
        return []
    pool = sending.LANGSMITH_CLIENT_THREAD_POOL
    pool.shutdown(wait=False)  # what it was given is still done
    python: Any = sys.modules["concurrent.futures.thread"]
    for thread in pool._threads:
        python._threads_queues.pop(thread, None)  # whose threads Python waits for
    return [*_threads(), *pool._threads]


async def _in_this_thread(*args: Any, **kwargs: Any) -> Any:
    # The context comes first in later versions, and by keyword in earlier ones.
    if isinstance(args[0], Context):
        context, function, *arguments = args
    else:
        context = kwargs.pop("__ctx", None)
        function, *arguments = args
    run = partial(function, *arguments, **kwargs)
    return run() if context is None else context.run(run)


class _Threading:
    """The module, as LangSmith's client is to see it when no thread can start any more."""

    def __init__(self, name: str, module: ModuleType) -> None:
        self.__name__ = name
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return _Thread if name == "Thread" else getattr(self._module, name)


class _Thread(threading.Thread):
    def start(self) -> None:
        with suppress(RuntimeError):  # what it would send is sent by the last flush
            super().start()


def _is_being_sent(client: Any) -> bool:
    """Whether anything is to come of what is queued.

    Not in the child of a fork that nobody was told of, and not after ``cleanup()``: the thread that
    would send it is gone, and to wait for it is to wait for nothing.
    """
    queue = client.tracing_queue
    return queue is None or not queue.unfinished_tasks or any(map(_works_for(client), _threads()))


def _works_for(client: Any) -> Callable[[threading.Thread], bool]:
    return lambda thread: any(
        isinstance(argument, weakref.ref) and argument() is client
        for argument in getattr(thread, "_args", ())
    )


def _threads() -> list[threading.Thread]:
    """Return those of LangSmith's threads that have not ended: the others have no target."""
    return [
        thread
        for thread in threading.enumerate()
        if getattr(getattr(thread, "_target", None), "__module__", None) == SENDING
    ]


def _wait_until_sent(queue: Any, deadline: float) -> bool:
    """Wait as `queue.Queue.join` does, which knows no limit."""
    if queue is None:
        return True
    with queue.all_tasks_done:
        while queue.unfinished_tasks:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            queue.all_tasks_done.wait(left)
    return True


def _send_what_is_queued(client: Any) -> None:
    """Do what the client's thread would do, if it had not ended."""
    sending: Any = sys.modules[SENDING]
    queue = client.tracing_queue
    if queue is None or not queue.qsize():
        return
    config = sending._ensure_ingest_config(client.info)
    multipart = config.get("use_multipart_endpoint") and not getattr(
        client, "_multipart_disabled", False
    )
    handle = _handler(sending, client, bool(multipart))
    while batch := sending._tracing_thread_drain_queue(
        queue, limit=config["size_limit"], block=False
    ):
        handle(batch)


def _handler(sending: Any, client: Any, multipart: bool) -> Callable[[Any], Any]:
    mode = getattr(client, "_tracing_mode", None)
    if mode is None:  # an earlier version, where it is the same for all clients
        hybrid, otel = sending.get_tracing_mode()
        mode = "hybrid" if hybrid else "otel" if otel else "langsmith"
    queue = client.tracing_queue
    if mode == "otel":
        return partial(sending._otel_tracing_thread_handle_batch, client, queue)
    if mode == "hybrid":
        handle = sending._hybrid_tracing_thread_handle_batch
    else:
        handle = sending._tracing_thread_handle_batch
    return lambda batch: handle(client, queue, batch, multipart)
