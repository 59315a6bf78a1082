"""Flush from 32 threads at random moments while they record, and see that each run arrives once.

LangSmith's own client in both of its ways, a queue and a compressed buffer, and OpenTelemetry's
batch processor with the real OTLP exporter send to a server in a process of its own, which counts
what arrives. Then the same threads serve requests that record a run each and flush at their end,
once with the library's own flush and once with ours: how many requests to the server that makes.

Prints a Markdown report and exits with status 1 if a run was lost or came twice, a flush did not
end in time, or anything was logged. `nox -s soak` runs it; its output stands in docs/measured/.
"""

from __future__ import annotations

import argparse
import datetime
import json
import logging
import os
import platform
import random
import statistics
import subprocess
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 100_000
THREADS = 32
REQUESTS = 960
FLUSHES = 1_000  # of the first part, at random moments
WAYS = ("LangSmith, queue", "LangSmith, compressed", "OpenTelemetry")


def serve() -> None:
    """Count what arrives, in a process of its own, until standard input ends."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "exits"))
    from _collector import Collector

    collector = Collector(compressed=sys.argv[2] == "LangSmith, compressed")
    print(collector.url, flush=True)
    sys.stdin.read()
    collector.stop()
    tally = collector.opentelemetry if sys.argv[2] == "OpenTelemetry" else collector.langsmith
    posts = sum(n for what, n in collector.requests.items() if not what.startswith("GET"))
    once = sum(tally.once(name) for name in tally.created)
    print(json.dumps([len(tally.created), once, posts, collector.not_understood[:3]]))


class Tally(NamedTuple):
    """What a server has counted."""

    arrived: int
    once: int
    posts: int
    not_understood: list[str]


class Backend:
    """A server, and a library that sends to it."""

    def __init__(self, way: str) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__, "--serve", way],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._server.stdout is not None
        url = self._server.stdout.readline().strip()
        self._library = OpenTelemetry(url) if way == "OpenTelemetry" else LangSmith(url)
        self.record: Callable[[str], None] = self._library.record
        self.flush: Callable[[], object] = self._library.flush

    def end(self) -> Tally:
        """Let everything be sent, and count."""
        self._library.end()
        output, _ = self._server.communicate()
        return Tally(*json.loads(output))


class LangSmith:
    """One client of LangSmith."""

    def __init__(self, url: str) -> None:
        from langsmith import Client

        self._client = Client(api_url=url, api_key="none")
        assert self._client.info  # until it has asked, it does not compress
        self.flush = self._client.flush

    def record(self, name: str) -> None:
        from langsmith.run_trees import RunTree

        run = RunTree(name=name, client=self._client)
        run.post()
        run.end()
        run.patch()

    def end(self) -> None:
        self._client.flush()
        self._client.cleanup()
        self._client.session.close()  # the server waits for its connections to end


class OpenTelemetry:
    """One provider, that keeps all that it gets."""

    def __init__(self, url: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporter = OTLPSpanExporter(endpoint=f"{url}/v1/traces")
        self._provider = TracerProvider()
        self._provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=2 * RUNS))
        self._tracer = self._provider.get_tracer("soak")
        self.flush = self._provider.force_flush

    def record(self, name: str) -> None:
        self._tracer.start_span(name).end()

    def end(self) -> None:
        self._provider.shutdown()


def in_threads(work: Callable[[int], None]) -> float:
    """Have all threads do it at once; return how long that took."""
    ready = threading.Barrier(THREADS + 1)

    def begin(number: int) -> None:
        ready.wait()
        work(number)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    ready.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


def soak(way: str) -> bool:
    import ctxtrace

    backend = Backend(way)
    flushes: list[bool] = []

    def record(number: int) -> None:
        chance = random.Random(number)
        for run in range(RUNS // THREADS):
            backend.record(f"{number}-{run}")
            if chance.random() < FLUSHES / RUNS:
                flushes.append(ctxtrace.flush(600).ok)

    seconds = in_threads(record)
    tally = backend.end()
    recorded = RUNS // THREADS * THREADS
    good = tally.arrived == tally.once == recorded and all(flushes) and not tally.not_understood
    print(
        f"| {way} | {recorded:,} | {tally.arrived:,} | {tally.once:,} | {len(flushes):,} | "
        f"{flushes.count(False)} | {tally.posts:,} | {seconds:.0f} |",
        flush=True,
    )
    return good


def serve_requests(way: str, ours: bool) -> bool:
    import ctxtrace

    backend = Backend(way)
    flush: Callable[[], Any] = ctxtrace.flush if ours else backend.flush
    took: list[float] = []

    def serve(number: int) -> None:
        for request in range(REQUESTS // THREADS):
            backend.record(f"{number}-{request}")
            began = time.perf_counter()
            flush()
            took.append(time.perf_counter() - began)

    seconds = in_threads(serve)
    tally = backend.end()
    recorded = REQUESTS // THREADS * THREADS
    print(
        f"| {way} | {'ctxtrace.flush()' if ours else 'its own flush'} | {recorded:,} | "
        f"{tally.once:,} | {tally.posts:,} | {1000 * statistics.median(took):.0f} | "
        f"{1000 * max(took):.0f} | {seconds:.1f} |",
        flush=True,
    )
    return tally.once == recorded


class Complaints(logging.Handler):
    """Keeps what anybody logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fiftieth of it")
    if parser.parse_args().quick:
        global RUNS, REQUESTS
        RUNS, REQUESTS = RUNS // 50, REQUESTS // 10
    # LangSmith drops what does not fit into its queue.
    os.environ["LANGSMITH_TRACING_QUEUE_MAX_SIZE"] = "0"
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    libraries = ", ".join(f"{name} {version(name)}" for name in ("langsmith", "opentelemetry-sdk"))
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, ", end="")
    print(f"{os.cpu_count()} cores; {libraries}; {datetime.date.today()}.\n")
    print(f"{THREADS} threads record, and flush at random moments.\n")
    print("| | recorded | arrived | once | flushes | not in time | requests to the server | s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    good = [soak(way) for way in WAYS]
    print(f"\n{THREADS} threads serve requests that record a run each, and flush at their end.\n")
    print(
        "| | flush | requests | arrived once | requests to the server | median of a flush, ms | "
        "longest, ms | s |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    good += [serve_requests(way, ours) for way in WAYS for ours in (False, True)]
    for text in dict.fromkeys(complaints.texts):
        print(f"\nLogged: {text}")
    print("\nEach run arrived once." if all(good) else "\nFAILED")
    return 0 if all(good) and not complaints.texts else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve()
    else:
        sys.exit(main())
