"""What a process of a cell does: record runs, say so, and leave in one of many ways.

Its own module, because that is where a child of "spawn" or "forkserver" finds its target, and
where such a program calls ``flush_on_exit()``.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import faulthandler
import functools
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TRACER = os.environ["EXITS_TRACER"]
FLUSHED = os.environ.get("EXITS_FLUSHED", "")
"""Who calls ``flush_on_exit()``: nobody, this module when imported, or the pool's initializer."""

LANGSMITH = TRACER != "otel"
OTEL = TRACER in ("otel", "both")


def flush_on_exit() -> None:
    import ctxtrace

    ctxtrace.flush_on_exit(timeout=float(os.environ.get("EXITS_TIMEOUT", "10")))


if FLUSHED == "import":
    flush_on_exit()


def show_where_it_hangs() -> None:
    """When the driver aborts this process, write where its threads are to a file of its own."""
    place = Path(os.environ["EXITS_FOLDER"], f"{os.getpid()}.txt")
    faulthandler.enable(file=place.open("w"))


def say(**message: Any) -> None:
    """Tell the driver. Past all buffers, of which a fork would make two."""
    os.write(1, json.dumps({"pid": os.getpid(), **message}).encode() + b"\n")


@functools.cache
def otel_provider() -> Any:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    endpoint = os.environ["EXITS_OTEL_ENDPOINT"]
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)
    return provider


@contextlib.contextmanager
def opened(name: str) -> Iterator[None]:
    """A run, a span, or both."""
    with contextlib.ExitStack() as stack:
        if LANGSMITH:
            import langsmith

            stack.enter_context(langsmith.trace(name))
        if OTEL:
            tracer = otel_provider().get_tracer("exits")
            stack.enter_context(tracer.start_as_current_span(name))
        yield


def record(name: str) -> None:
    with opened(name):
        pass


def vendors_flush() -> None:
    if LANGSMITH:
        from langsmith.run_trees import get_cached_client

        get_cached_client().flush()
    if OTEL:
        otel_provider().force_flush()


def flush() -> None:
    if not FLUSHED:
        vendors_flush()
        return
    import ctxtrace

    report = ctxtrace.flush()
    if not report.ok:
        print(report, file=sys.stderr, flush=True)


def settle() -> None:
    """Wait until what was recorded has arrived.

    From then on the client's threads stand, its compressor is there, and a connection is open.
    """
    vendors_flush()


def _wait_for_the_signal() -> None:
    # A signal that comes between two instructions, the second of which waits, does not end that
    # wait. A file that Python's own handler writes to does, however early it came.
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable)
    say(signal_me=True)
    while True:
        os.read(readable, 1)


def raise_system_exit(*_: object) -> None:
    raise SystemExit(3)


async def _serve(who: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    say(signal_me=True)
    await stop.wait()
    record(f"{who}-2")
    say(leaving=True)


def _late() -> None:
    record("late")


def _late_async() -> None:
    import langsmith

    @langsmith.traceable(name="late")
    async def late() -> None:
        await asyncio.sleep(0)

    asyncio.run(late())


def _late_thread() -> None:
    def outlive() -> None:
        threading.main_thread().join()
        _late()

    threading.Thread(target=outlive).start()


def _late_pool_thread() -> None:
    over = threading.Event()

    def outlive() -> None:
        over.wait()
        _late()

    concurrent.futures.ThreadPoolExecutor(1).submit(outlive)
    # Called when the main thread is over, and before the pool is waited for. Nothing that is
    # public tells the one from the other.
    threading._register_atexit(over.set)  # type: ignore[attr-defined]


_BEFORE: dict[str, Callable[[], Any]] = {
    # Before the tracer is made; in the others, it is there by then.
    "atexit-early": lambda: atexit.register(_late),
}
_AT_THE_END: dict[str, Callable[[], Any]] = {
    "sigterm-handler-after": lambda: signal.signal(signal.SIGTERM, raise_system_exit),
    "atexit": lambda: atexit.register(_late),
    "atexit-async": lambda: atexit.register(_late_async),
    "thread": _late_thread,
    "pool-thread": _late_pool_thread,
}


def leave(kind: str, who: str, *, fresh: bool) -> None:
    """Record three runs, the last at the very end, and leave.

    :param fresh: whether this process has made its client itself, and not by a fork
    """
    show_where_it_hangs()
    _BEFORE.get(kind, lambda: None)()
    record(f"{who}-0")
    if fresh and TRACER == "compressed":
        settle()  # before that, it is a queue like the other
    record(f"{who}-1")
    if kind == "sigterm-asyncio":
        asyncio.run(_serve(who))
        return
    _AT_THE_END.get(kind, lambda: None)()
    record(f"{who}-2")
    if kind.startswith("sig"):
        _wait_for_the_signal()
    if kind == "os-exit-flush":
        flush()
    say(leaving=True)
    if kind == "sys-exit":
        sys.exit(3)
    if kind == "exception":
        raise RuntimeError("on purpose")
    if kind in ("os-exit", "os-exit-flush"):
        os._exit(5)


def child(kind: str, fresh: bool) -> None:
    """The target of a process of multiprocessing."""
    leave(kind, "child", fresh=fresh)


def task(number: int) -> None:
    """What a pool's process is given."""
    show_where_it_hangs()
    record(f"task-{number}")
