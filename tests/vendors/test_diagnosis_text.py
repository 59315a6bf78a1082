"""What a diagnosis says in words: an example for each kind of loss."""

from __future__ import annotations

import concurrent.futures
import contextvars
import queue
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import langsmith
import pytest
from langsmith import traceable
from opentelemetry import trace
from vendors import corpus

import ctxtrace
from ctxtrace.testing import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ctxtrace.diagnosis import Diagnosis

pytestmark = pytest.mark.usefixtures("one_provider")

SPANS = trace.get_tracer("diagnosis")


@traceable
def child(_: object = None) -> None:
    pass


def pool() -> concurrent.futures.ThreadPoolExecutor:
    return concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="pool")


# The programs. Their texts are below.


def in_a_pool() -> None:
    with langsmith.trace("request"), langsmith.trace("retrieve"), pool() as workers:
        workers.submit(child).result()  # in_a_pool


def never_recorded() -> None:
    with corpus.tracing(), langsmith.trace("request"):
        thread = threading.Thread(target=child, name="worker")
        thread.start()  # never_recorded
        thread.join()


def in_a_package() -> None:
    # As it would be installed: whose code it is says the folder.
    source = "def run(pool, function):\n    pool.submit(function).result()\n"
    library: dict[str, Any] = {"__name__": "searcher"}
    exec(compile(source, "/opt/site-packages/searcher/__init__.py", "exec"), library)
    with langsmith.trace("request"), pool() as workers:
        library["run"](workers, child)  # in_a_package


def through_a_queue() -> None:
    items: queue.Queue[Any] = queue.Queue()

    def work() -> None:
        child(items.get())

    worker = threading.Thread(target=work, name="worker")
    worker.start()
    with langsmith.trace("request"):
        items.put("an item")  # through_a_queue
        worker.join()


def in_an_empty_context() -> None:
    with SPANS.start_as_current_span("request"):
        contextvars.Context().run(render)  # in_an_empty_context


def render() -> None:
    with SPANS.start_as_current_span("render"):
        pass


def in_a_generator() -> None:
    def rows() -> Iterator[int]:
        child()  # in_a_generator
        yield 1

    def fetch() -> Iterator[int]:
        with langsmith.trace("fetch"):
            return rows()

    list(fetch())  # in_a_generator, stepped


def held_over_a_yield() -> None:
    def rows() -> Iterator[int]:
        with SPANS.start_as_current_span("scan"):  # held_over_a_yield
            yield 1

    with SPANS.start_as_current_span("request"):
        for _ in rows():  # held_over_a_yield, stepped
            render()


def by_a_worker() -> None:
    items: queue.Queue[Any] = queue.Queue()

    def work() -> None:
        while items.get() is not None:
            child()

    with langsmith.trace("first"):
        worker = ctxtrace.Thread(target=work, name="worker")
        worker.start()  # by_a_worker
    with langsmith.trace("second"):
        items.put("an item")
    items.put(None)
    worker.join()


def wrapped_where_it_is_defined() -> None:
    @ctxtrace.wrap  # wrapped_where_it_is_defined
    def step() -> None:
        child()

    with langsmith.trace("request"):
        step()


TEXTS: dict[Callable[[], None], str] = {
    in_a_pool: """\
child  started a trace of its own
    lost at {here} in in_a_pool: ThreadPoolExecutor.submit (thread pool_0)
    its caller was in: request > retrieve
    write: from ctxtrace import ThreadPoolExecutor""",
    never_recorded: """\
child  was never recorded, though tracing was on where it was called from
    lost at {here} in never_recorded: Thread.start (thread worker)
    its caller was in: request
    write: from ctxtrace import Thread""",
    in_a_package: """\
child  started a trace of its own
    lost at {here} in in_a_package: ThreadPoolExecutor.submit inside searcher (thread pool_0)
    its caller was in: request
    write: ctxtrace.install() at the top of the program""",
    through_a_queue: """\
child  started a trace of its own
    lost at {here} in through_a_queue: Queue.put (thread worker)
    its caller was in: request
    write: items = ctxtrace.ContextQueue(items), and `with items.receive() as item:` to take one""",
    in_an_empty_context: """\
render  started a trace of its own
    lost at {here} in in_an_empty_context: a context that was entered empty (thread MainThread)
    its caller was in: request
    write: contextvars.copy_context() in place of that context""",
    in_a_generator: """\
child  started a trace of its own
    lost at {here} in rows: a generator that is stepped in another context than it was called in \
(thread MainThread)
    its generator is stepped at {stepped}
    its caller was in: fetch
    write: @ctxtrace.streaming on the generator function""",
    held_over_a_yield: """\
render  took a parent that it should not have
    held at {here} in rows: 'scan' is open over a yield (thread MainThread)
    its generator is stepped at {stepped}
    its caller was in: request
    write: @ctxtrace.streaming on the generator function""",
    by_a_worker: """\
child  took a parent that it should not have
    held at {here} in by_a_worker: ctxtrace's start(), in the run 'first' that has ended \
since (thread worker)
    its caller was in: first
    write: with ctxtrace.detached(): around what starts it""",
    wrapped_where_it_is_defined: """\
child  started a trace of its own
    lost at {here} in step: ctxtrace.wrap (thread MainThread)
    its caller was in: request
    write: ctxtrace.wrap(function) where the work is handed over, not at its def""",
}


def place(mark: str) -> str:
    """The line that ends with this comment, as it is shown in the folder of this file."""
    with open(__file__, encoding="utf-8") as source:
        (found,) = [n for n, line in enumerate(source, 1) if line.endswith(f"  # {mark}\n")]
    return f"{Path(__file__).name}:{found}"


def diagnosed(program: Callable[[], None]) -> Diagnosis:
    if program is never_recorded:
        with ctxtrace.diagnose() as report:
            program()
    else:
        with record(["langsmith", "otel"]), ctxtrace.diagnose() as report:
            program()
    return report


EACH = pytest.mark.parametrize("program", TEXTS, ids=lambda program: program.__name__)


@EACH
def test_the_text_says_where_it_was_lost_and_what_to_write(
    program: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    report = diagnosed(program)
    monkeypatch.chdir(Path(__file__).parent)
    name, text = program.__name__, TEXTS[program]
    stepped = place(f"{name}, stepped") if "{stepped}" in text else ""
    assert report.explain() == text.format(here=place(name), stepped=stepped)


def test_a_file_beside_the_working_directory_is_named_in_full(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert f"lost at {__file__}:" in diagnosed(in_a_pool).explain()
